"""Extraction from rows: answers for each task, as a stream, up to the first defective row."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.inference.extractor import Extractor
from cotpd.inference.relation_extractor import MarkedText, RelationExtractor
from cotpd.inference.rows.extraction import extract_rows
from cotpd.inference.rows.row_answers import RowOptions
from cotpd.inference.rows.text_rows import TextRow, row_text
from cotpd.student.student import Student

TEXTS = ["Messi lifts the cup in Lusail", "it's #Glastonbury 👩\u200d🚀!!", ""]
TEXT = "👩\u200d🚀 Anna joins Ajax"
ANNA, AJAX = {"start": 4, "end": 8}, {"start": 15, "end": 19}
POST = "Anna met Bob and Cleo near Dover , then Eve and Finn saw Gent"
NAMES = [word for word in POST.split() if word[0].isupper()]
PLACES = [{"start": POST.index(name), "end": POST.index(name) + len(name)} for name in NAMES]


@pytest.fixture(scope="module")
def relation_student(make_relation_student: Callable[..., Student]) -> Student:
    return make_relation_student()


def rows(*posts: dict[str, Any]) -> Iterator[TextRow]:
    for number, fields in enumerate(posts, 1):
        yield TextRow(row_text(fields, f"f:{number}"), fields, f"f:{number}")


def texts(*texts: str) -> list[TextRow]:
    return [TextRow(text, {}, "") for text in texts]


def pairs(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the words of each head and tail after checking them against their offsets."""
    for relation in answer["relations"]:
        for side in ("head", "tail"):
            assert relation[side]["word"] == answer["text"][relation[side]["start"] : relation[side]["end"]]
    return [(relation["head"]["word"], relation["tail"]["word"]) for relation in answer["relations"]]


def test_entities_are_those_of_the_extractor(student: Student) -> None:
    answers = list(extract_rows(student, texts(*TEXTS)))
    assert [row.text for row, _ in answers] == TEXTS
    assert [answer for _, answer in answers] == [each.to_dict() for each in Extractor(student)(TEXTS)]
    assert any(answer["entities"] for _, answer in answers)


def test_a_smallest_score_hides_what_is_less_probable(student: Student, relation_student: Student) -> None:
    pair = {"text": TEXT, "head": ANNA, "tail": AJAX}
    for each, key, source in ((student, "entities", texts(*TEXTS)), (relation_student, "relations", [*rows(pair)])):
        scores = sorted(found["score"] for _, answer in extract_rows(each, source) for found in answer[key])
        middle = scores[len(scores) // 2]
        answers = extract_rows(each, source, RowOptions(min_score=middle))
        assert sorted(found["score"] for _, answer in answers for found in answer[key]) == [
            score for score in scores if score >= middle
        ]
        answers = extract_rows(each, source, RowOptions(min_score=1.0))
        assert [answer[key] for _, answer in answers] == [[]] * len(source)


def test_the_precision_reaches_the_student(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("cotpd.inference.decoding.resolve_precision", lambda precision, device: asked.append(precision))
    list(extract_rows(student, texts(*TEXTS), RowOptions(precision="bfloat16")))
    assert set(asked) == {"bfloat16"}


def test_rows_before_a_defective_one_are_answered(student: Student, relation_student: Student) -> None:
    pair = {"text": TEXT, "head": ANNA, "tail": AJAX}
    long_pair = {"text": "ab " * 400, "head": {"start": 0, "end": 2}, "tail": {"start": 1197, "end": 1199}}
    cases: list[tuple[Student, dict[str, Any], str]] = [
        (student, {"words": [1]}, "f:2: expected `text`"),
        (relation_student, {"text": TEXT}, "f:2: the row has no marks"),
        (relation_student, long_pair, "f:2: .*longer than the encoder allows"),
    ]
    for reader, defective, message in cases:
        answers = extract_rows(reader, rows(pair, defective))
        assert next(answers)[1]["text"] == TEXT
        with pytest.raises(DataError, match=message):
            next(answers)


def test_a_batch_size_of_one_answers_each_row_before_the_next_is_read(student: Student) -> None:
    num_answers = 0

    def source() -> Iterator[TextRow]:
        for number, row in enumerate(texts(*TEXTS)):
            assert num_answers == number
            yield row

    for _ in extract_rows(student, source(), RowOptions(batch_size=1)):
        num_answers += 1
    assert num_answers == len(TEXTS)


def test_a_marked_pair_gets_the_answer_of_the_relation_extractor(relation_student: Student) -> None:
    words = {"words": TEXT.split(), "head": {"start": 1, "end": 2}, "tail": {"start": 3, "end": 4}}
    marked = rows({"text": TEXT, "head": ANNA, "tail": AJAX}, words)
    expected = RelationExtractor(relation_student)(MarkedText(TEXT, pairs=(((4, 8), (15, 19)),))).pairs[0]
    for _, answer in extract_rows(relation_student, marked):
        assert pairs(answer) == [("Anna", "Ajax")]
        assert answer["relations"][0]["label"] == expected.label
        assert answer["relations"][0]["score"] == pytest.approx(expected.score, abs=1e-4)


def test_unrelated_pairs_of_entities_are_an_option_and_a_single_pair_is_always_answered(
    relation_student: Student,
) -> None:
    posts = ({"text": POST, "entities": PLACES}, {"text": "a", "entities": []})
    [(_, every), (_, empty)] = extract_rows(relation_student, rows(*posts), RowOptions(unrelated=True))
    assert pairs(every) == list(permutations(NAMES, 2))
    assert empty["relations"] == []
    [(_, related), _] = extract_rows(relation_student, rows(*posts))
    assert related["relations"] == [pair for pair in every["relations"] if pair["label"] != "None"]
    assert 0 < len(related["relations"]) < len(every["relations"])
    single = [{"text": POST, "head": head, "tail": tail} for head, tail in permutations(PLACES, 2)]
    answers = [answer["relations"] for _, answer in extract_rows(relation_student, rows(*single))]
    assert [len(relations) for relations in answers] == [1] * len(single)
    assert any(relations[0]["label"] == "None" for relations in answers)


def test_an_entity_finder_provides_the_entities(student: Student, relation_student: Student) -> None:
    finder = Extractor(student)
    options = RowOptions(entity_finder=finder, unrelated=True)
    found = finder(TEXTS)
    assert any(len(extraction.entities) > 1 for extraction in found)
    answers = [answer for _, answer in extract_rows(relation_student, texts(*TEXTS), options)]
    for answer, extraction in zip(answers, found, strict=True):
        assert answer["entities"] == extraction.to_dict()["entities"]
        assert pairs(answer) == list(permutations([mention.word for mention in extraction.entities], 2))


def test_pairs_that_are_too_far_apart_are_counted_in_a_warning(
    relation_student: Student, caplog: pytest.LogCaptureFixture
) -> None:
    far = {"text": "ab " * 400, "entities": [{"start": 0, "end": 2}, {"start": 1197, "end": 1199}]}
    with caplog.at_level(logging.WARNING):
        [(_, answer)] = extract_rows(relation_student, rows(far))
    assert answer["relations"] == []
    assert "f:1: skipped 2 pairs of entities that are too far apart" in caplog.text


def test_extracted_entities_can_be_read_as_marks(student: Student, relation_student: Student) -> None:
    """The row then holds `words` and `text`; the word of each mark says that its offsets count characters."""
    [(row, answer)] = extract_rows(student, rows({"words": TEXTS[0].split()}))
    again = json.loads(json.dumps(row.fields | answer))
    [(_, related)] = extract_rows(relation_student, rows(again), RowOptions(unrelated=True))
    assert pairs(related) == list(permutations([entity["word"] for entity in answer["entities"]], 2))
