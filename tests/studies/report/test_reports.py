"""The reports are complete and escape all text, and the plots show the figures of the tables."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from cotpd.cli.verbs.runs.study import format_time_left
from cotpd.distillation.progress import Progress
from cotpd.evaluation.statistics.over_seeds import GapClosed
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.studies.execution.progress import Forecast
from cotpd.studies.report.curves import Curve
from cotpd.studies.report.html_report import html_report
from cotpd.studies.report.markdown_report import markdown_report
from cotpd.studies.report.plots import Dot, dot_plot
from cotpd.studies.report.results import ComparisonResult, EntityGroupScore, Results, ScoreRow
from cotpd.studies.report.verdict import ComparisonVerdict, remarks, verdict_of

SCRIPT = "<script>alert('x')</script>"


COMPARED = ComparisonResult(
    "a − text", "a", "text", "dev", 0.02, Interval(0.001, 0.04), 0.03, 0.06, 0.0, 3, (), 1234, False, False
)


def row(run: str, view: str, mean: float) -> ScoreRow:
    interval = Interval(mean - 0.02, mean + 0.02)
    values = {1: mean - 0.01, 2: mean + 0.01}
    commands = (f"cotpd evaluate runs/{run} --view {view}",)
    groups = {"labelled": EntityGroupScore(mean + 0.1, 1200.0), "unseen": EntityGroupScore(mean - 0.1, 310.5)}
    return ScoreRow(
        run, "dev", view, values, mean, 0.0141, interval, mean - 0.05, groups, 1234, view == "text", commands
    )


@pytest.fixture
def results() -> Results:
    """Two runs, one of them with HTML in its name."""
    rows = (row("text", "text", 0.8), row(SCRIPT, "text", 0.82), row(SCRIPT, "knowledge", 0.86))
    share = GapClosed(0.33, Interval(0.1, 0.6))
    one = replace(COMPARED, name=f"{SCRIPT} − text", run=SCRIPT)
    two = replace(COMPARED, name="share", ceiling="knowledge", gap_closed=share, gap_num_seeds=3)
    curves = (Curve("text", 1, ((10, 0.5), (20, 0.8))), Curve(SCRIPT, 1, ((10, 0.6), (20, 0.82))))
    return Results(
        "study", f"why {SCRIPT}?", "cotpd study p", rows, (one, two), curves, {"a-seed1": SCRIPT},
        {"b-seed1": SCRIPT}, {"text": "a | b", SCRIPT: ""}, (SCRIPT,), 4, 3
    )  # fmt: skip


class Tags(HTMLParser):
    """Collects the elements of a page, and checks that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_complete_and_loads_neither_scripts_nor_resources(results: Results) -> None:
    page = html_report(results)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert {tag for tag, _ in tags.found}.isdisjoint({"script", "link", "img", "iframe", "object", "a"})
    assert not [values for _, values in tags.found if values.keys() & {"src", "href", "onload", "onclick"}]
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 4, "comparisons, scores, and a curve of each run"
    for plot in plots:
        ElementTree.fromstring(plot)


def test_the_reports_have_all_figures_and_their_commands(results: Results) -> None:
    for text in (html_report(results), markdown_report(results)):
        figures = ("80.00 ± 1.41", "[78.00, 82.00]", "75.00", "+2.00", "0.0600", "33 % [10, 60] of knowledge", "1,234")
        for figure in figures:
            assert figure in text
        assert "cotpd evaluate runs/text --view text" in text
        assert "By occurrence of the entity in the training set" in text
    assert '<td class="number">86.00</td>' in html_report(results), "every run in every view"
    assert '<td class="number">90.00 (1,200)</td><td class="number">70.00 (310)</td>' in html_report(results)
    assert "| text | text | 90.00 (1,200) | 70.00 (310) |" in markdown_report(results)
    assert "a \\| b" not in markdown_report(results), "only cells of tables escape the bar"


def test_verdicts_come_first_and_controls_are_marked(results: Results) -> None:
    page = html_report(results)
    assert page.index("3 of 4 runs finished. Failures: 1") < page.index("<h2>Comparisons")
    assert page.index('<span class="verdict">undecided') < page.index("<h2>Comparisons")
    assert page.count('<span class="control">control</span>') >= 3
    assert 'class="hollow"' in page
    text = markdown_report(results)
    assert text.index("**undecided**, +2.00 F1") < text.index("## Comparisons")
    assert f"- {SCRIPT}: a control" in text


VERDICTS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"p_holm": 0.04}, "ahead", None),
    ({"p_holm": 0.06}, "undecided", "not significant after Holm's correction"),
    ({"p_holm": 0.04, "interval": Interval(-0.001, 0.04)}, "undecided", None),
    ({"p_holm": 0.01, "lead": -0.02, "interval": Interval(-0.04, -0.001)}, "behind", None),
    ({"p_holm": 0.01, "at_least": 0.03}, "ahead", "less than the lead of 3 F1"),
    ({"p_holm": 0.01, "at_least": 0.01}, "ahead", "at least the lead of 1 F1"),
    ({"p_holm": 0.01, "run_is_control": True}, "ahead", "a control leads"),
    ({"p_holm": 1.0, "run_is_control": True, "interval": Interval(-0.01, 0.04)}, "undecided", "+4.00 is ruled out"),
    ({"p_holm": 0.2, "run_is_control": True}, "undecided", "a control leads"),
    ({"p_holm": 0.2}, "undecided", "its interval excludes 0"),
    ({"p_holm": 0.04, "baseline_is_control": True}, "ahead", "the lead comes from what the control lacks"),
    ({"p_holm": 0.2, "baseline_is_control": True}, "undecided", "a control: no significant lead"),
    ({"p_holm": 0.04, "ceiling": "c"}, "ahead", "c has no scores of these examples"),
    ({"p_holm": 0.04, "gap_closed": GapClosed(0.5, None), "gap_num_seeds": 2}, "ahead", "uses 2 of 3 seeds"),
    ({"p_holm": 1.0, "run_is_control": True, "num_seeds": 1}, "undecided", "its interval"),
    ({"p_holm": None, "run_is_control": True}, "described", "a control leads"),
    ({"p_holm": None, "run_is_control": True, "num_seeds": 1}, "described", "a single seed"),
    ({"p_holm": None}, "described", None),
    ({"p_holm": 0.01, "missing_seeds": (4, 5)}, "ahead", "without seeds 4, 5"),
    ({"p_holm": 0.01, "num_seeds": 1}, "undecided", "a single seed"),
    ({"p_holm": 0.01, "num_seeds": 2}, "ahead", "two seeds are too few"),
]  # fmt: skip


def test_verdicts_and_remarks_follow_from_the_figures() -> None:
    for changes, verdict, remark in VERDICTS:
        result = replace(COMPARED, **changes)
        assert verdict_of(result) is ComparisonVerdict(verdict), changes
        first = remarks(result)[:1]
        assert remark in first[0] if remark else first == [], changes


def test_a_study_without_any_result_is_reported(results: Results) -> None:
    empty = replace(results, rows=(), compared=(), curves=(), num_finished=0)
    for text in (html_report(empty), markdown_report(empty)):
        assert "0 of 4 runs finished" in text
        assert "only descriptive" in text


def test_a_very_wide_interval_ends_in_arrows() -> None:
    """The other intervals stay readable."""
    dots = [Dot("wide", 1.0, -90.0, 90.0), Dot("b", 2.0, 1.5, 2.5), Dot("c", 3.0, 2.5, 3.5)]
    root = ElementTree.fromstring(dot_plot(dots, title="t", axis="a"))
    assert len(list(root.iter("path"))) == 2
    places = [float(circle.attrib["cx"]) for circle in root.iter("circle")]
    assert places[2] - places[0] > 60


def test_dots_and_bars_are_drawn_to_scale() -> None:
    dots = [Dot("a", 10.0, 5.0, 15.0, (8.0, 12.0)), Dot("b", 20.0, 15.0, 25.0)]
    root = ElementTree.fromstring(dot_plot(dots, title="t", axis="a"))
    first, second = (float(circle.attrib["cx"]) for circle in root.iter("circle"))
    bars = [line for line in root.iter("line") if line.attrib["class"] == "bar"]
    assert float(bars[0].attrib["x2"]) == float(bars[1].attrib["x1"]) == pytest.approx((first + second) / 2, abs=0.1)


@pytest.mark.parametrize("values", [(0.0, 0.0), (83.1, 83.1), (-3e-6, 2e-6), (0.0, 100.0)])
def test_a_plot_of_any_values_has_an_axis(values: tuple[float, float]) -> None:
    root = ElementTree.fromstring(dot_plot([Dot("a", values[0], *values)], title="t", axis="a", zero=True))
    assert len(list(root.iter("text"))) > 2


def test_the_time_left_is_estimated_from_finished_runs_and_the_current_pace() -> None:
    now = [0.0]
    forecast = Forecast(clock=lambda: now[0])

    def update(step: int) -> None:
        forecast.update(Progress(step, 100, 0, 0.0, 0.0, None, None))

    forecast.start_run()
    assert forecast.seconds_left("a", ["a", "b"]) is None, "before the first update"
    update(10)
    now[0] = 20.0
    update(30)
    assert forecast.seconds_left("a", []) == 70.0
    assert forecast.seconds_left("a", ["b", "b"]) == 70.0 + 200.0, "others are expected to take as long as this one"
    forecast.record_duration("b", 40.0)
    assert forecast.seconds_left("a", ["b", "c"]) == 70.0 + 40.0 + 40.0
    forecast.start_run()
    assert forecast.seconds_left("b", ["b"]) == 80.0


def test_the_time_left_is_formatted_in_hours_and_minutes() -> None:
    assert format_time_left(None) == ""
    assert format_time_left(5).startswith("under a minute left, done ")
    assert format_time_left(3_000).startswith("about 50 min left, done ")
    assert format_time_left(9_000).startswith("about 2 h 30 min left, done ")
