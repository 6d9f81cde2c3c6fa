"""`cotpd evaluate` with a run of relations: which pairs are classified, and how those that gold leaves out count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.pairs import pairs
from cotpd.corpus.corpus import Corpus
from cotpd.inference.extractor import Extractor

Cotpd = Callable[..., Any]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Two posts of MNRE's kind: one on two lines, a pair each, and one whose pair is None."""

    def line(words: str, head: int, tail: int, label: str) -> str:
        token = words.split()
        h, t = ({"name": token[place], "pos": [place, place + 1]} for place in (head, tail))
        return f"{ {'token': token, 'h': h, 't': t, 'img_id': words[:3], 'relation': label} }\n"

    lines = [
        line("Ann left Oslo for Rome", 0, 2, "/per/misc/present_in"),
        line("Ann left Oslo for Rome", 0, 4, "None"),
        line("Bob and Cleo", 0, 2, "None"),
    ]
    (tmp_path / "mnre_dev.txt").write_text("".join(lines), encoding="utf-8")
    return tmp_path / "mnre_dev.txt"


def report(cotpd: Cotpd, *arguments: object) -> dict[str, Any]:
    outcome = cotpd("evaluate", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    values: dict[str, Any] = json.loads(outcome.out)
    return values


def numbers(values: dict[str, Any]) -> list[int]:
    return [values["pairs"][truth]["pairs"] for truth in ("unrelated", "related", "unknown")]


def test_given_pairs_are_counted_by_what_gold_says(relation_run: Path, listed: Path, cotpd: Cotpd) -> None:
    values = report(cotpd, relation_run, listed)
    assert (numbers(values), values["micro"]["support"]) == ([2, 1, 0], 1)
    claimed = sum(values["pairs"][truth]["claimed"] for truth in ("unrelated", "related"))
    assert claimed == values["micro"]["predicted"]


def test_all_pairs_of_a_post_are_read_once_and_what_gold_leaves_out_is_not_scored(
    relation_run: Path, listed: Path, cotpd: Cotpd
) -> None:
    """Three entities of the first post have six ordered pairs, of which two are stated; two have two, one stated."""
    given, every = report(cotpd, relation_run, listed), report(cotpd, relation_run, listed, "--all-pairs")
    assert (numbers(every), every["num_posts"], every["pairs"]["unknown"]["pairs"]) == ([2, 1, 5], 2, 5)
    assert every["micro"] == given["micro"]
    table = cotpd("evaluate", relation_run, listed, "--all-pairs").out
    assert "false relations" in table
    assert "pairs  of gold entities" in table


def test_another_run_finds_the_entities(
    relation_run: Path, finished_run: Path, sample_path: Path, cotpd: Cotpd
) -> None:
    """The sample marks entities, so every pair that it does not relate is unrelated."""
    values = report(cotpd, relation_run, sample_path, "--split", "dev", "--entities-from", finished_run)
    dev = Corpus.sample().dev
    entities = [
        prediction.entities for prediction in Extractor.from_pretrained(finished_run, device="cpu").predict(dev)
    ]
    assert sum(numbers(values)) == sum(len(found) * (len(found) - 1) for found in entities) > 50
    assert values["pairs"]["unknown"]["pairs"] == 0
    assert values["micro"]["support"] == sum(len(example.relations) for example in dev)
    assert values["micro"]["predicted"] == sum(values["pairs"][t]["claimed"] for t in ("unrelated", "related"))
    gold = report(cotpd, relation_run, sample_path, "--split", "dev", "--all-pairs")
    assert sum(numbers(gold)) == sum(len(pairs(example)) for example in dev)
    assert gold["pairs"] == report(cotpd, relation_run, sample_path, "--split", "dev")["pairs"]


def test_runs_are_compared_on_the_same_pairs(
    relation_run: Path, finished_run: Path, listed: Path, cotpd: Cotpd
) -> None:
    arguments = (relation_run, listed, "--entities-from", finished_run, "--against", relation_run)
    assert report(cotpd, *arguments)["against"]["num_differing"] == 0


def test_runs_of_two_tasks_are_told_apart_before_they_are_decoded(
    relation_run: Path, finished_run: Path, listed: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("cotpd.inference.decoding.decode")
    outcome = cotpd("evaluate", relation_run, listed, "--against", finished_run)
    assert (outcome.code, outcome.out) == (2, "")
    assert "compare runs of one task" in outcome.err


def test_relations_that_were_never_learnt_are_named(relation_run: Path, sample_path: Path, cotpd: Cotpd) -> None:
    """And types of entities are not, which a run of relations does not tell."""
    outcome = cotpd("evaluate", relation_run, sample_path, "--split", "dev")
    assert "relations in gold that the student never learnt: /" in outcome.err
    assert "MISC" not in outcome.err


def test_what_is_wrong_with_a_call_is_said(relation_run: Path, finished_run: Path, listed: Path, cotpd: Cotpd) -> None:
    for arguments, message in (
        ((finished_run, listed, "--all-pairs"), "was trained on entities"),
        ((finished_run, listed, "--entities-from", finished_run), "was trained on entities"),
        ((relation_run, listed, "--entities-from", relation_run), "was trained on relations"),
        ((relation_run, listed, "--entities-from", finished_run, "--all-pairs"), "not both"),
    ):
        outcome = cotpd("evaluate", *arguments)
        assert outcome.code == 2, arguments
        assert message in outcome.err
