"""Marked entities in JSON lines: offsets in characters or words, and invalid marks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.inference.relation_extractor import MarkedText
from cotpd.inference.rows.marked_rows import marked_text
from cotpd.inference.rows.text_rows import TextRow, row_text

TEXT = "👩\u200d🚀 Anna joins Ajax"
ANNA, AJAX = {"start": 4, "end": 8}, {"start": 15, "end": 19}


def mark(**fields: Any) -> MarkedText:
    return marked_text(TextRow(row_text(fields, "f:2"), fields, "f:2"))


def test_offsets_count_characters_of_text_or_words_of_words() -> None:
    pair = MarkedText(TEXT, pairs=(((4, 8), (15, 19)),))
    assert mark(text=TEXT, head=ANNA, tail=AJAX) == pair
    assert mark(words=TEXT.split(), head={"start": 1, "end": 2}, tail={"start": 3, "end": 4}) == pair
    with_empty_word = mark(words=["", "Anna", "joins"], head={"start": 2, "end": 3}, tail={"start": 0, "end": 2})
    assert with_empty_word.pairs == (((6, 11), (0, 5)),)


def test_entities_are_used_if_no_pair_is_marked() -> None:
    assert mark(text=TEXT, entities=[ANNA, AJAX]) == MarkedText(TEXT, entities=((4, 8), (15, 19)))
    assert mark(text=TEXT, entities=[ANNA], head=ANNA, tail=AJAX).pairs
    assert mark(text="a", entities=[]) == MarkedText("a")


def test_words_beside_a_text_are_ignored_if_each_mark_has_its_word() -> None:
    entities = [{**ANNA, "word": "Anna"}, {**AJAX, "word": "Ajax"}]
    assert mark(text=TEXT, words=TEXT.split(), entities=entities).entities == ((4, 8), (15, 19))


def test_a_wrong_mark_is_an_error_that_names_its_row() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"text": TEXT}, "the row has no marks; mark a pair as `head` and `tail`"),
        ({"text": TEXT, "head": ANNA}, "only one of `head` and `tail`"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 15, "end": 20}}, "[15, 20]"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 7, "end": 19}}, "overlap"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 8, "end": 9}}, "[8, 9]"),
        ({"text": TEXT, "head": ANNA, "tail": [15, 19]}, "tail: Input should be"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": True, "end": 19}}, "tail.start: Input should be"),
        ({"text": TEXT, "entities": [ANNA, {**AJAX, "word": "Anna"}]}, "[15, 19) is 'Ajax', but `word` is 'Anna'"),
        ({"text": TEXT, "entities": ["gold"]}, "entities.0: Input should be"),
        ({"words": ["a", "b"], "head": {"start": 0, "end": 1}, "tail": {"start": 1, "end": 3}}, "the 2 words"),
        ({"text": "a b", "words": ["a", "b"], "entities": [{"start": 0, "end": 1}]}, "offsets are ambiguous"),
    ]
    for fields, message in cases:
        with pytest.raises(DataError, match=rf"^f:2: .*{re.escape(message)}"):
            mark(**fields)
