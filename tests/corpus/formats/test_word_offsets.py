"""TACRED and GLiNER formats: offsets count words, and the last word is inclusive."""

import json
from typing import Any

from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.defects import Severity
from cotpd.corpus.formats import tacred

from .conftest import line_of

PAIR: dict[str, Any] = {
    "id": "p1",
    "token": ["Anna", "Blum", "joins", "Ajax"],
    "subj_start": 0,
    "subj_end": 1,
    "obj_start": 3,
    "obj_end": 3,
    "subj_type": "PERSON",
    "obj_type": "ORGANIZATION",
    "relation": "per:employee_of",
    "stanford_pos": ["NNP", "NNP", "VBZ", "NNP"],
}


def test_tacred_pair_is_read(read: Any) -> None:
    none = {
        "token": ["a", "b"],
        "relation": "no_relation",
        "subj_start": 0,
        "subj_end": 0,
        "obj_start": 1,
        "obj_end": 1,
    }
    found, [defect] = read("tacred", json.dumps([PAIR, none]))
    head, tail = Span(0, 2), Span(3, 4)
    entities = (Entity(head, "PERSON"), Entity(tail, "ORGANIZATION"))
    assert found[0] == Example("p1", tuple(PAIR["token"]), entities, (Relation(head, tail, "per:employee_of"),))
    assert found[1] == Example("a:2", ("a", "b"), (), (Relation(Span(0, 1), Span(1, 2), NO_RELATION),))
    assert (defect.kind, "1 stanford_pos" in defect.message) == ("not-kept", True)


def test_no_relation_is_written_with_its_tacred_name(tmp_path: Any) -> None:
    tacred.write(
        tmp_path / "a.json", [Example("x", ("a",), relations=(Relation(Span(0, 1), Span(0, 1), NO_RELATION),))]
    )
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["relation"] == "no_relation"


def test_broken_pair_is_an_error(read: Any) -> None:
    for change, kind in (
        ({"subj_end": 4}, "bad-span"),
        ({"subj_start": 2}, "bad-span"),
        ({"obj_start": -1}, "bad-span"),
        ({"obj_end": None}, "bad-row"),
        ({"token": "Anna Blum"}, "bad-row"),
        ({"token": ["Anna", "Blum", "", "Ajax"]}, "empty-word"),
    ):
        _, defects = read("tacred", f"[{json.dumps(PAIR)},\n{json.dumps({**PAIR, 'id': 'p2', **change})}]")
        assert (defects[0].kind, defects[0].severity, line_of(defects[0])) == (kind, Severity.ERROR, 2), change


def test_gliner_file_may_be_an_array_or_lines(read: Any) -> None:
    for form in (
        "[{}, {}]",
        "{}\n{}\n",
        "\ufeff[{},\r\n{}\r\n]\r\n",
    ):
        post = json.dumps({"tokenized_text": ["Anna", "Blum", "wins"], "ner": [[0, 1, "person"], [1, 1, "name"]]})
        examples, defects = read("gliner", form.replace("{}", post))
        assert [example.entities for example in examples] == [(Entity(Span(0, 2), "person"),)] * 2, form
        assert [example.id for example in examples] == ["a:1", "a:2"], form
        assert [defect.kind for defect in defects] == ["overlap", "overlap"], form


def test_broken_gliner_post_is_an_error(read: Any) -> None:
    for ner, kind in (
        ([[0, 2, "x"]], "bad-span"),
        ([[1, 0, "x"]], "bad-span"),
        ([[0, "x"]], "bad-row"),
        ([[0, "0", "x"]], "bad-row"),
    ):
        _, [defect] = read("gliner", json.dumps([{"tokenized_text": ["a", "b"], "ner": ner}]))
        assert (defect.kind, defect.severity) == (kind, Severity.ERROR), ner
