"""`cotpd extract` with a run of relations: for pairs that JSON lines mark, and for entities that another run finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from cotpd.inference.extractor import Extractor
from cotpd.inference.relation_extractor import MarkedText, RelationExtractor

Cotpd = Callable[..., Any]
TEXT = "👩\u200d🚀 Anna joins Ajax"
ANNA, AJAX = {"start": 4, "end": 8}, {"start": 15, "end": 19}


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Write rows of JSON lines to a file."""

    def write(*rows: dict[str, Any]) -> Path:
        (tmp_path / "marked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return tmp_path / "marked.jsonl"

    return write


def rows(outcome: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


def places(row: dict[str, Any]) -> list[tuple[str, str]]:
    text = row["text"]
    for relation in row["relations"]:
        for side in ("head", "tail"):
            assert relation[side]["word"] == text[relation[side]["start"] : relation[side]["end"]]
    return [(relation["head"]["word"], relation["tail"]["word"]) for relation in row["relations"]]


def test_marked_pairs_are_answered_whatever_counts_their_offsets(
    relation_run: Path, lines: Callable[..., Path], cotpd: Cotpd
) -> None:
    file = lines(
        {"id": 1, "text": TEXT, "head": ANNA, "tail": AJAX},
        {"id": 2, "words": TEXT.split(), "head": {"start": 1, "end": 2}, "tail": {"start": 3, "end": 4}},
        {
            "id": 3,
            "words": ["", "Anna", "joins", "Ajax"],
            "head": {"start": 3, "end": 4},
            "tail": {"start": 0, "end": 2},
        },
    )
    outcome = cotpd("extract", relation_run, "--file", file)
    assert (outcome.code, outcome.err) == (0, "")
    one, two, three = rows(outcome)
    assert (one["id"], one["head"], one["text"], two["words"]) == (1, ANNA, TEXT, TEXT.split())
    assert places(one) == places(two) == [("Anna", "Ajax")]
    assert places(three) == [("Ajax", "Anna")]
    pair = ((4, 8), (15, 19))
    [expected] = RelationExtractor.from_pretrained(relation_run, device="cpu")(MarkedText(TEXT, pairs=(pair,))).pairs
    for row in (one, two):
        assert row["relations"][0]["label"] == expected.label
        assert row["relations"][0]["score"] == pytest.approx(expected.score, abs=1e-4)


def test_entities_stand_for_all_pairs_and_those_unrelated_are_printed_when_asked_for(
    relation_run: Path, lines: Callable[..., Path], cotpd: Cotpd
) -> None:
    post = "Anna met Bob and Cleo near Dover , then Eve and Finn saw Gent"
    words = [
        {"start": post.index(word), "end": post.index(word) + len(word)} for word in post.split() if word[0].isupper()
    ]
    file = lines(
        {"text": post, "entities": [{**place, "label": "X"} for place in words]}, {"text": "a", "entities": []}
    )
    every = rows(cotpd("extract", relation_run, "--file", file, "--unrelated"))
    names = [post[place["start"] : place["end"]] for place in words]
    assert places(every[0]) == list(permutations(names, 2))
    assert every[1]["relations"] == []
    related = rows(cotpd("extract", relation_run, "--file", file))
    assert 0 < len(related[0]["relations"]) < len(every[0]["relations"])
    assert related[0]["relations"] == [pair for pair in every[0]["relations"] if pair["label"] != "None"]


def test_a_single_pair_is_answered_also_where_it_holds_no_relation(
    relation_run: Path, lines: Callable[..., Path], cotpd: Cotpd
) -> None:
    every = [
        {"text": TEXT, "head": head, "tail": tail}
        for head, tail in permutations([ANNA, AJAX, {"start": 9, "end": 14}], 2)
    ]
    answers = rows(cotpd("extract", relation_run, "--file", lines(*every)))
    assert [len(answer["relations"]) for answer in answers] == [1] * 6


def test_another_run_finds_the_entities(relation_run: Path, finished_run: Path, cotpd: Cotpd) -> None:
    texts = ["Messi lifts the cup in Lusail", "", "it's #Glastonbury 👩\u200d🚀!!"]
    outcome = cotpd("extract", relation_run, "--entities-from", finished_run, "--unrelated", *texts)
    assert (outcome.code, outcome.err) == (0, "")
    found = Extractor.from_pretrained(finished_run, device="cpu")(texts)
    assert any(len(extraction.entities) > 1 for extraction in found)
    for row, extraction in zip(rows(outcome), found, strict=True):
        names = [mention.word for mention in extraction.entities]
        assert row["text"] == extraction.text
        assert [entity["word"] for entity in row["entities"]] == names
        assert places(row) == list(permutations(names, 2))
    related = rows(cotpd("extract", relation_run, "--entities-from", finished_run, *texts))
    assert all(pair["label"] != "None" for row in related for pair in row["relations"])


def test_people_read_a_line_for_each_pair(relation_run: Path, lines: Callable[..., Path], cotpd: Cotpd) -> None:
    file = lines({"text": "\x1b[31mAnna joins Ajax", "head": {"start": 5, "end": 9}, "tail": {"start": 16, "end": 20}})
    shown = cotpd("extract", relation_run, "--human", "--file", file).out
    assert "\x1b" not in shown
    assert "Anna → Ajax" in shown


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": TEXT}, "nothing is marked; mark a pair as `head` and `tail`"),
        ({"text": TEXT, "head": ANNA}, "only one of `head` and `tail`"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 15, "end": 20}}, "[15, 20] does not lie in a text of 19"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 7, "end": 19}}, "[4, 8] and [7, 19] overlap"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": 8, "end": 9}}, "holds no word"),
        ({"text": TEXT, "head": ANNA, "tail": [15, 19]}, "tail: Input should be"),
        ({"text": TEXT, "head": ANNA, "tail": {"start": True, "end": 19}}, "tail.start: Input should be"),
        ({"text": TEXT, "entities": [ANNA, {**AJAX, "word": "Anna"}]}, "[15, 19) is 'Ajax', not 'Anna'"),
        ({"text": TEXT, "entities": ["gold"]}, "entities.0: Input should be"),
        ({"words": ["a", "b"], "head": {"start": 0, "end": 1}, "tail": {"start": 1, "end": 3}}, "a post of 2 words"),
        ({"text": "a b", "words": ["a", "b"], "entities": [{"start": 0, "end": 1}]}, "characters or words?"),
        ({"head": ANNA, "tail": AJAX}, "`text`, a string, or `words`"),
        (
            {"text": "ab " * 400, "head": {"start": 0, "end": 2}, "tail": {"start": 1197, "end": 1199}},
            "more than the enc",
        ),
    ],
)
def test_a_wrong_mark_is_named_and_what_came_before_it_is_answered(
    row: dict[str, Any], message: str, relation_run: Path, lines: Callable[..., Path], cotpd: Cotpd
) -> None:
    outcome = cotpd("extract", relation_run, "--file", lines({"text": TEXT, "head": ANNA, "tail": AJAX}, row))
    assert outcome.code == 5
    assert "marked.jsonl:2: " in outcome.err
    assert message in outcome.err
    assert len(rows(outcome)) == 1


def test_the_answer_of_an_extraction_can_be_read_again(
    relation_run: Path, finished_run: Path, tmp_path: Path, lines: Callable[..., Path], cotpd: Cotpd
) -> None:
    """Its rows hold `words` and `text`; their offsets are told apart by the words of the places."""
    entities = cotpd("extract", finished_run, "--file", lines({"words": TEXT.split()})).out
    (tmp_path / "found.jsonl").write_text(entities, encoding="utf-8")
    [row] = rows(cotpd("extract", relation_run, "--unrelated", "--file", tmp_path / "found.jsonl"))
    names = [entity["word"] for entity in row["entities"]]
    assert places(row) == list(permutations(names, 2))


def test_what_is_wrong_with_a_call_is_said(
    relation_run: Path, finished_run: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    (tmp_path / "posts.txt").write_text("a\n")
    for arguments in (["text"], ["--file", tmp_path / "posts.txt"]):
        refused = cotpd("extract", relation_run, *arguments)
        assert refused.code == 2
        assert "trained on relations" in refused.err
        assert "--entities-from" in refused.err
    assert "trained on entities" in cotpd("extract", finished_run, "--entities-from", finished_run, "a").err
    swapped = cotpd("extract", relation_run, "--entities-from", relation_run, "a")
    assert (swapped.code, "trained on relations" in swapped.err) == (2, True)
