"""Files of other annotation tools: their annotations are read, or their rows are errors; none is dropped silently."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus

TEXT = "Mia Lund sings in Oslo"


def mentions(example: Example) -> list[tuple[str, str]]:
    return [(example.words_of(entity.span), entity.label) for entity in example.entities]


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "spans": [{"start": 0, "end": 8, "label": "PER", "token_end": 1}], "answer": "accept"},
        {"text": TEXT, "label": [[0, 8, "PER"]], "id": 7},
        {"text": TEXT, "labels": [[0, 8, "PER"]]},
        {"text": TEXT, "entities": [{"id": 3, "label": "PER", "start_offset": 0, "end_offset": 8}], "relations": []},
        {"text": TEXT, "entities": [[0, 8, "PER"]]},
        {"text": TEXT, "ents": [{"start": 0, "end": 8, "label": "PER"}], "tokens": [{"id": 0, "start": 0}]},
        {"text": TEXT, "label": [{"start": 0, "end": 8, "text": "Mia Lund", "labels": ["PER"]}]},
        {"tokens": TEXT.split(), "ner_tags": ["B-PER", "I-PER", "O", "O", "O"]},
        {"words": TEXT.split(), "tags": ["B-PER", "I-PER", "O", "O", "O"]},
    ],
    ids=["prodigy", "doccano", "doccano-labels", "doccano-v1", "triples", "spacy", "json-min", "datasets", "tags"],
)
def test_rows_of_other_tools_are_read(row: dict[str, Any], read: Any) -> None:
    [example], defects = read("jsonl", json.dumps(row))
    assert mentions(example) == [("Mia Lund", "PER")]
    assert {defect.kind for defect in defects} <= {"unknown-key"}


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "mentions": [{"from": 0, "to": 8, "type": "PER"}]},
        {"text": TEXT, "annotations": [{"result": [{"value": {"start": 0, "end": 8, "labels": ["PER"]}}]}]},
        {"text": TEXT, "spans": [{"start": 0, "end": 8, "label": "PER"}, {"start": 1, "label": "X"}]},
        {"words": TEXT.split(), "bio": ["B-PER", "I-PER", "O", "O", "O"]},
        {"words": TEXT.split(), "ner": [[0, 1, "PER"]]},
    ],
    ids=["mentions", "nested", "half", "tags", "ner"],
)
def test_annotations_under_an_unknown_key_are_an_error(row: dict[str, Any], read: Any) -> None:
    _, [error, *_] = read("jsonl", json.dumps(row))
    assert (error.kind, error.severity) == ("unread-annotations", "error")
    assert any(f"`{key}`" in error.message for key in row)


def test_other_unknown_keys_are_only_reported(read: Any) -> None:
    row = {"text": TEXT, "tags": ["music", "city"], "scores": [1, 2], "user": {"name": "x", "start": 1}, "cats": {}}
    [_], [defect] = read("jsonl", json.dumps(row))
    assert (defect.kind, defect.severity) == ("unknown-key", "warning")


def test_numbered_tags_are_an_error_that_names_the_way_out(read: Any) -> None:
    _, [error] = read("jsonl", json.dumps({"tokens": ["Mia"], "ner_tags": [1]}))
    assert (error.kind, "save_to_disk" in error.message) == ("numbered-tags", True)


def test_rejected_rows_are_skipped_and_reported(read: Any) -> None:
    rows = [{"text": TEXT, "spans": [], "answer": answer} for answer in ("accept", "reject", "ignore")]
    found, defects = read("jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert len(found) == 1
    assert [defect.where[-2:] for defect in defects if defect.kind == "not-accepted"] == [":2", ":3"]


def test_relations_of_other_tools_are_read(read: Any) -> None:
    doccano = {
        "text": TEXT,
        "entities": [
            {"id": 31, "label": "PER", "start_offset": 0, "end_offset": 8},
            {"id": 32, "label": "LOC", "start_offset": 18, "end_offset": 22},
        ],
        "relations": [{"id": 1, "from_id": 31, "to_id": 32, "type": "in"}],
    }
    spans = [{"start": 0, "end": 8, "label": "PER"}, {"start": 18, "end": 22, "label": "LOC"}]
    arc = {"head": 1, "child": 4, "head_span": spans[0], "child_span": spans[1], "label": "in"}
    for row in (doccano, {"text": TEXT, "spans": spans, "relations": [arc]}):
        [example], _ = read("jsonl", json.dumps(row))
        [relation] = example.relations
        assert (example.words_of(relation.head), example.words_of(relation.tail)) == ("Mia Lund", "Oslo")


def studio(text: str, *values: dict[str, Any], kind: str = "labels") -> str:
    results = [{"id": str(n), "type": kind, "value": value} for n, value in enumerate(values)]
    return json.dumps([{"id": 1, "data": {"text": text}, "annotations": [{"result": results}]}])


def test_regions_of_hypertext_are_read_or_an_error(read: Any) -> None:
    value = {"start": "/a", "end": "/a", "globalOffsets": {"start": 0, "end": 8}, "hypertextlabels": ["PER"]}
    [example], defects = read("label_studio", studio(TEXT, {**value, "text": "Mia Lund"}, kind="hypertextlabels"))
    assert (mentions(example), defects) == ([("Mia Lund", "PER")], [])
    for kind in ("hypertextlabels", "paragraphlabels"):
        _, defects = read("label_studio", studio(TEXT, value, kind=kind))
        assert ("unread-annotations", "error") in [(defect.kind, defect.severity) for defect in defects]


EMOJI = "🎤🏾 Mia Lund 🎶 in Oslo"


def test_offsets_that_only_fit_as_utf16_are_read_so(read: Any) -> None:
    places = [(5, 13, "PER"), (20, 24, "LOC")]
    values = [{"start": start, "end": end, "labels": [label]} for start, end, label in places]
    for name, content in (
        ("label_studio", studio(EMOJI, *values)),
        ("jsonl", json.dumps({"text": EMOJI, "spans": [{"start": s, "end": e, "label": x} for s, e, x in places]})),
        ("jsonl", json.dumps({"text": EMOJI, "entities": [{"start": s, "end": e, "label": x} for s, e, x in places]})),
    ):
        [example], defects = read(name, content)
        assert mentions(example) == [("Mia Lund", "PER"), ("Oslo", "LOC")], name
        assert {defect.kind for defect in defects} == {"utf16-offsets"}


def test_offsets_in_code_points_stay_so(read: Any) -> None:
    [example], defects = read("jsonl", json.dumps({"text": EMOJI, "label": [[3, 11, "PER"], [17, 21, "LOC"]]}))
    assert (mentions(example), defects) == ([("Mia Lund", "PER"), ("Oslo", "LOC")], [])


def test_offsets_that_fit_both_ways_are_reported(read: Any) -> None:
    [example], [defect] = read("label_studio", studio("🎤 (x y", {"start": 3, "end": 4, "labels": ["X"]}))
    assert (mentions(example), defect.kind) == ([("x", "X")], "unconfirmed-offsets")


def test_rows_in_a_json_array_are_read(tmp_path: Path) -> None:
    for content in (
        [{"id": 1, "text": TEXT, "label": [[0, 8, "PER"]]}],
        [{"id": 1, "text": TEXT, "label": [{"start": 0, "end": 8, "text": "Mia Lund", "labels": ["PER"]}]}],
        [[TEXT, {"entities": [[0, 8, "PER"]]}]],
    ):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content))
        assert mentions(Corpus.from_path(path).unsplit[0]) == [("Mia Lund", "PER")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n\n#Text=Mia\n1-1\t0-3\tMia\tPER\n", "export it as CoNLL"),
        ("a.conllu", "# sent_id = 1\n1\tMia\tMia\tPROPN\t_\t_\t0\troot\t_\tNER=B-PER\n", "expected O, or a type"),
        ("a.iob2", "# text = x\n1\tMia\tB-PER\t-\t-\n", "--columns WORD,2"),
        ("a.txt", "Mia\tperson-artist\n", "expected O, or a type with the prefix"),
        ("a.json", json.dumps([{"paragraphs": [{"raw": "x"}]}]), "unknown format"),
    ],
)
def test_other_layouts_are_one_clear_error(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        Corpus.from_path(tmp_path / name)
