"""Files as other tools write them, in odd shapes: read as they mean, or refused with their place, never in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import FORMATS, recognise
from cotpd.corpus.formats.parsing.reading import Reading

GERMEVAL = "# n-tv 2005\n1\tAnna\tB-PER\tO\n2\tvon\tI-PER\tO\n3\tA\tO\tO\n\n1\tBo\tB-PER\tO\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("conll2003", "Anna NNP B-NP B-PER\rwins VBZ O O\r\rBo NNP B-NP B-PER\r", "lone-cr"),
        ("twitter", "IMGID:1\nAnna\rBo\tB-PER\n", "lone-cr"),
        ("mnre", "{'token': ['a']}\r{'token': ['b']}\n", "lone-cr"),
        ("brat", "Anna\rBo\r", "lone-cr"),
        ("conll2003", GERMEVAL, "numbered-words"),
        ("conll2003", "Anna NNP\tB-NP B-PER\n", "unknown-tag"),
        ("conll2003", "bc/x 0 0 Anna NNP (TOP* - - - - (PERSON) -\n", "unknown-tag"),
        ("gliner", '[{"tokenized_text": ["a"], "tokenized_text": ["b"]}]', "unreadable"),
        ("gliner", '[{"tokenized_text": ["a"], "ner": [[0, 0, " "]]}]', "empty-label"),
        ("gliner", '[{"tokenized_text": ["a"], "ner": [[0, 0, "X"]], "relations": [[0, 1, "r"]]}]', "bad-span"),
        ("gliner", '[{"tokenized_text": ["a"], "ner": [[0, 0, "X"]], "relations": [[0, 0, ""]]}]', "empty-label"),
        ("wikidiverse", '[["a", "i", "a", "PER", "", "", "w", ["c"], "t", 0]]', "bad-row"),
        ("wikidiverse", '[["a", "i", "b", "PER", "", "", "w", ["c"], "t", 0, 1]]', "mention-differs"),
        ("wikidiverse", '[["a", "i", "a", "PER", "", "", "w", ["c"], "t", "0", 1]]', "bad-row"),
        ("label_studio", '[{"text": "a", "id": 1, "label": [{"start": 0, "end": 1, "labels": ["X"]}]}]', "bad-row"),
    ],
)
def test_what_would_be_read_wrong_is_an_error_with_its_place(name: str, content: str, kind: str, read: Any) -> None:
    ann = "T1\tPER 0 4\tAnna\rT2\tPER 5 7\tBo\r" if name == "brat" else None
    _, defects = read(name, content, ann=ann)
    errors = [defect for defect in defects if defect.severity is Severity.ERROR]
    assert kind in {defect.kind for defect in errors}
    assert all(defect.where.rpartition(":")[2][0].isdigit() for defect in errors)


def test_columns_that_only_count_may_be_passed_over(read: Any) -> None:
    found, defects = read("conll2003", GERMEVAL, columns=(1, 2))
    assert [example.words for example in found] == [("Anna", "von", "A"), ("Bo",)]
    assert {defect.kind for defect in defects} == {"comment"}


def test_numbers_are_words_where_they_do_not_count_all_posts(read: Any) -> None:
    found, defects = read("conll2003", "1 O\n2 O\n3 O\n\nAnna B-PER\n")
    assert ([len(example.words) for example in found], defects) == ([3, 1], [])


def test_a_word_between_tabs_keeps_its_spaces(read: Any) -> None:
    """Cut at the space, York would be gone: a column that nobody asked for."""
    [example], [defect] = read("conll2003", "New York\tNNP\tB-LOC\n")
    assert (example.words, defect.kind, defect.where[-2:]) == (("New York",), "space-in-word", ":1")


def test_a_line_with_more_columns_than_the_others_is_reported(read: Any) -> None:
    """Between spaces, half of a word with a space in it becomes a column that nobody reads."""
    found, [defect] = read("conll2003", "Anna NNP I-NP B-PER\nNew York NNP I-NP B-LOC\n")
    assert (defect.kind, defect.where[-2:], found[0].words) == ("columns-differ", ":2", ("Anna", "New"))


@pytest.mark.parametrize("line", ["-DOCSTART- -X- O O", "-DOCSTART-", "-DOCSTART-\tO", "-DOCSTART- -X- -X-\tO"])
def test_a_document_begins_in_any_way(line: str, read: Any) -> None:
    found, defects = read("conll2003", f"{line}\n\nAnna B-PER\n{line}\nBo B-PER\n")
    assert ([example.words for example in found], defects) == ([("Anna",), ("Bo",)], [])


@pytest.mark.parametrize("name", ["conll2003", "twitter"])
def test_a_byte_order_mark_inside_is_reported(name: str, read: Any) -> None:
    """Two files in one: the first word of the second is another one, and nobody sees it."""
    found, defects = read(name, "IMGID:1\nAnna\tO\n\nIMGID:2\n\ufeffBo\tB-PER\n")
    assert "\ufeffBo" in found[-1].words
    assert ("control-character", "5") in [(defect.kind, defect.where[-1]) for defect in defects]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("hf_datasets", "spacy_docbin")])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_one_clear_error(name: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{FORMATS[name].suffix}"
    path.write_bytes("\ufeffIMGID:1\nAnna\tB-PER\n".encode(encoding))
    path.with_suffix(".ann").write_bytes(b"")
    defects: list[Defect] = []
    assert list(FORMATS[name].read(path, Reading(defects.append))) == []
    assert "UTF-16" in defects[0].message
    assert defects[0].where == f"{path}:1"


def test_a_type_that_a_line_cannot_hold_is_refused(tmp_path: Path) -> None:
    for label in ("a\tb", "a\nB-PER", "PER "):
        with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
            FORMATS["twitter"].write(tmp_path / "a.txt", [Example("the_id", ("w",), (Entity(Span(0, 1), label),))])


def test_the_relations_of_gliner_are_read(read: Any) -> None:
    """Arguments are numbers of ``ner`` as the file has it, entities that overlap included."""
    ner = [[0, 0, "name"], [0, 1, "person"], [3, 3, "team"]]
    post = {"tokenized_text": ["Anna", "Blum", "joins", "Ajax"], "ner": ner, "rel_negatives": ["x"]}
    [example], defects = read("gliner", json.dumps([{**post, "relations": [[1, 2, "member_of"]]}]))
    assert example.relations == (Relation(Span(0, 2), Span(3, 4), "member_of"),)
    assert [defect.kind for defect in defects] == ["overlap", "not-kept"]


def test_the_files_of_wikidiverse_with_candidates_are_read(read: Any) -> None:
    """They hold a mention an array; as posts of their own, each would deny the other mentions of its sentence."""
    rest = ["", "", "wiki/X", ["X", "Y"], "sports"]
    values = [
        ["Anna joins Ajax", "i.jpg", "Anna", "Person", *rest, 0, 4],
        ["Anna joins Ajax", "i.jpg", "Ajax", "Team", *rest, 11, 15],
        ["Anna joins Ajax", "j.jpg", "Ajax", "Team", *rest, 11, 15],
    ]
    found, [defect] = read("wikidiverse", json.dumps(values))
    assert [(example.id, [entity.label for entity in example.entities]) for example in found] == [
        ("a:1", ["Person", "Team"]),
        ("a:2", ["Team"]),
    ]
    assert defect.message.endswith("6 candidates, 3 links, 2 topics")


def test_events_of_brat_are_not_kept_and_their_triggers_are_no_entities(read: Any) -> None:
    ann = (
        "T1\tPER 0 5\tObama\nT2\tMEET 6 9\tmet\nT3\tPER 10 16\tMerkel\nE1\tMEET:T2 Who:T1 Whom:T3\n"
        "N1\tReference T1 Wikipedia:534366\tBarack Obama\nR1\tcause Arg1:E1 Arg2:T1\nR2\tknows Arg1:T1 Arg2:T3\t\n"
    )
    [example], [defect] = read("brat", "Obama met Merkel\n", ann=ann)
    assert example.entities == (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "PER"))
    assert [relation.label for relation in example.relations] == ["knows"]
    assert defect.message.endswith("1 events, 1 links, 1 relations of events, 1 triggers of events")


def test_offsets_in_bytes_are_an_error(read: Any) -> None:
    """They reach into the next line here: that is no reason to take them for a mention over two lines."""
    _, [defect] = read("brat", "é Rome\nBo\n", ann="T1\tLOC 3 7\tRome\n")
    assert (defect.kind, defect.severity) == ("mention-differs", Severity.ERROR)


def labelled(name: str, start: int, end: int, text: str, label: str) -> dict[str, Any]:
    return {"id": name, "type": "labels", "value": {"start": start, "end": end, "text": text, "labels": [label]}}


def task(*annotations: dict[str, Any], key: str = "annotations", **more: Any) -> str:
    return json.dumps([{"id": 1, "data": {"text": "Anna joins Ajax"}, key: annotations, **more}])


ANNA, AJAX = labelled("x", 0, 4, "Anna", "PER"), labelled("y", 11, 15, "Ajax", "ORG")


def test_other_results_of_label_studio_are_counted(read: Any) -> None:
    """A note beside the labels must not make the task unreadable; a relation to an image region has no place here."""
    note = {"id": "x", "type": "textarea", "value": {"start": 0, "end": 4, "text": ["sure?"]}}
    box = {"id": "b", "type": "rectanglelabels", "value": {"x": 1.5, "rectanglelabels": ["Star"]}}
    link = {"type": "relation", "from_id": "x", "to_id": "b", "direction": "right", "labels": ["shown"]}
    [example], [defect] = read("label_studio", task({"result": [ANNA, note, box, link]}, predictions=[{}]))
    assert (example.entities, example.relations) == ((Entity(Span(0, 1), "PER"),), ())
    counted = "1 predictions, 1 rectanglelabels results, 1 relations of other results, 1 textarea results"
    assert defect.message.endswith(counted)


def test_what_else_a_label_studio_task_holds_is_counted(read: Any) -> None:
    """Who wrote a post, and when, would be gone unsaid; what an export adds of its own is no loss."""
    data = {"text": "Anna joins Ajax", "tweet_author": "bo", "date": "2017", "place": None}
    region = ANNA | {"meta": {"text": ["sure"]}, "origin": "manual"}
    given = {"id": 1, "data": data, "meta": {"batch": 3}, "project": 7, "created_at": "2020"}
    content = json.dumps([given | {"annotations": [{"result": [region, AJAX | {"meta": {}}]}]}])
    [example], [defect] = read("label_studio", content)
    assert len(example.entities) == 2
    assert defect.message.endswith(": 1 data.date, 1 data.tweet_author, 1 meta of results, 1 meta of tasks")


def test_of_several_annotators_the_ground_truth_counts(read: Any) -> None:
    [example], [defect] = read("label_studio", task({"result": [ANNA]}, {"result": [AJAX], "ground_truth": True}))
    assert [entity.label for entity in example.entities] == ["ORG"]
    assert (defect.kind, "1 annotations" in defect.message) == ("not-kept", True)


def test_the_old_name_of_annotations_is_known(read: Any) -> None:
    """Before version 1 they were called completions: without that name, every entity would be gone."""
    [example], defects = read("label_studio", task({"result": [ANNA]}, key="completions"))
    assert ([entity.label for entity in example.entities], defects) == (["PER"], [])


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("# id 1 domain=en\nAnna _ _ B-PER\n", "conll2003"),
        ("Anna\tB-PER\n", "conll2003"),
        ("IMGID:1\nAnna\tB-PER\n", "twitter"),
    ],
)
def test_a_conll_file_is_known_by_its_ending(content: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(content, encoding="utf-8")
    assert recognise(tmp_path / "train.conll") == name
