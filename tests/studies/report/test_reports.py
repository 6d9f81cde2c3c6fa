"""The report is one whole file, obeys nothing that a name says, and its plots show what the tables say."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cotpd.cli.verbs.runs.study import until
from cotpd.distillation.progress import Progress
from cotpd.evaluation.statistics.over_seeds import GapClosed
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.studies.execution.eta import Forecast
from cotpd.studies.report.curves import Curve
from cotpd.studies.report.html_report import html_report
from cotpd.studies.report.markdown_report import markdown_report
from cotpd.studies.report.plots import Dot, dot_plot
from cotpd.studies.report.results import Compared, NamesScore, Results, Row
from cotpd.studies.report.verdict import Verdict, remarks, verdict_of

SCRIPT = "<script>alert('x')</script>"


COMPARED = Compared(
    "a − text", "a", "text", "dev", 0.02, Interval(0.001, 0.04), 0.03, 0.06, 0.0, (3, 3), (), 1234, True, False, False
)  # fmt: skip


def row(run: str, view: str, mean: float) -> Row:
    interval = Interval(mean - 0.02, mean + 0.02)
    values = {1: mean - 0.01, 2: mean + 0.01}
    commands = (f"cotpd evaluate runs/{run} --view {view}",)
    names = {"labelled": NamesScore(mean + 0.1, 1200.0), "unseen": NamesScore(mean - 0.1, 310.5)}
    return Row(run, "dev", view, values, mean, 0.0141, interval, mean - 0.05, names, 1234, view == "text", commands)


@pytest.fixture
def results() -> Results:
    """Two runs, one of them hostile."""
    rows = (row("text", "text", 0.8), row(SCRIPT, "text", 0.82), row(SCRIPT, "knowledge", 0.86))
    share = GapClosed(0.33, Interval(0.1, 0.6))
    one = replace(COMPARED, name=f"{SCRIPT} − text", run=SCRIPT)
    two = replace(COMPARED, name="share", ceiling="knowledge", share=share)
    curves = (Curve("text", 1, ((10, 0.5), (20, 0.8))), Curve(SCRIPT, 1, ((10, 0.6), (20, 0.82))))
    return Results(
        "study", f"why {SCRIPT}?", "conlleval", "cotpd study p", rows, (one, two), curves, {"a-seed1": SCRIPT},
        {"b-seed1": SCRIPT}, {"text": "a | b", SCRIPT: ""}, (SCRIPT,), 4, 3, 10_000
    )  # fmt: skip


class Tags(HTMLParser):
    """What a page holds, and whether every element is closed."""

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


def test_the_page_is_whole_and_fetches_and_runs_nothing(results: Results) -> None:
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


def test_every_figure_has_its_command_and_every_table_its_figures(results: Results) -> None:
    for text in (html_report(results), markdown_report(results)):
        figures = ("80.00 ± 1.41", "[78.00, 82.00]", "75.00", "+2.00", "0.0600", "33 % [10, 60] of knowledge", "1,234")
        for figure in figures:
            assert figure in text
        assert "cotpd evaluate runs/text --view text" in text
        assert "By what training shows of a name" in text
    assert '<td class="number">86.00</td>' in html_report(results), "each training against each view"
    assert '<td class="number">90.00 (1,200)</td><td class="number">70.00 (310)</td>' in html_report(results)
    assert "| text | text | 90.00 (1,200) | 70.00 (310) |" in markdown_report(results)
    assert "a \\| b" not in markdown_report(results), "only cells of tables escape the bar"


def test_the_answer_comes_first_and_controls_are_marked(results: Results) -> None:
    page = html_report(results)
    assert page.index("3 of 4 runs finished. 1 runs or comparisons failed") < page.index("<h2>Comparisons")
    assert page.index('<span class="verdict">undecided') < page.index("<h2>Comparisons")
    assert page.count('<span class="control">control</span>') >= 3
    assert 'class="hollow"' in page
    text = markdown_report(results)
    assert text.index("**undecided**, +2.00 F1") < text.index("## Comparisons")
    assert f"- {SCRIPT}: a control" in text


@pytest.mark.parametrize(
    ("changes", "verdict", "remark"),
    [
        ({"p_holm": 0.04}, Verdict.AHEAD, None),
        ({"p_holm": 0.06}, Verdict.UNDECIDED, "not after Holm's correction"),
        ({"p_holm": 0.04, "interval": Interval(-0.001, 0.04)}, Verdict.UNDECIDED, None),
        ({"p_holm": 0.01, "lead": -0.02, "interval": Interval(-0.04, -0.001)}, Verdict.BEHIND, None),
        ({"p_holm": 0.01, "at_least": 0.03}, Verdict.AHEAD, "less than the 3 points"),
        ({"p_holm": 0.01, "at_least": 0.01}, Verdict.AHEAD, "at least the 1 points"),
        ({"p_holm": 0.01, "run_is_control": True}, Verdict.AHEAD, "a control leads"),
        (
            {"p_holm": 1.0, "run_is_control": True, "interval": Interval(-0.01, 0.04)},
            Verdict.UNDECIDED,
            "one above +4.00 is ruled out",
        ),
        ({"p_holm": 0.2, "run_is_control": True}, Verdict.UNDECIDED, "a control leads"),
        ({"p_holm": 0.2}, Verdict.UNDECIDED, "its own interval excludes 0"),
        ({"p_holm": 0.04, "baseline_is_control": True}, Verdict.AHEAD, "the lead is what the control lacks"),
        ({"p_holm": 0.2, "baseline_is_control": True}, Verdict.UNDECIDED, "a control: no lead over it is shown"),
        ({"p_holm": 0.04, "share_seeds": (2, 2, 2)}, Verdict.AHEAD, "rests on 2 of these"),
        ({"p_holm": 0.04, "share_seeds": (3, 3, 1)}, Verdict.AHEAD, "rests on 3, 3, 1 seeds of its sides, not paired"),
        ({"p_holm": 1.0, "run_is_control": True, "num_seeds": (1, 1)}, Verdict.UNDECIDED, "its own interval"),
        ({"p_holm": None, "run_is_control": True}, Verdict.DESCRIBED, "a control leads"),
        ({"p_holm": None, "run_is_control": True, "num_seeds": (1, 1)}, Verdict.DESCRIBED, "a single seed"),
        ({"p_holm": None}, Verdict.DESCRIBED, None),
        ({"p_holm": 0.01, "left_out": (4, 5)}, Verdict.AHEAD, "seeds 4, 5 are left out"),
        ({"p_holm": 0.01, "num_seeds": (5, 1), "is_paired": False}, Verdict.UNDECIDED, "a single seed"),
    ],
)
def test_a_verdict_is_no_kinder_than_its_figures(changes: dict[str, Any], verdict: Verdict, remark: str | None) -> None:
    one = replace(COMPARED, **changes)
    assert verdict_of(one) is verdict
    if remark is None:
        assert remarks(one) == []
    else:
        assert remark in remarks(one)[0]


def test_a_study_in_which_all_failed_or_nothing_is_compared_still_reports(results: Results) -> None:
    bare = replace(results, rows=(), compared=(), curves=(), num_finished=0)
    for text in (html_report(bare), markdown_report(bare)):
        assert "0 of 4 runs finished" in text
        assert "prove nothing" in text


def test_an_interval_far_wider_than_all_others_ends_in_an_arrow() -> None:
    """With two seeds an interval may span everything; the others stay readable."""
    dots = [Dot("wide", 1.0, -90.0, 90.0), Dot("b", 2.0, 1.5, 2.5), Dot("c", 3.0, 2.5, 3.5)]
    root = ElementTree.fromstring(dot_plot(dots, title="t", axis="a"))
    assert len(list(root.iter("path"))) == 2
    places = [float(circle.attrib["cx"]) for circle in root.iter("circle")]
    assert places[2] - places[0] > 60


def test_a_dot_stands_where_its_value_is() -> None:
    dots = [Dot("a", 10.0, 5.0, 15.0, (8.0, 12.0)), Dot("b", 20.0, 15.0, 25.0)]
    root = ElementTree.fromstring(dot_plot(dots, title="t", axis="a"))
    first, second = (float(circle.attrib["cx"]) for circle in root.iter("circle"))
    bars = [line for line in root.iter("line") if line.attrib["class"] == "bar"]
    assert float(bars[0].attrib["x2"]) == float(bars[1].attrib["x1"]) == pytest.approx((first + second) / 2, abs=0.1)


@pytest.mark.parametrize("values", [(0.0, 0.0), (83.1, 83.1), (-3e-6, 2e-6), (0.0, 100.0)])
def test_a_plot_of_any_values_has_an_axis(values: tuple[float, float]) -> None:
    root = ElementTree.fromstring(dot_plot([Dot("a", values[0], *values)], title="t", axis="a", zero=True))
    assert len(list(root.iter("text"))) > 2


def test_the_end_is_forecast_from_what_is_known() -> None:
    now = [0.0]
    forecast = Forecast(clock=lambda: now[0])

    def watch(step: int) -> None:
        forecast.watch(Progress(step, 100, 0, 0.0, 0.0, None, None))

    forecast.begin()
    assert forecast.seconds_left("a", ["a", "b"]) is None, "nothing is known yet"
    watch(10)
    now[0] = 20.0
    watch(30)
    assert forecast.seconds_left("a", []) == 70.0
    assert forecast.seconds_left("a", ["b", "b"]) == 70.0 + 200.0, "others are taken to be like this one"
    forecast.learn("b", 40.0)
    assert forecast.seconds_left("a", ["b", "c"]) == 70.0 + 40.0 + 40.0
    forecast.begin()
    assert forecast.seconds_left("b", ["b"]) == 80.0


def test_the_time_left_is_said_in_hours_and_minutes() -> None:
    assert until(None) == ""
    assert until(5).startswith("under a minute left, done ")
    assert until(3_000).startswith("about 50 min left, done ")
    assert until(9_000).startswith("about 2 h 30 min left, done ")


def test_the_command_reports_says_what_is_left_and_fails_where_a_run_failed(
    write_plan: Callable[[str], Path], tmp_path: Path, cotpd: Callable[..., Any]
) -> None:
    path, out = write_plan('[runs.good]\n[runs.bad]\n"student.encoder" = "nowhere/"\n'), tmp_path / "out"
    before = cotpd("study", path, "--out", out, "--dry-run")
    assert (before.code, before.out.splitlines()[-1]) == (0, "2 runs: 2 to do")
    assert not out.exists()
    lost = cotpd("study", path, "--out", out, "--dry-run", "--set", "data.path=nowhere")
    assert "not found: nowhere; " in lost.out, "a corpus that is missing is told of before the runs fail"
    unread = cotpd("study", path, "--out", out, "--dry-run", "--set", 'data.unlabelled=["elsewhere"]')
    assert "not found: elsewhere; " in unread.out
    ended = cotpd("study", path, "--out", out)
    assert ended.code == 1
    assert "| good | prompt (ships) |" in ended.out
    assert "error: 1 failed; first bad-seed1" in ended.err
    assert "run 1 of 2" in ended.err
    assert f"\n{out / 'report.html'} shows it with plots\n" in ended.err, "lines of a log are not wrapped"
    assert (out / "report.html").is_file()
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    unwritten = cotpd("study", path, "--out", out)
    assert "| good | prompt (ships) |" in unwritten.out, "what was found is told all the same"
    assert f"- report.html: {out / 'report.html'}: cannot be written (Is a directory)" in unwritten.out
    after = cotpd("study", path, "--out", out, "--dry-run", "--json")
    assert '"good-seed1": {"state": "finished"' in after.out
