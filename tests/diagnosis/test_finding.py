"""Findings are summarised, formatted and sorted."""

from cotpd.diagnosis.finding import Finding, FindingVerdict, format_course, sort_by_verdict, summarise
from cotpd.diagnosis.knowledge import knowledge_finding
from cotpd.diagnosis.learning import learning_finding
from cotpd.evaluation import Comparison
from cotpd.evaluation.statistics.resampling import Interval

FINDINGS = (
    Finding("c", FindingVerdict.UNKNOWN, rule="no prompts"),
    Finding("a", FindingVerdict.FOUND, advice="train longer"),
    Finding("b", FindingVerdict.ABSENT, advice="train longer"),
)


def test_the_summary_counts_measured_and_found_failures() -> None:
    assert summarise(FINDINGS) == "1 of 2 measured failures found: a. 1 could not be measured."
    assert summarise(FINDINGS[2:]) == "0 of 1 measured failures found."
    assert summarise(FINDINGS[:1]) == "None of the 1 known failures can be measured in this run."


def test_found_failures_come_first_and_only_they_give_advice() -> None:
    found, absent, unknown = sort_by_verdict(FINDINGS)
    assert [one.failure for one in (found, absent, unknown)] == ["a", "b", "c"]
    assert "What to change: train longer." in str(found)
    assert "What to change" not in str(absent)
    assert str(unknown) == "not measured: c\n  no prompts"


def test_losses_are_averaged_over_the_first_and_last_tenth() -> None:
    assert format_course([4.0] * 10 + [2.0] * 80 + [1.0] * 10) == "4.000, 1.000"
    assert format_course([]) == "none recorded"


def test_a_student_with_a_low_training_f1_has_not_learned() -> None:
    assert learning_finding(0.29, 0.2, [3.0, 2.9]).verdict is FindingVerdict.FOUND
    assert learning_finding(0.31, 0.2, [3.0, 1.0]).verdict is FindingVerdict.ABSENT


def test_knowledge_is_unused_unless_f1_drops_significantly_without_it() -> None:
    for low, verdict in ((-0.01, FindingVerdict.FOUND), (0.0, FindingVerdict.FOUND), (0.01, FindingVerdict.ABSENT)):
        lead = Comparison(0.9, 0.8, Interval(low, 0.2), 0.01, 0.01, num_posts=2, num_differing=1, resamples=9, seed=0)
        assert knowledge_finding(lead, "none").verdict is verdict, low
        assert "control with shuffled knowledge" in knowledge_finding(lead, "shuffled").advice
