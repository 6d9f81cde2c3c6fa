"""A report prints the primary scores, then the scores under other rules, then the comparison."""

import re
from pathlib import Path

import pytest

from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.evaluation import compare, evaluate
from cotpd.evaluation.report import Report, secondary_scores
from cotpd.evaluation.table import format_table

WORDS = ("Messi", "in", "Lusail")
MESSI, LUSAIL = Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC")
GOLD = [Example("a", WORDS, (MESSI, LUSAIL)), Example("b", WORDS, (MESSI,))]
PREDICTED = [Prediction("a", WORDS, (MESSI, Entity(Span(1, 3), "LOC"))), Prediction("b", WORDS, (MESSI,))]
NOTHING = [Prediction("a", WORDS), Prediction("b", WORDS)]
TRAIN = [Example("t", ("messi",), (Entity(Span(0, 1), "PER"),))]


def report() -> Report:
    scores = evaluate(PREDICTED, GOLD)
    return Report(
        scores,
        secondary_scores(PREDICTED, GOLD, train=TRAIN),
        facts={"run": "runs/one", "view": "prompt"},
        against={"run": "runs/two", "view": "text"},
        comparison=compare(scores, evaluate(NOTHING, GOLD)),
    )


def test_report_prints_facts_scores_other_rules_and_comparison_in_order() -> None:
    text = str(report())
    places = [text.index(part) for part in ("run   runs/one\nview  prompt", "mode conlleval", "micro F1 66.67")]
    places += [
        text.index(part) for part in ("same words, any type", "compared with runs/two text", "difference +66.67")
    ]
    assert places == sorted(places)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "same type, overlapping words 100.00 100.00 100.00 3" in lines
    assert "exact, entities seen in training 100.00 100.00 100.00 2" in lines
    assert "exact, entities unseen in training 0.00 0.00 0.00 1" in lines


def test_report_as_json_has_the_same_numbers() -> None:
    values = report().to_dict()
    assert (values["run"], values["micro"]["correct"]) == ("runs/one", 2)
    assert values["secondary"]["exact, by training surface"]["types"]["seen"]["correct"] == 2
    assert values["secondary"]["overlap"]["micro"]["f1"] == 1.0
    assert (values["against"]["run"], values["against"]["second"]) == ("runs/two", 0.0)


def test_report_without_training_examples_has_no_seen_and_unseen_rows() -> None:
    plain = Report(evaluate(PREDICTED, GOLD), secondary_scores(PREDICTED, GOLD))
    assert "seen" not in str(plain)
    assert "against" not in plain.to_dict()


def test_table_columns_are_aligned_and_rows_may_be_short() -> None:
    assert format_table(("a", "bb"), [("ccc", "d"), ("e",)]) == "a    bb\nccc   d\ne"


def test_worked_example_in_the_docs_prints_the_documented_output(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = (root / "docs" / "explanation" / "statistics.md").read_text(encoding="utf-8")
    [(code, printed)] = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", document, re.DOTALL)
    exec(compile(code, "statistics.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == printed
