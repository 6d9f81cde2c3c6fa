"""A study makes each run once, survives a kill anywhere, tells of failures, and refuses what is not the planned run."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from cotpd.core.errors import TrainingError, UsageError
from cotpd.corpus.corpus import Corpus
from cotpd.distillation import recipe, targets
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.studies.execution import predictions as scoring
from cotpd.studies.execution import runner as making
from cotpd.studies.plan.expansion import planned_runs
from cotpd.studies.plan.plan import Plan
from cotpd.studies.report.verdict import Verdict, remarks, verdict_of
from cotpd.studies.study import study

ReadPlan = Callable[[str], Plan]
WritePlan = Callable[[str], Path]

ALONE = """
"objective.target" = "none"
"objective.task_loss" = "student"
"objective.alignment" = "none"
"""
PLAN = f"""
seeds = [1, 2]
baseline = "text"
[runs.text]
"objective.student" = "text"
{ALONE}
[runs.both]
note = "two views"
[scores.dev]
views = ["text", "prompt", "knowledge", "knowledge without caption"]
[scores.test]
split = "test"
"""
TEXT = f'[runs.text]\n"objective.student" = "text"\n{ALONE}'

BELOW_A_CEILING = f"""
{TEXT}
[runs.both]
[runs.known]
"objective.student" = "knowledge"
{ALONE}
[[comparisons]]
run = "both"
baseline = "text"
ceiling = "known"
"""

TAUGHT = f"""
[runs.target]
"objective.student" = "knowledge"
{ALONE}
[runs.taught]
"objective.target" = "recorded"
"objective.target_runs" = ["target"]
"objective.task_loss" = "student"
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that are trained from now on."""
    found: list[str] = []
    real = making.distill

    def noted(*args: Any, **options: Any) -> Any:
        found.append(options["out"].name)
        return real(*args, **options)

    monkeypatch.setattr(making, "distill", noted)
    return found


@pytest.fixture
def let_fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the training of the run of a name fail from now on."""
    real = recipe.Trainer.train

    def let(name: str) -> None:
        def train(self: Any, listener: Any) -> Any:
            if self._run.path.name == name:
                raise TrainingError("the loss is nan at update 3")
            return real(self, listener)

        monkeypatch.setattr(recipe.Trainer, "train", train)

    return let


def test_a_study_is_made_once_and_reported(read_plan: ReadPlan, tmp_path: Path, made: list[str]) -> None:
    plan, out = read_plan(PLAN), tmp_path / "out"
    results = study(plan, out=out, command="cotpd study plan.toml")
    assert made == ["text-seed1", "both-seed1", "text-seed2", "both-seed2"], (
        "seed by seed, so that a stop leaves whole seeds"
    )
    assert not results.failures
    rows = {(row.run, row.score, row.view): row for row in results.rows}
    views = {view for run, score, view in rows if (run, score) == ("both", "dev")}
    assert views == {"text", "prompt", "knowledge", "knowledge without caption"}
    assert ("text", "dev", "prompt") not in rows, "a student without prompts has no prompt-enhanced view"
    assert set(rows["both", "test", "prompt"].values) == {1, 2}
    assert [one.name for one in results.compared] == ["both − text"]
    reports = {name: (out / f"report.{name}").read_text(encoding="utf-8") for name in ("json", "md", "html")}
    as_json = json.loads(reports["json"])
    assert as_json["rows"][0]["values"].keys() == {"1", "2"}
    assert as_json["compared"][0]["verdict"] == verdict_of(results.compared[0]).value
    assert as_json["compared"][0]["remarks"] == remarks(results.compared[0])
    assert all("both − text" in text for text in reports.values())
    made.clear()
    assert study(plan, out=out, command="cotpd study plan.toml") == results
    assert made == []
    assert {name: (out / f"report.{name}").read_text(encoding="utf-8") for name in reports} == reports


def test_the_figures_are_those_of_the_command_beside_them(
    read_plan: ReadPlan, tmp_path: Path, cotpd: Callable[..., Any]
) -> None:
    results = study(read_plan(PLAN.replace("[1, 2]", "[1]")), out=tmp_path / "out")
    rows = [row for row in results.rows if "without" not in row.view]
    assert len(rows) == 7
    for row in rows:
        ended = cotpd(*row.commands[0].split()[1:], "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["micro"]["f1"] == row.values[1]


_KILLED = """
import os, signal, sys
from pathlib import Path
from cotpd.distillation.trainer import Trainer
from cotpd.studies.plan.plan import Plan
from cotpd.studies.study import study

count, real = 0, Trainer._update
def update(self, step):
    global count
    count += 1
    print(self._run.path.name, self._state.step, flush=True)
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, step)
Trainer._update = update
study(Plan.read(Path(sys.argv[1])), out=Path(sys.argv[2]))
"""


def test_a_killed_study_goes_on_and_repeats_no_finished_run(write_plan: WritePlan, tmp_path: Path) -> None:
    """Fault 31 for studies: killed in the second run, it goes on there; the first one keeps its bytes."""
    path, out = write_plan(PLAN.replace("[1, 2]", "[1]")), tmp_path / "out"

    def run(kill_at: int) -> tuple[int, list[str]]:
        ended = subprocess.run(
            [sys.executable, "-c", _KILLED, str(path), str(out), str(kill_at)], capture_output=True, text=True
        )
        return ended.returncode, ended.stdout.splitlines()

    code, updates = run(6)
    assert (code, updates[-1]) == (-signal.SIGKILL, "both-seed1 2")
    before = {file: file.stat().st_mtime_ns for file in (out / "text-seed1" / "model").iterdir()}
    code, updates = run(0)
    assert code == 0
    assert updates[0] == "both-seed1 2", "the update that was killed is made again, and no other"
    assert all(line.startswith("both-seed1") for line in updates)
    assert {file: file.stat().st_mtime_ns for file in (out / "text-seed1" / "model").iterdir()} == before


def test_a_failing_run_is_told_of_and_the_others_go_on(
    read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(
        f"""
        [runs.broken]
        "optimisation.epochs" = 2
        [runs.taught]
        "objective.student" = "text"
        "objective.target" = "recorded"
        "objective.target_runs" = ["broken"]
        "objective.task_loss" = "student"
        {TEXT}
        """
    )
    real = recipe.Trainer.train

    def fails(self: Any, listener: Any) -> Any:
        if self._run.path.name == "broken-seed1":
            raise TrainingError("the loss is nan at update 3")
        return real(self, listener)

    monkeypatch.setattr(recipe.Trainer, "train", fails)
    results = study(plan, out=tmp_path / "out")
    assert results.failures == {
        "broken-seed1": "the loss is nan at update 3",
        "taught-seed1": "needs broken-seed1, which failed",
    }
    assert [row.run for row in results.rows] == ["text"]
    assert "the loss is nan" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    assert not study(plan, out=tmp_path / "out").failures


@pytest.mark.parametrize(("where", "rows"), [(making, ["both"]), (scoring, [])], ids=["training", "scoring"])
def test_an_error_of_the_program_ends_a_run_and_not_the_study(
    where: Any, rows: list[str], read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {making: "distill", scoring: "decode"}[where]
    real = getattr(where, name)

    def fails(*args: Any, **options: Any) -> Any:
        if where is scoring or options["out"].name == "text-seed1":
            raise ValueError("an unforeseen shape")
        return real(*args, **options)

    monkeypatch.setattr(where, name, fails)
    results = study(read_plan(TEXT + "[runs.both]\n"), out=tmp_path / "out")
    assert results.failures["text-seed1"] == "a bug in cotpd (ValueError: an unforeseen shape)"
    assert [row.run for row in results.rows] == rows
    assert results.num_finished == (2 if where is scoring else 1)
    monkeypatch.undo()
    assert not study(read_plan(TEXT + "[runs.both]\n"), out=tmp_path / "out").failures


def test_what_failed_here_and_another_process_has_made_is_no_failure(
    read_plan: ReadPlan, tmp_path: Path, let_fail: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that ends last writes the report."""
    plan, out, elsewhere = read_plan(TEXT + "[runs.both]\n"), tmp_path / "out", tmp_path / "elsewhere"
    study(plan, out=elsewhere)
    real = making.distill

    def meanwhile(*args: Any, **options: Any) -> Any:
        if options["out"].name == "both-seed1":
            shutil.rmtree(out / "text-seed1", ignore_errors=True)
            shutil.copytree(elsewhere / "text-seed1", out / "text-seed1")
        return real(*args, **options)

    let_fail("text-seed1")
    monkeypatch.setattr(making, "distill", meanwhile)
    results = study(plan, out=out)
    assert not results.failures
    assert [row.run for row in results.rows] == ["text", "both"]


def test_predictions_are_not_kept_where_a_run_may_not_be_written(
    read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = read_plan(TEXT), tmp_path / "out"
    made = study(plan, out=out)
    kept = set(out.rglob("predictions.text-*"))
    for path in kept:
        path.unlink()
    monkeypatch.setattr(scoring.os, "access", lambda *_: False)
    assert study(plan, out=out, only_report=True) == made
    assert kept
    assert not any(path.exists() for path in kept)


def test_what_is_finished_is_reported_and_nothing_is_made(read_plan: ReadPlan, tmp_path: Path, made: list[str]) -> None:
    out, plan = tmp_path / "out", PLAN + "[runs.later]\n"
    study(read_plan(PLAN.replace("[1, 2]", "[1]")), out=out)
    made.clear()
    begun = next(run for run in planned_runs(read_plan(plan), out) if run.id == "both-seed2")
    begun.path.mkdir()
    (begun.path / "config.toml").write_text(begun.config.to_toml(), encoding="utf-8")
    results = study(read_plan(plan), out=out, only_report=True)
    assert made == []
    assert not results.failures
    assert results.unfinished == {
        "text-seed2": "to do", "both-seed2": "begun", "later-seed1": "to do", "later-seed2": "to do",
        "comparison later − text": "needs runs that are not finished",
    }  # fmt: skip
    assert [(one.name, one.num_seeds) for one in results.compared] == [("both − text", (1, 1))]
    assert (results.num_finished, results.num_runs) == (2, 6)
    for kind in ("md", "html"):
        text = (out / f"report.{kind}").read_text(encoding="utf-8")
        assert "2 of 6 runs finished. The others are not made yet" in text
        assert "needs runs that are not finished" in text
    study(read_plan(PLAN), out=out)
    assert made == ["text-seed2", "both-seed2"], "and they are made when that is asked"


def test_what_is_missing_makes_no_comparison_surer_or_less_paired(read_plan: ReadPlan, tmp_path: Path) -> None:
    """A ceiling with fewer seeds leaves the lead paired, and Holm counts what was planned, not what was made."""
    plan = read_plan(
        f"""
        seeds = [1, 2]
        {TEXT}
        [runs.both]
        [runs.ceiling]
        like = "both"
        seeds = [1]
        [runs.broken]
        "student.encoder" = "nowhere"
        [[comparisons]]
        run = "both"
        baseline = "text"
        ceiling = "ceiling"
        [[comparisons]]
        run = "broken"
        baseline = "text"
        """
    )
    results = study(plan, out=tmp_path / "out")
    (one,) = results.compared
    assert one.is_paired
    assert one.num_seeds == (2, 2)
    assert one.p_holm == min(1.0, 2 * one.p_value)
    assert "comparison broken − text" in results.failures


def test_what_only_describes_costs_no_other_comparison_its_p(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(
        f"""
        seeds = [1, 2]
        {TEXT}
        [runs.both]
        [runs.broken]
        "student.encoder" = "nowhere"
        [[comparisons]]
        run = "both"
        baseline = "text"
        [[comparisons]]
        run = "both@knowledge"
        baseline = "both"
        descriptive = true
        [[comparisons]]
        run = "broken"
        baseline = "text"
        descriptive = true
        """
    )
    decides, describes = study(plan, out=tmp_path / "out").compared
    assert decides.p_holm == decides.p_value
    assert describes.p_holm is None
    assert verdict_of(describes) is Verdict.DESCRIBED


def test_a_run_that_failed_leaves_the_others_paired(
    read_plan: ReadPlan, tmp_path: Path, let_fail: Callable[[str], None]
) -> None:
    """Against the baseline's other seeds the lead would be one of seeds."""
    plan = read_plan(f"seeds = [1, 2]\nbaseline = 'text'\n{TEXT}\n[runs.same]\nlike = 'text'")
    let_fail("same-seed2")
    (one,) = study(plan, out=tmp_path / "out").compared
    assert (one.lead, one.num_seeds, one.left_out, one.is_paired) == (0.0, (1, 1), (2,), True)


def test_a_damaged_run_is_told_of_and_costs_no_other(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(f"baseline = 'text'\n{TEXT}\n[runs.a]\n[runs.b]\n[runs.c]\n")
    study(plan, out=tmp_path / "out")
    (tmp_path / "out" / "a-seed1" / "summary.json").write_text("{", encoding="utf-8")
    (tmp_path / "out" / "b-seed1" / "metrics.jsonl").unlink()
    (tmp_path / "out" / "c-seed1" / "config.toml").write_text("x = [", encoding="utf-8")
    results = study(plan, out=tmp_path / "out")
    assert {row.run for row in results.rows} == {"text", "a", "b"}
    assert results.failures.keys() == {"b-seed1", "c-seed1", "comparison c − text"}
    assert "no learning curve" in results.failures["b-seed1"]
    assert "config.toml cannot be read" in results.failures["c-seed1"]
    assert "move it away" in results.failures["c-seed1"]


def test_posts_that_cannot_be_scored_cost_no_others(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(f"baseline = 'text'\n{TEXT}\n[runs.both]\n[scores.dev]\n[scores.gone]\ndata = 'nowhere'\n")
    results = study(plan, out=tmp_path / "out")
    assert {(row.run, row.score) for row in results.rows} == {("text", "dev"), ("both", "dev")}
    assert "could not be scored on gone: nowhere" in results.failures["both-seed1"]
    assert [one.on for one in results.compared] == ["dev"]
    damaged = next((tmp_path / "out" / "text-seed1").glob("predictions.text-*"))
    damaged.write_text("{\n", encoding="utf-8")
    assert "remove the file" in study(plan, out=tmp_path / "out").failures["text-seed1"]


@pytest.fixture
def foreign(data: Path, tmp_path: Path) -> Path:
    """The corpus as another captioner and another language model describe it."""
    path = tmp_path / "foreign"
    path.mkdir()
    for file in data.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    for name, key in (("captions.jsonl", "captioner"), ("knowledge.jsonl", "model")):
        rows = [json.loads(line) | {key: "another"} for line in (path / name).read_text("utf-8").splitlines()]
        (path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_run_taught_by_other_corpora_is_scored_on_one_that_another_described(
    read_plan: ReadPlan, data: Path, foreign: Path, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    dev = [json.loads(line) for line in (data / "test.jsonl").read_text("utf-8").splitlines()]
    rows = [{**row, "words": [*row["words"], "again", "and", "again"]} for row in dev]
    (others / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("captions.jsonl", "knowledge.jsonl"):
        (others / name).write_bytes((data / name).read_bytes())
    plan = read_plan(f"""
        [runs.both]
        "data.unlabelled" = ["{others}"]
        [scores.dev]
        [scores.foreign]
        data = "{foreign}"
    """)
    results = study(plan, out=tmp_path / "out")
    assert not results.failures
    assert [row.score for row in results.rows] == ["dev", "foreign"]


@pytest.mark.parametrize("key", ["captioner", "knowledge_model"])
def test_a_corpus_that_another_described_costs_the_knowledge_view_alone(
    key: str, read_plan: ReadPlan, data: Path, foreign: Path, tmp_path: Path
) -> None:
    file, maker = {"captioner": ("captions", "captioner"), "knowledge_model": ("knowledge", "model")}[key]
    chosen = json.loads((data / f"{file}.jsonl").read_text("utf-8").splitlines()[0])[maker]
    plan = read_plan(f"""
        [runs.both]
        "data.{key}" = "{chosen}"
        [scores.foreign]
        data = "{foreign}"
        views = ["knowledge", "text"]
    """)
    results = study(plan, out=tmp_path / "out")
    assert {row.view for row in results.rows} == {"text", "prompt"}
    assert "no rows by" in results.failures["both-seed1"]
    (foreign / f"{file}.jsonl").unlink()
    results = study(plan, out=tmp_path / "out")
    assert not results.failures, "what is not there is by nobody"
    assert {row.view for row in results.rows} == {"knowledge", "text", "prompt"}


def test_a_directory_that_cannot_be_written_is_refused(read_plan: ReadPlan, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="choose another --out"):
        study(read_plan(TEXT), out=tmp_path / "out")


def test_entities_are_told_apart_by_what_training_shows_of_them(
    read_plan: ReadPlan, data: Path, tmp_path: Path
) -> None:
    share = f'seeds = [1]\n[runs.all]\n"objective.student" = "text"{ALONE}[runs.half]\nlike = "all"\n'
    plan = read_plan(f'{share}"data.train_share" = 0.5\n[scores.train]\nsplit = "train"\n[scores.dev]\n')
    rows = {(row.run, row.score): row.by_training for row in study(plan, out=tmp_path / "out").rows}
    train = sum(len(post.entities) for post in Corpus.from_path(data).train)
    assert {kind: names.support for kind, names in rows["all", "train"].items()} == {"labelled": train}
    half = rows["half", "train"]
    assert half.keys() == {"labelled", "other"}
    assert train == half["labelled"].support + half["other"].support
    assert rows["half", "dev"]["unseen"].support == rows["all", "dev"]["unseen"].support > 0


def test_what_is_compared_is_scored_unasked(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(
        f"""
        {TEXT}
        [runs.both]
        [scores.dev]
        views = ["text"]
        [scores.test]
        split = "test"
        [[comparisons]]
        run = {{ "both@knowledge" = ["dev", "test"] }}
        baseline = {{ "text" = ["dev", "test"] }}
        ceiling = {{ "both" = ["dev", "test"] }}
        """
    )
    results = study(plan, out=tmp_path / "out")
    assert not results.failures
    (one,) = results.compared
    assert (one.on, one.num_posts, one.num_seeds) == ("dev + test", 20, (1, 1))
    shown = {(row.run, row.score, row.view) for row in results.rows}
    assert {("both", "dev", "prompt"), ("both", "test", "knowledge"), ("text", "test", "text")} <= shown


def test_two_stage_with_cross_fitted_folds(read_plan: ReadPlan, tmp_path: Path, made: list[str]) -> None:
    plan = read_plan(
        f"""
        [runs.student]
        "objective.target" = "recorded"
        "objective.target_runs" = ["target"]
        "objective.task_loss" = "student"
        [runs.target]
        folds = 2
        "objective.student" = "knowledge"
        {ALONE}
        """
    )
    results = study(plan, out=tmp_path / "out")
    assert not results.failures
    assert made == ["target-fold1-seed1", "target-fold2-seed1", "student-seed1"]
    assert {row.run for row in results.rows} == {"student"}, "folds are targets, not results"
    config = (tmp_path / "out" / "student-seed1" / "config.toml").read_text(encoding="utf-8")
    assert "target-fold1-seed1" in config
    assert "target-fold2-seed1" in config


def test_a_run_that_lost_its_model_is_named_and_never_made_again(
    read_plan: ReadPlan, tmp_path: Path, made: list[str]
) -> None:
    plan, out = read_plan(f"{TEXT}\n[runs.both]\n[scores.dev]\n"), tmp_path / "out"
    study(plan, out=out)
    made.clear()
    (out / "text-seed1" / "model" / "config.json").unlink()
    (out / "both-seed1" / "environment.json").write_text("[]", encoding="utf-8")
    failures = study(read_plan(f"{TEXT}\n[runs.both]\n[scores.test]\nsplit = 'test'\n"), out=out).failures
    assert "config.json" in failures["text-seed1"]
    assert "environment.json: damaged" in failures["both-seed1"]
    assert made == []


def test_a_run_that_was_killed_while_it_tidied_up_is_tidied(read_plan: ReadPlan, tmp_path: Path) -> None:
    study(read_plan(TEXT), out=tmp_path / "out")
    checkpoints = tmp_path / "out" / "text-seed1" / "checkpoints"
    assert not checkpoints.exists()
    (checkpoints / "step-1").mkdir(parents=True)
    assert not study(read_plan(TEXT), out=tmp_path / "out").failures
    assert not checkpoints.exists()


def test_kept_predictions_are_of_the_model_that_is_there(read_plan: ReadPlan, tmp_path: Path) -> None:
    """A run's model was removed and made again, as on another machine."""
    plan, out = read_plan(TEXT), tmp_path / "out"
    study(plan, out=out)
    (kept,) = (out / "text-seed1").glob("predictions.text-*")
    manifest = out / "text-seed1" / "model" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    study(plan, out=out)
    assert len(set((out / "text-seed1").glob("predictions.text-*")) - {kept}) == 1


def test_a_damaged_target_is_named_and_not_what_it_taught(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan, out = read_plan(TAUGHT), tmp_path / "out"
    assert not study(plan, out=out).failures
    (out / "target-seed1" / "model" / "manifest.json").write_text("{", encoding="utf-8")
    assert "target-seed1 away and make it again" in study(plan, out=out).failures["taught-seed1"]


def test_sides_that_name_the_same_posts_in_another_order_are_compared(read_plan: ReadPlan, tmp_path: Path) -> None:
    plan = read_plan(
        f"""
        {TEXT}
        [runs.both]
        [scores.one]
        [scores.two]
        split = "test"
        [[comparisons]]
        run = {{ both = ["one", "two"] }}
        baseline = {{ text = ["two", "one"] }}
        """
    )
    (one,) = study(plan, out=tmp_path / "out").compared
    assert one.num_posts == 20


def test_a_share_says_when_it_rests_on_fewer_seeds_than_the_lead(
    read_plan: ReadPlan, tmp_path: Path, let_fail: Callable[[str], None]
) -> None:
    plan = read_plan("seeds = [1, 2]\n" + BELOW_A_CEILING)
    let_fail("known-seed2")
    (one,) = study(plan, out=tmp_path / "out").compared
    assert (one.num_seeds, one.share_seeds) == ((2, 2), (1, 1, 1))


def test_a_ceiling_without_scores_costs_the_share_and_not_the_comparison(
    read_plan: ReadPlan, tmp_path: Path, let_fail: Callable[[str], None]
) -> None:
    plan = read_plan(BELOW_A_CEILING)
    let_fail("known-seed1")
    results = study(plan, out=tmp_path / "out")
    (one,) = results.compared
    assert (one.ceiling, one.share, one.share_seeds) == ("known", None, ())
    assert any("known has no scores of these posts" in remark for remark in remarks(one))
    assert list(results.failures) == ["known-seed1"]


def test_a_finished_run_with_other_settings_or_posts_is_not_reused(
    read_plan: ReadPlan, write_plan: WritePlan, tmp_path: Path, made: list[str], data: Path
) -> None:
    out = tmp_path / "out"
    study(read_plan(TEXT), out=out)
    made.clear()
    changed = study(read_plan(TEXT + '"optimisation.learning_rate" = 1e-3'), out=out)
    assert "made with other settings (optimisation.learning_rate)" in changed.failures["text-seed1"]
    other = tmp_path / "other"
    other.mkdir()
    for file in data.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    moved = Plan.read(write_plan(TEXT), [f"data.path={other}"])
    assert not study(moved, out=out).failures, "the same posts elsewhere are the same posts"
    lines = (other / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (other / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    assert "other posts" in study(moved, out=out).failures["text-seed1"]
    assert made == []
    oftener = study(read_plan(TEXT + '"optimisation.checkpoint_steps" = 7'), out=out)
    assert not oftener.failures, "how often a run saves changes nothing in it"


def test_a_run_that_was_begun_goes_on_where_its_files_lie_now(
    read_plan: ReadPlan, write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    """A relative --out before, an absolute one now: what a run is taught by has another path, and is the same."""
    text = TAUGHT
    monkeypatch.chdir(tmp_path)
    real = recipe.Trainer._update

    def stops(self: Any, step: Any) -> Any:
        if self._run.path.name == "taught-seed1" and self._state.step == 2:
            raise KeyboardInterrupt
        return real(self, step)

    monkeypatch.setattr(recipe.Trainer, "_update", stops)
    with pytest.raises(KeyboardInterrupt):
        study(read_plan(text), out=Path("out"))
    monkeypatch.setattr(recipe.Trainer, "_update", real)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(data)
    moved = Plan.read(write_plan(text), [f"data.path={elsewhere}"])
    assert not study(moved, out=tmp_path / "out").failures
    config = (tmp_path / "out" / "taught-seed1" / "config.toml").read_text(encoding="utf-8")
    assert str(tmp_path / "out" / "target-seed1") in config


def test_a_full_disk_ends_a_run_and_not_the_study(
    read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(TEXT + "[runs.both]\n")
    real = checkpoint.save_file

    def full(tensors: Any, path: Path, **options: Any) -> None:
        if "text-seed1" in str(path):
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        real(tensors, path, **options)

    monkeypatch.setattr(checkpoint, "save_file", full)
    results = study(plan, out=tmp_path / "out")
    assert list(results.failures) == ["text-seed1"]
    assert "No space left" in results.failures["text-seed1"]
    assert [row.run for row in results.rows] == ["both"]


@pytest.mark.parametrize(
    ("where", "failed"),
    [
        (recipe.Trainer, {"target-seed1": "out of memory; lower", "taught-seed1": "needs target-seed1"}),
        (targets, {"taught-seed1": "out of memory; stop what else uses the device"}),
        (scoring, {"target-seed1": "could not be scored on dev: out of memory", "taught-seed1": "could not be scored"}),
    ],
    ids=["training", "recording", "scoring"],
)
def test_running_out_of_memory_ends_a_run_and_not_the_study(
    where: Any, failed: dict[str, str], read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, name = Student.forward, {recipe.Trainer: "train", targets: "record_targets", scoring: "decode"}[where]
    work = getattr(where, name)

    def full(*_: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def fails(*args: Any, **options: Any) -> Any:
        if where is recipe.Trainer and args[0]._run.path.name == "text-seed1":
            return work(*args, **options)
        Student.forward = full  # type: ignore[method-assign]
        try:
            found = work(*args, **options)
            return iter(list(found)) if where is scoring else found
        finally:
            Student.forward = real  # type: ignore[method-assign]

    monkeypatch.setattr(where, name, fails)
    results = study(read_plan(TAUGHT + TEXT), out=tmp_path / "out")
    told = {name: results.failures.get(name, "") for name in failed}
    assert all(told[name].startswith(reason) for name, reason in failed.items()), told
    assert where is scoring or results.failures.keys() == failed.keys()


def test_runs_of_different_corpora_are_told_apart_and_not_compared(
    read_plan: ReadPlan, tmp_path: Path, data: Path
) -> None:
    """Else the study would end without a report, after all its runs."""
    other = tmp_path / "other"
    other.mkdir()
    for file in data.iterdir():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        (other / file.name).write_text("".join(lines[:-2] if file.name == "dev.jsonl" else lines), encoding="utf-8")
    results = study(
        read_plan(f"baseline = 'text'\n{TEXT}\n[runs.other]\nlike = 'text'\ndata.path = '{other}'"),
        out=tmp_path / "out",
    )
    assert list(results.failures) == ["comparison other − text"]
    assert "same posts" in results.failures["comparison other − text"]
    assert [row.num_posts for row in results.rows] == [10, 8]
    more = f"baseline = 'text'\nseeds = [1, 2]\n{TEXT}\n[runs.other]\nlike = 'text'\ndata.path = '{other}'"
    waiting = study(read_plan(more), out=tmp_path / "out", only_report=True)
    assert list(waiting.failures) == ["comparison other − text"], "which no further seed will mend"
    assert "not to be compared" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_run_that_another_process_makes_is_left_to_it(
    read_plan: ReadPlan, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes share a plan: while the other holds a run, this one makes the next, and waits for the first."""
    out = tmp_path / "out"
    others = making._taken(out / "text-seed1", shared=False)
    others.__enter__()
    monkeypatch.setattr(making.time, "sleep", lambda _: others.__exit__(None, None, None))
    study(read_plan(TEXT + "[runs.both]\n"), out=out)
    assert made == ["both-seed1", "text-seed1"]


def test_a_report_alone_waits_for_nobody(read_plan: ReadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has finished a run and is scoring it, or hangs there."""
    plan, out = read_plan(TEXT), tmp_path / "out"
    made = study(plan, out=out)
    monkeypatch.setattr(making.time, "sleep", lambda _: pytest.fail("it waits"))
    with making._taken(out / "text-seed1", shared=False):
        assert study(plan, out=out, only_report=True) == made
