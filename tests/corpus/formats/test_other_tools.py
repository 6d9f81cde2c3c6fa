"""Files of other tools in unusual shapes: read as intended or reported, but never misread silently."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError
from cotpd.core.labels import Repair
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.defects import Severity
from cotpd.corpus.formats import FORMATS, recognise

from .conftest import line_of

GERMEVAL = "# n-tv 2005\n1\tAnna\tB-PER\tO\n2\tvon\tI-PER\tO\n3\tA\tO\tO\n\n1\tBo\tB-PER\tO\n"


def test_content_that_would_be_misread_is_an_error(read: Any) -> None:
    for name, content, kind in (
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
    ):
        ann = "T1\tPER 0 4\tAnna\rT2\tPER 5 7\tBo\r" if name == "brat" else None
        _, defects = read(name, content, ann=ann)
        assert kind in {defect.kind for defect in defects if defect.severity is Severity.ERROR}, content


def test_columns_can_be_chosen_to_skip_word_numbers(read: Any) -> None:
    found, defects = read("conll2003", GERMEVAL, columns=(1, 2))
    assert [example.words for example in found] == [("Anna", "von", "A"), ("Bo",)]
    assert {defect.kind for defect in defects} == {"comment"}


def test_numbers_are_words_if_they_do_not_number_every_post(read: Any) -> None:
    found, defects = read("conll2003", "1 O\n2 O\n3 O\n\nAnna B-PER\n")
    assert ([len(example.words) for example in found], defects) == ([3, 1], [])


def test_word_between_tabs_keeps_its_spaces(read: Any) -> None:
    [example], [defect] = read("conll2003", "New York\tNNP\tB-LOC\n")
    assert (example.words, defect.kind, defect.where[-2:]) == (("New York",), "space-in-word", ":1")


def test_surplus_columns_between_spaces_belong_to_the_word(read: Any) -> None:
    for content, columns in (
        ("Anna NNP I-NP B-PER\nNew York NNP I-NP B-LOC\n", None),
        ("1 Anna B-PER x\n2 New York B-LOC x\n", (1, 2)),
    ):
        if columns:
            content = content.replace(" x\n", " O\n")
        found, [defect] = read("conll2003", content, columns=columns)
        assert (defect.kind, defect.where[-2:], found[0].words) == ("space-in-word", ":2", ("Anna", "New York"))
        assert [entity.label for entity in found[0].entities] == ["PER", "LOC"]


def test_line_with_other_columns_than_the_file_is_an_error(read: Any) -> None:
    """A column that is missing or surplus may be the word, so no other column is taken for it."""
    for content in ("Bo _ _ B-PER\n_ _ O\nend _ _ O\n", "Bo\tB-PER\nAjax\tB-ORG\tnew\nend\tO\nend\tO\n"):
        _, defects = read("conll2003", content)
        assert (defects[0].kind, defects[0].severity, defects[0].where[-2:]) == ("columns-differ", "error", ":2")


def test_empty_word_is_an_error(read: Any) -> None:
    """Two tabs in a row enclose an empty column; the next column is not the word."""
    for content, columns in (
        ("1\tBo\tB-PER\tO\n2\t\tI-PER\tO\n3\tsings\tO\tO\n", (1, 2)),
        ("Bo\tB-PER\n\tI-PER\nsings\tO\n", None),
        ("Bo NN B-PER\n NN I-PER\nsings VB O\n", None),
    ):
        found, [defect] = read("conll2003", content, columns=columns)
        assert (defect.kind, defect.where[-2:]) == ("empty-word", ":2")
        assert found[0].words == ("Bo", "", "sings")
        assert found[0].entities == (Entity(Span(0, 2), "PER"),)


def test_several_tabs_may_align_columns(read: Any) -> None:
    [example], defects = read("conll2003", "Bo\t\t\tNNP\tB-PER\nAlexandra\tNNP\tI-PER\nsings\t\tVB\tO\n")
    assert (example.words, defects) == (("Bo", "Alexandra", "sings"), [])


def test_several_types_in_one_tag_are_an_error(read: Any) -> None:
    for tag in ("B-person,B-group", "I-PER|O", "B-PER; I-LOC"):
        for name in ("conll2003", "twitter"):
            content = f"Bo\t{tag}\nsings\tO\n"
            [example], defects = read(name, content)
            [error] = [defect for defect in defects if defect.severity == "error"]
            assert (error.kind, error.where[-2:], example.entities) == ("several-labels", ":1", ()), tag


def test_types_that_would_read_as_several_cannot_be_written(tmp_path: Path) -> None:
    example = Example("x", ("Bo",), (Entity(Span(0, 1), "PER,B-ORG"),))
    for name in ("conll2003", "twitter"):
        with pytest.raises(DataError, match="several tags"):
            FORMATS[name].write(tmp_path / "a", [example])


def test_few_tags_with_ends_do_not_break_the_other_entities(read: Any) -> None:
    content = "Bo B-PER\nLi I-PER\n\nOslo B-LOC\n\nAjax U-ORG\n"
    found, [defect] = read("conll2003", content, repair=Repair.DROP)
    assert [[entity.label for entity in example.entities] for example in found] == [["PER"], ["LOC"], ["ORG"]]
    assert (defect.kind, "as BIO" in defect.message) == ("tag-scheme", True)


def test_universal_dependencies_files_name_the_option_that_helps(read: Any) -> None:
    content = "# sent_id = 1\n1-2\tVamos\tO\n1\tVa\tB-PER\n2\tmos\tO\n3\tya\tO\n"
    _, defects = read("conll2003", content)
    [error] = [defect for defect in defects if defect.severity == "error"]
    assert (error.kind, "--columns" in error.message) == ("numbered-words", True)
    [example], _ = read("conll2003", content, columns=(1, 2))
    assert example.words == ("Vamos", "Va", "mos", "ya")


def test_column_that_holds_the_tags_is_named(read: Any) -> None:
    _, [error] = read("conll2003", "Bo B-PER x\n")
    assert "column 1 holds the tags" in error.message


def test_columns_of_twitter_files_can_be_chosen(read: Any) -> None:
    content = "IMGID:7\nBo\tB-person\tB-singer\nsings\tO\tO\n"
    _, defects = read("twitter", content)
    assert ["--columns" in defect.message for defect in defects[:2]] == [True, True]
    for columns, label in (((0, 1), "person"), ((0, -1), "singer")):
        [example], defects = read("twitter", content, columns=columns)
        assert (example.words, example.image_id, defects) == (("Bo", "sings"), "7", [])
        assert example.entities == (Entity(Span(0, 1), label),)


def test_document_lines_are_skipped(read: Any) -> None:
    for line in (
        "-DOCSTART- -X- O O",
        "-DOCSTART-",
        "-DOCSTART-\tO",
        "-DOCSTART- -X- -X-\tO",
    ):
        examples, defects = read("conll2003", f"{line}\n\nAnna B-PER\n{line}\nBo B-PER\n")
        assert ([example.words for example in examples], defects) == ([("Anna",), ("Bo",)], []), line


@pytest.mark.parametrize("name", ["conll2003", "twitter"])
def test_byte_order_mark_within_a_file_is_reported(name: str, read: Any) -> None:
    """It occurs in concatenated files, and invisibly changes a word."""
    found, defects = read(name, "IMGID:1\nAnna\tO\n\nIMGID:2\n\ufeffBo\tB-PER\n")
    assert "\ufeffBo" in found[-1].words
    assert ("control-character", "5") in [(defect.kind, defect.where[-1]) for defect in defects]


def test_utf16_is_one_clear_error(read: Any) -> None:
    for name in (name for name in FORMATS if name not in ("hf_datasets", "spacy_docbin")):
        for encoding in ("utf-16-le", "utf-16-be"):
            content = "\ufeffIMGID:1\nAnna\tB-PER\n".encode(encoding)
            examples, defects = read(name, content, ann="" if name == "brat" else None)
            assert examples == [], name
            assert ("UTF-16" in defects[0].message, line_of(defects[0])) == (True, 1), name


def test_writer_refuses_types_with_white_space(tmp_path: Path) -> None:
    for label in ("a\tb", "a\nB-PER", "PER "):
        with pytest.raises(DataError, match=r"^the_id: .*cannot be written"):
            FORMATS["twitter"].write(tmp_path / "a.txt", [Example("the_id", ("w",), (Entity(Span(0, 1), label),))])


def test_gliner_relations_are_read(read: Any) -> None:
    """Arguments are indices into ``ner`` of the file, which includes overlapping entities."""
    ner = [[0, 0, "name"], [0, 1, "person"], [3, 3, "team"]]
    post = {"tokenized_text": ["Anna", "Blum", "joins", "Ajax"], "ner": ner, "rel_negatives": ["x"]}
    [example], defects = read("gliner", json.dumps([{**post, "relations": [[1, 2, "member_of"]]}]))
    assert example.relations == (Relation(Span(0, 2), Span(3, 4), "member_of"),)
    assert [defect.kind for defect in defects] == ["overlap", "not-kept"]


def test_wikidiverse_files_with_candidates_are_read(read: Any) -> None:
    """They have one array per mention. As separate posts, each would lack the other mentions of its sentence."""
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


def test_brat_events_and_their_triggers_are_ignored_and_counted(read: Any) -> None:
    ann = (
        "T1\tPER 0 5\tObama\nT2\tMEET 6 9\tmet\nT3\tPER 10 16\tMerkel\nE1\tMEET:T2 Who:T1 Whom:T3\n"
        "N1\tReference T1 Wikipedia:534366\tBarack Obama\nR1\tcause Arg1:E1 Arg2:T1\nR2\tknows Arg1:T1 Arg2:T3\t\n"
    )
    [example], [defect] = read("brat", "Obama met Merkel\n", ann=ann)
    assert example.entities == (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "PER"))
    assert [relation.label for relation in example.relations] == ["knows"]
    assert defect.message.endswith("1 events, 1 links, 1 relations of events, 1 triggers of events")


def test_offsets_in_bytes_are_an_error(read: Any) -> None:
    """Here they extend into the next line, but they must not be reported as a mention across lines."""
    _, [defect] = read("brat", "é Rome\nBo\n", ann="T1\tLOC 3 7\tRome\n")
    assert (defect.kind, defect.severity) == ("mention-differs", Severity.ERROR)


def labelled(name: str, start: int, end: int, text: str, label: str) -> dict[str, Any]:
    return {"id": name, "type": "labels", "value": {"start": start, "end": end, "text": text, "labels": [label]}}


def task(*annotations: dict[str, Any], key: str = "annotations", **more: Any) -> str:
    return json.dumps([{"id": 1, "data": {"text": "Anna joins Ajax"}, key: annotations, **more}])


ANNA, AJAX = labelled("x", 0, 4, "Anna", "PER"), labelled("y", 11, 15, "Ajax", "ORG")


def test_label_studio_results_of_other_types_are_counted(read: Any) -> None:
    """Neither a note next to the labels nor a relation to an image region makes the task unreadable."""
    note = {"id": "x", "type": "textarea", "value": {"start": 0, "end": 4, "text": ["sure?"]}}
    box = {"id": "b", "type": "rectanglelabels", "value": {"x": 1.5, "rectanglelabels": ["Star"]}}
    link = {"type": "relation", "from_id": "x", "to_id": "b", "direction": "right", "labels": ["shown"]}
    [example], [defect] = read("label_studio", task({"result": [ANNA, note, box, link]}, predictions=[{}]))
    assert (example.entities, example.relations) == ((Entity(Span(0, 1), "PER"),), ())
    counted = "1 predictions, 1 rectanglelabels results, 1 relations of other results, 1 textarea results"
    assert defect.message.endswith(counted)


def test_label_studio_metadata_is_counted(read: Any) -> None:
    """The author and date of a post are reported as lost; keys that every export adds are not."""
    data = {"text": "Anna joins Ajax", "tweet_author": "bo", "date": "2017", "place": None}
    region = ANNA | {"meta": {"text": ["sure"]}, "origin": "manual"}
    given = {"id": 1, "data": data, "meta": {"batch": 3}, "project": 7, "created_at": "2020"}
    content = json.dumps([given | {"annotations": [{"result": [region, AJAX | {"meta": {}}]}]}])
    [example], [defect] = read("label_studio", content)
    assert len(example.entities) == 2
    assert defect.message.endswith(": 1 data.date, 1 data.tweet_author, 1 meta of results, 1 meta of tasks")


def test_ground_truth_of_several_annotators_is_used(read: Any) -> None:
    [example], [defect] = read("label_studio", task({"result": [ANNA]}, {"result": [AJAX], "ground_truth": True}))
    assert [entity.label for entity in example.entities] == ["ORG"]
    assert (defect.kind, "1 annotations" in defect.message) == ("not-kept", True)


def test_old_name_of_annotations_is_accepted(read: Any) -> None:
    """Label Studio called them completions before version 1."""
    [example], defects = read("label_studio", task({"result": [ANNA]}, key="completions"))
    assert ([entity.label for entity in example.entities], defects) == (["PER"], [])


def test_conll_file_is_recognised_by_its_suffix(tmp_path: Path) -> None:
    for content, name in (
        ("# id 1 domain=en\nAnna _ _ B-PER\n", "conll2003"),
        ("Anna\tB-PER\n", "conll2003"),
        ("IMGID:1\nAnna\tB-PER\n", "twitter"),
    ):
        (tmp_path / "train.conll").write_text(content, encoding="utf-8")
        assert recognise(tmp_path / "train.conll") == name, content
