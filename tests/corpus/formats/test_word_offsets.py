"""TACRED and GLiNER: offsets count words, the last one inclusive."""

import json
from typing import Any

import pytest

from cotpd.core.records import NO_RELATION, Entity, Example, Relation, Span
from cotpd.corpus.defects import Severity
from cotpd.corpus.formats import tacred

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


def test_a_tacred_pair_is_read(read: Any) -> None:
    """With exclusive ends the head would lose its last word, in silence."""
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


def test_no_relation_has_its_name_of_tacred(tmp_path: Any) -> None:
    tacred.write(
        tmp_path / "a.json", [Example("x", ("a",), relations=(Relation(Span(0, 1), Span(0, 1), NO_RELATION),))]
    )
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["relation"] == "no_relation"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"subj_end": 4}, "bad-span"),
        ({"subj_start": 2}, "bad-span"),
        ({"obj_start": -1}, "bad-span"),
        ({"obj_end": None}, "bad-row"),
        ({"token": "Anna Blum"}, "bad-row"),
        ({"token": ["Anna", "Blum", "", "Ajax"]}, "empty-word"),
    ],
)
def test_a_broken_pair_is_an_error_with_its_place(change: dict[str, Any], kind: str, read: Any) -> None:
    _, defects = read("tacred", f"[{json.dumps(PAIR)},\n{json.dumps({**PAIR, 'id': 'p2', **change})}]")
    assert (defects[0].kind, defects[0].severity, defects[0].where[-2:]) == (kind, Severity.ERROR, ":2")


@pytest.mark.parametrize("form", ["[{}, {}]", "{}\n{}\n", "\ufeff[{},\r\n{}\r\n]\r\n"])
def test_a_gliner_file_is_read_as_array_or_lines(form: str, read: Any) -> None:
    post = json.dumps({"tokenized_text": ["Anna", "Blum", "wins"], "ner": [[0, 1, "person"], [1, 1, "name"]]})
    found, defects = read("gliner", form.replace("{}", post))
    assert [example.entities for example in found] == [(Entity(Span(0, 2), "person"),)] * 2
    assert [example.id for example in found] == ["a:1", "a:2"]
    assert [defect.kind for defect in defects] == ["overlap", "overlap"]


@pytest.mark.parametrize(
    ("ner", "kind"),
    [([[0, 2, "x"]], "bad-span"), ([[1, 0, "x"]], "bad-span"), ([[0, "x"]], "bad-row"), ([[0, "0", "x"]], "bad-row")],
)
def test_a_broken_gliner_post_is_an_error(ner: Any, kind: str, read: Any) -> None:
    _, [defect] = read("gliner", json.dumps([{"tokenized_text": ["a", "b"], "ner": ner}]))
    assert (defect.kind, defect.severity) == (kind, Severity.ERROR)
