"""`cotpd show` prints one example as a page for people or as JSON for programs.

What belongs to an example is tested in tests/distillation/showcase/test_example_report.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cotpd = Callable[..., Any]

EXAMPLES: list[dict[str, Any]] = [
    {
        "id": "p1",
        "words": ["Messi", "lifts", "the", "[cup]", "in", "Lusail", "\x1b[31m"],
        "entities": [{"start": 0, "end": 1, "label": "PER"}, {"start": 5, "end": 6, "label": "MISC"}],
        "relations": [{"head": 0, "tail": 1, "label": "present in"}],
        "image": "i1",
    },
    {"id": "p2", "words": ["lorem"] * 200, "image": "i2"},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    text = "Lusail is a city " * 10
    known = {"image_id": "i1", "grain": "noun", "model": "m", "template": "noun.v1", "text": text}
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in EXAMPLES))
    (tmp_path / "knowledge.jsonl").write_text(json.dumps(known) + "\n")
    (tmp_path / "captions.jsonl").write_text('{"image_id": "i1", "captioner": "c", "text": "a man, a cup"}\n')
    return tmp_path


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal so wide that no cell of a table is broken."""
    monkeypatch.setenv("COLUMNS", "250")


def test_the_page_has_the_words_the_knowledge_and_the_views(corpus: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("show", corpus, "p1")
    assert (outcome.code, outcome.err) == (0, "")
    for part in ("p1", "train.jsonl:1", "i1", "a man, a cup  (c)", "Lusail is a city", "m noun.v1", "[cup]", "[0, 1)"):
        assert part in outcome.out
    assert outcome.out.index("caption") < outcome.out.index("noun") < outcome.out.index("text view")
    assert "\x1b" not in outcome.out
    assert "knowledge  none; put captions.jsonl" in cotpd("show", corpus, "p2").out


def test_gold_and_predictions_stand_side_by_side(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    page = cotpd("show", corpus, "p1", "--run", finished_run).out
    lines = page.splitlines()
    assert ["gold", "prompt", "text", "knowledge"] in [line.split() for line in lines]
    assert any("Messi [0, 1) → Lusail [5, 6)" in line and "present in" in line for line in lines)
    assert "pieces of knowledge cut" in page
    assert "window 2 of" in cotpd("show", corpus, "p2", "--run", finished_run).out


def test_json_has_the_predictions_of_each_view(finished_run: Path, corpus: Path, cotpd: Cotpd) -> None:
    report = json.loads(cotpd("show", corpus, "p1", "--run", finished_run, "--json").out)
    assert (report["id"], report["words"]) == ("p1", EXAMPLES[0]["words"])
    assert list(report["predicted"]) == ["prompt", "text", "knowledge"]


def test_pairs_that_are_never_related_have_no_row(relation_run: Path, sample_path: Path, cotpd: Cotpd) -> None:
    arguments = ("show", sample_path, "test-001", "--run", relation_run)
    report = json.loads(cotpd(*arguments, "--json").out)
    num_entities = len(report["gold"]["entities"])
    assert len(report["predicted"]["text"]["relations"]) == num_entities * (num_entities - 1) > 1
    related = {
        (pair["head"]["start"], pair["tail"]["start"])
        for record in (report["gold"], *report["predicted"].values())
        for pair in record["relations"]
        if pair["label"] != "None"
    }
    assert cotpd(*arguments).out.count(" → ") == len(related)


def test_an_unknown_id_is_a_usage_error(corpus: Path, cotpd: Cotpd) -> None:
    outcome = cotpd("show", corpus, "p4")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no example has the id 'p4'" in outcome.err
