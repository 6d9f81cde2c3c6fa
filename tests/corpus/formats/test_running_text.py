"""Formats with character offsets (WikiDiverse, BRAT, Label Studio): offsets are checked, and no mention is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.core.splitting import Rule, split_words
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats.parsing.offsets import TextMention, locate_mentions, words_touched
from cotpd.corpus.formats.parsing.reading import Reading

from .conftest import line_of

POST = ["👩 Anna joins Ajax", "i.jpg", "sports", [["Anna", "Person", 2, 6, "wiki/Anna"], ["Ajax", "Team", 13, 17, ""]]]


def kinds(defects: Any) -> list[tuple[str, Severity]]:
    return [(defect.kind, defect.severity) for defect in defects]


def test_wikidiverse_post_is_read(read: Any) -> None:
    """Offsets count code points, so the emoji before the name must not shift it."""
    [example], [defect] = read("wikidiverse", "\ufeff" + json.dumps([POST], indent=1).replace("\n", "\r\n"))
    assert example == Example(
        "a:1",
        ("👩", "Anna", "joins", "Ajax"),
        (Entity(Span(1, 2), "Person"), Entity(Span(3, 4), "Team")),
        image_id="i.jpg",
    )
    assert (defect.kind, "1 links, 1 topics" in defect.message) == ("not-kept", True)


def test_word_is_split_where_a_mention_ends(read: Any) -> None:
    """Extended to the whole word, ``Paris`` in ``Parisian`` would become another entity."""
    [example], defects = read("wikidiverse", json.dumps([["the Parisian", "", "", [["Paris", "LOC", 4, 9]]]]))
    assert (example.words, example.entities) == (("the", "Paris", "ian"), (Entity(Span(1, 2), "LOC"),))
    assert kinds(defects) == [("offsets-cut-word", Severity.WARNING)]


def test_tokenisation_can_be_chosen(read: Any) -> None:
    for splitting, words in (
        (Rule.FINE, ("#", "tag", "don", "'", "t")),
        (Rule.COARSE, ("#tag", "don", "'", "t")),
        ("spaces", ("#tag", "don't")),
    ):
        rows: dict[str, Any] = {"wikidiverse": [["#tag don't", "", "", []]], "jsonl": {"text": "#tag don't"}}
        for name, row in rows.items():
            [example], _ = read(name, json.dumps(row), splitting=splitting)
            assert example.words == words


def test_empty_image_id_means_no_image(read: Any) -> None:
    """As an id, the empty string would be one image that all such posts share."""
    for name, row in (
        ("jsonl", {"words": ["a"], "image": ""}),
        ("wikidiverse", [["a", "", "", []]]),
        ("label_studio", [{"data": {"text": "a", "image": ""}}]),
    ):
        [example], _ = read(name, json.dumps(row))
        assert example.image_id is None, name


_PLACES = st.tuples(st.integers(0, 12), st.integers(0, 12))


@settings(max_examples=50)
@given(st.text("ab #.", max_size=12), st.lists(_PLACES, max_size=6))
def test_mention_becomes_the_words_of_its_characters(text: str, places: list[tuple[int, int]]) -> None:
    mentions = [TextMention(start, end, f"a:{start}-{end}") for start, end in places if start < end <= len(text)]
    defects: list[Defect] = []
    words, spans = locate_mentions(text, mentions, Reading(defects.append))
    assert "".join(words) == "".join(text.split())
    for mention, span in zip(mentions, spans, strict=True):
        there = words[span.start : span.end] if span else ()
        assert "".join(there) == "".join(text[mention.start : mention.end].split())
    cut = [
        mention.where
        for mention in mentions
        for word in split_words(text)
        if word.start < mention.start < word.end or word.start < mention.end < word.end
    ]
    assert [defect.where for defect in defects if defect.kind == "offsets-cut-word"] == cut


@settings(max_examples=50)
@given(st.text("ab #.", max_size=12), _PLACES)
def test_words_touched_are_those_that_overlap_the_characters(text: str, place: tuple[int, int]) -> None:
    (start, end), words = sorted(place), split_words(text)
    touched = [number for number, word in enumerate(words) if word.end > start and word.start < end]
    expected = Span(touched[0], touched[-1] + 1) if touched else None
    assert start == end or words_touched(words, start, end) == expected


def test_mention_that_does_not_fit_its_offsets_is_an_error(read: Any) -> None:
    for mention, kind in (
        (["Bert", "PER", 2, 6], "mention-differs"),
        (["Anna", "PER", 3, 7], "mention-differs"),
        (["Anna", "PER", 2, 99], "bad-span"),
        (["Anna", "PER", -1, 2], "bad-span"),
        (["Anna", "PER", 6, 2], "bad-span"),
        ([" ", "PER", 6, 7], "bad-span"),
    ):
        rows = [["ok", "", "", []], [*POST[:3], [mention]]]
        examples, defects = read("wikidiverse", f"[{json.dumps(rows[0])},\n{json.dumps(rows[1])}]")
        assert kinds(defects)[0] == (kind, Severity.ERROR), mention
        assert line_of(defects[0]) == 2, mention
        assert examples[1].entities == (), mention


def test_broken_value_is_an_error_and_earlier_posts_are_kept(read: Any) -> None:
    for value, kind in (
        ('["a", "b"]', "bad-row"),
        ('["a", "b", "c", [["x", "PER", 0]]]', "bad-row"),
        ('{"a": 1}', "bad-row"),
        ('["a", "b", "c", "d", "e"]', "bad-row"),
        ("[1,,", "unreadable"),
        ("nope", "unreadable"),
        ("9" * 5000, "unreadable"),
        ("[" * 100_000, "unreadable"),
    ):
        examples, defects = read("wikidiverse", f'[["ok", "", "", []],\n{value}]')
        assert kinds(defects)[0] == (kind, Severity.ERROR), value[:40]
        assert len(examples) == 1, value[:40]


def test_array_with_a_wrong_end_is_an_error(read: Any) -> None:
    for content in (
        '[["ok", "", "", []],]',
        '[["ok", "", "", []]',
        '[["ok", "", "", []]] x',
    ):
        _, [defect] = read("wikidiverse", content)
        assert (defect.kind, defect.severity) == ("unreadable", Severity.ERROR), content


def test_longest_of_nested_mentions_is_kept(read: Any) -> None:
    mentions = [["York", "PER", 4, 8], ["New York", "LOC", 0, 8], ["York City", "ORG", 4, 13]]
    [example], defects = read("wikidiverse", json.dumps([["New York City", "", "", mentions]]))
    assert example.entities == (Entity(Span(0, 2), "LOC"),)
    assert kinds(defects) == [("overlap", Severity.WARNING)] * 2


ANN = "T1\tPER 2 6\tAnna\nT2\tORG 13 17\tAjax\nR1\tmember_of Arg1:T1 Arg2:T2\n"


def test_brat_document_is_read_with_any_line_ends_and_marks(read: Any) -> None:
    for text, ann in (
        ("👩 Anna joins Ajax\n", ANN),
        ("👩 Anna joins Ajax", ANN.replace("\n", "\r\n")),
        ("\ufeff👩 Anna joins Ajax\r\n", ANN),
        ("\ufeff👩 Anna joins Ajax\n", "\ufeff" + ANN.replace("2 6", "3 7").replace("13 17", "14 18")),
        ("👩 Anna joins Ajax\n", "#1\tAnnotatorNotes T1\tsure?\nA1\tFamous T1\n*\tAlias T1 T2\n\n" + ANN),
    ):
        [example], defects = read("brat", text, ann=ann)
        assert example == Example(
            "a:1",
            ("👩", "Anna", "joins", "Ajax"),
            (Entity(Span(1, 2), "PER"), Entity(Span(3, 4), "ORG")),
            (Relation(Span(1, 2), Span(3, 4), "member_of"),),
        ), ann
        assert {defect.kind for defect in defects} <= {"not-kept"}, ann


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_line_of_a_brat_document_is_a_post(newline: str, read: Any) -> None:
    """Some tools count the CR of CRLF and others do not; the texts of the annotations decide."""
    text = newline.join(["Bo waves", "", "Ajax wins", ""])
    for start in (text.index("Ajax"), text.replace("\r", "").index("Ajax")):
        found, defects = read("brat", text, ann=f"T1\tORG {start} {start + 4}\tAjax\nT2\tPER 0 2\tBo\n")
        assert [(example.id, example.words) for example in found] == [
            ("a:1", ("Bo", "waves")),
            ("a:3", ("Ajax", "wins")),
        ]
        assert [example.entities for example in found] == [(Entity(Span(0, 1), "PER"),), (Entity(Span(0, 1), "ORG"),)]
        assert defects == []


def test_annotation_that_cannot_be_kept_is_reported(read: Any) -> None:
    for line, kind, severity in (
        ("T2\tPER 0 1;13 17\t👩 Ajax", "discontinuous", Severity.WARNING),
        ("T2\tPER 2 12\tAnna joins", "overlap", Severity.WARNING),
        ("T2\tPER 13 20\tAjax No", "crosses-lines", Severity.WARNING),
        ("T2\tPER 7 12\tother", "mention-differs", Severity.ERROR),
        ("T2\tPER 90 99\tother", "bad-span", Severity.ERROR),
        ("T1\tPER 7 12\tjoins", "repeated-id", Severity.ERROR),
        ("R1\tknows Arg1:T1 Arg2:T9", "bad-span", Severity.ERROR),
        ("T2 PER 7 12 joins", "bad-annotation", Severity.ERROR),
        ("T2\tPER seven 12\tjoins", "bad-annotation", Severity.ERROR),
        (f"T2\tPER 7 {'9' * 5000}\tjoins", "bad-annotation", Severity.ERROR),
    ):
        _, defects = read("brat", "👩 Anna joins Ajax\nNo more\n", ann=f"T1\tPER 2 6\tAnna\n{line}\n")
        assert kinds(defects) == [(kind, severity)], line[:40]


def test_relation_of_a_skipped_entity_is_skipped_and_reported(read: Any) -> None:
    ann = "T1\tPER 0 2\tBo\nT2\tORG 3 5;9 10\tAj x\nT3\tORG 11 15\tAjax\nR1\tr Arg1:T1 Arg2:T2\nR2\tr Arg1:T1 Arg2:T3\n"
    _, defects = read("brat", "Bo Aj and x\nAjax\n".replace(" and", " an"), ann=ann)
    assert {defect.kind for defect in defects} == {"discontinuous", "lost-relation", "crosses-lines"}


def region(name: str, start: int, end: int, text: str | None, *labels: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": list(labels)} | ({} if text is None else {"text": text})
    return {"id": name, "type": "labels", "from_name": "label", "to_name": "text", "value": value}


def relation(head: str, tail: str, direction: str, *labels: str) -> dict[str, Any]:
    return {"type": "relation", "from_id": head, "to_id": tail, "direction": direction, "labels": list(labels)}


def task(*results: Any, **more: Any) -> str:
    annotations = [{"result": [], "was_cancelled": True}, {"result": results}]
    return json.dumps(
        [{"id": 5, "data": {"text": "👩 Anna joins Ajax", "image": "i.jpg"}, "annotations": annotations, **more}]
    )


def test_label_studio_task_is_read(read: Any) -> None:
    regions = region("x", 2, 6, "Anna", "PER", "STAR"), region("y", 13, 17, None, "ORG")
    ends = relation("y", "x", "left", "member_of"), relation("x", "y", "bi", "knows"), {"type": "choices", "value": {}}
    [example], defects = read("label_studio", task(*regions, *ends))
    head, tail = Span(1, 2), Span(3, 4)
    labels = [("member_of", head, tail), ("knows", head, tail), ("knows", tail, head)]
    assert (example.id, example.image_id) == ("5", "i.jpg")
    assert example.entities == (Entity(head, "PER"), Entity(tail, "ORG"))
    assert [(r.label, r.head, r.tail) for r in example.relations] == labels
    assert kinds(defects) == [("not-kept", Severity.WARNING)]
    assert "1 annotations, 1 choices results, 1 further labels of a region" in defects[0].message


def test_utf16_offsets_are_converted(read: Any) -> None:
    """JavaScript counts the emoji as two units, so every name after it would be off by one."""
    [example], defects = read("label_studio", task(region("x", 3, 7, "Anna", "PER")))
    assert example.entities == (Entity(Span(1, 2), "PER"),)
    assert [defect.kind for defect in defects] == ["utf16-offsets", "not-kept"]


def test_wrong_result_is_reported(read: Any) -> None:
    for results, kind, severity in (
        ([region("x", 4, 8, "Anna", "PER")], "mention-differs", Severity.ERROR),
        ([{"id": "x", "type": "labels", "value": {"labels": ["PER"]}}], "bad-span", Severity.ERROR),
        ([relation("x", "y", "right", "r")], "bad-span", Severity.ERROR),
        ([region("x", 2, 6, None), relation("x", "x", "right")], "no-label", Severity.WARNING),
    ):
        [example], defects = read("label_studio", task(*results))
        assert kinds(defects)[0] == (kind, severity), results
        assert (example.entities, example.relations) == ((), ()), results


def test_brat_mention_of_several_parts_is_one_if_only_white_space_separates_them(read: Any) -> None:
    text = "Mia sings in the Opera House Oslo\n"
    [example], defects = read("brat", text, ann="T1\tORG 17 22;23 28\tOpera House\n")
    assert ([example.words_of(entity.span) for entity in example.entities], defects) == (["Opera House"], [])
    [example], [defect] = read("brat", text, ann="T1\tORG 17 22;29 33\tOpera Oslo\n")
    assert (example.entities, defect.kind) == ((), "discontinuous")


def test_brat_directory_is_read_whole_with_the_split_of_each_name(tmp_path: Path) -> None:
    for name in ("a.train-1", "a.train-2", "a.dev-1"):
        (tmp_path / f"{name}.txt").write_text("Mia sings.\n")
        (tmp_path / f"{name}.ann").write_text("T1\tPER 0 3\tMia\n")
    corpus = Corpus.from_path(tmp_path)
    assert {split: len(posts) for split, posts in corpus.splits.items()} == {"train": 2, "dev": 1}
    (tmp_path / "other.txt").write_text("Bo\n")
    (tmp_path / "other.ann").write_text("")
    assert {split: len(posts) for split, posts in Corpus.from_path(tmp_path).splits.items()} == {"unsplit": 4}


def test_brat_annotations_without_their_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Mia\n")
    (tmp_path / "a.ann").write_text("T1\tPER 0 3\tMia\n")
    (tmp_path / "b.ann").write_text("T1\tPER 0 3\tMia\n")
    with pytest.raises(DataError, match=r"b\.ann:1: the text b\.txt is missing"):
        Corpus.from_path(tmp_path)
