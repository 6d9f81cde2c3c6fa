"""A plan says what it means or is refused with the way out, and every ready plan can be carried out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import UsageError
from cotpd.studies.plan.expansion import PlannedRun, planned_runs
from cotpd.studies.plan.plan import Plan, ScoredView, merged
from cotpd.studies.plan.validation import all_comparisons

READY = sorted((Path(__file__).resolve().parents[3] / "configs" / "studies").glob("*.toml"))
ReadPlan = Callable[[str], Plan]


def by_id(plan: Plan) -> dict[str, PlannedRun]:
    return {run.id: run for run in planned_runs(plan, Path("out"))}


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_every_ready_plan_can_be_carried_out(path: Path) -> None:
    plan = Plan.read(path)
    runs = planned_runs(plan, Path("out"))
    comparisons = all_comparisons(plan, {run.name: run.config.objective.student for run in runs})
    assert plan.question
    assert comparisons
    names = [run.id for run in runs]
    assert all(names.index(needed) < names.index(run.id) for run in runs for needed in run.needs)
    assert f"{len(runs)} runs" in " ".join(path.read_text(encoding="utf-8").split()) or path.stem == "sample"
    scored = {name for name, run in plan.runs.items() if not run.folds}
    compared = {side.partition("@")[0] for one in comparisons for side in (*one.run, *one.baseline)}
    assert compared <= scored, "folds are not scored"


def test_the_plan_of_the_documentation_can_be_carried_out(tmp_path: Path) -> None:
    root = READY[0].parents[2]
    text = (root / "docs" / "studies.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "plan.toml").write_text(text, encoding="utf-8")
    for path in (root / "configs").glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    plan = Plan.read(tmp_path / "plans" / "plan.toml")
    assert len(planned_runs(plan, Path("out"))) == 15
    assert plan.compared_views("joint", "dev") == ["knowledge"]
    assert plan.compared_views("joint", "foreign") == plan.compared_views("hot", "dev") == []


def titles(plan: Plan) -> list[str]:
    """Of all comparisons of a plan whose runs ship the prompt-enhanced view."""
    return [one.title for one in all_comparisons(plan, dict.fromkeys(plan.runs, "prompt"))]


def test_there_are_ready_plans() -> None:
    assert len(READY) > 9


def test_dotted_keys_and_tables_mean_the_same(read_plan: ReadPlan) -> None:
    dotted = by_id(read_plan('[runs.a]\n"objective.temperature" = 4\nviews.part_dropout = 0.5'))["a-seed1"]
    tables = by_id(read_plan("[runs.a.objective]\ntemperature = 4\n[runs.a.views]\npart_dropout = 0.5"))["a-seed1"]
    assert dotted.config == tables.config
    assert (dotted.config.objective.temperature, dotted.config.views.part_dropout) == (4.0, 0.5)
    assert dotted.config.prompt.heads == 2, "the base holds"


def test_differences_are_laid_over_each_other_in_order(read_plan: ReadPlan) -> None:
    plan = read_plan(
        """
        seeds = [3]
        [changes]
        "optimisation.epochs" = 2
        "prompt.length" = 5
        [runs.a]
        "prompt.length" = 6
        "views.knowledge_pieces" = 7
        [runs.b]
        like = "a"
        "views.knowledge_pieces" = 8
        """
    )
    runs = by_id(plan)
    assert list(runs) == ["a-seed3", "b-seed3"]
    found = runs["b-seed3"].config
    assert (found.optimisation.epochs, found.prompt.length, found.views.knowledge_pieces, found.seed) == (2, 6, 8, 3)


def test_both_forms_of_a_table_count(read_plan: ReadPlan) -> None:
    text = "[runs.a.changes.objective]\nweight = 2\n[runs.a.objective]\ntemperature = 4"
    objective = by_id(read_plan(text))["a-seed1"].config.objective
    assert (objective.weight, objective.temperature) == (2, 4)


def test_a_change_of_the_command_line_changes_every_run(write_plan: Callable[[str], Path]) -> None:
    path = write_plan('seeds = [1, 2]\n[runs.a]\n"optimisation.epochs" = 4\n[runs.b]')
    runs = by_id(Plan.read(path, ["optimisation.epochs=7", "seed=5"]))
    assert {name: run.config.optimisation.epochs for name, run in runs.items()} == {"a-seed5": 7, "b-seed5": 7}
    own = write_plan("seeds = [1, 2]\n[runs.a]\nseeds = [8]\n[runs.b]")
    assert list(by_id(Plan.read(own, ["seed=5"]))) == ["a-seed5", "b-seed5"], "a run with seeds of its own, too"


STUDENT = """
"objective.target" = "recorded"
"objective.task_loss" = "student"
"""


def test_targets_are_runs_of_the_same_seed_or_the_only_one(read_plan: ReadPlan) -> None:
    text = f"""
        seeds = [1, 2]
        [runs.student]
        {STUDENT}
        "objective.target_runs" = ["target"]
        [runs.target]
        """
    runs = by_id(read_plan(text))
    assert runs["student-seed2"].needs == ("target-seed2",)
    assert runs["student-seed2"].config.objective.target_runs == (Path("out/target-seed2"),)
    assert list(runs) == ["target-seed1", "student-seed1", "target-seed2", "student-seed2"]
    assert by_id(read_plan(text + "seeds = [9]"))["student-seed2"].needs == ("target-seed9",)
    named = by_id(read_plan(text.replace('["target"]', '["target-seed1"]')))
    assert named["student-seed2"].needs == ("target-seed1",)
    with pytest.raises(UsageError, match="which other is meant is unclear"):
        by_id(read_plan(text + "seeds = [8, 9]"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[runs.a]\n"objective.temprature" = 2', "run a: unknown key objective.temprature; did you mean temperature"),
        ('[runs.a]\n"objectives.weight" = 2', "run a: unknown key objectives; did you mean objective"),
        ("[runs.a]\n[scores.dev]\nsplitt = 'dev'", "unknown key scores.dev.splitt; did you mean split"),
        ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbasline = 'a'", "comparisons.0.basline; did you mean baseline"),
        ("sedes = [1]\n[runs.a]", "unknown key sedes; did you mean seeds"),
        ("[runs.a]\n[scores.dev]\nviews = ['knowledge without pictures']", "no view"),
        ("[runs.a]\n[scores.dev]\nviews = ['text without caption']", "no view"),
        ("baseline = 'b'\n[runs.a]", "no run 'b' in this plan; it has a"),
        ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbaseline = 'a'\non = ['tset']", "no score 'tset'"),
        ("[runs.a-seed1]", "'a-seed1' is no name"),
        ("[runs.'../a']", "is no name"),
        (f"[runs.{'a' * 101}]", "is no name"),
        (f"[runs.'{'名' * 67}']", "200 bytes in all"),
        (
            "[runs.a]\n[runs.b]\n[[comparisons]]\nrun = 'b'\nbaseline = 'a'\nat_least = 1\ndescriptive = true",
            "at_least asks for a verdict",
        ),
        ("[runs.a]\nlike = 'a'", "like itself"),
        (f"[runs.a]\n{STUDENT}'objective.target_runs' = ['b']\n[runs.bb]", "did you mean bb"),
        (f"[runs.a]\n{STUDENT}'objective.target_runs' = ['a']", "a-seed1 needs itself"),
        ("[runs]", "runs: "),
        ("[runs.a]\nfolds = 1", "runs.a.folds"),
        ("[runs.a]\nseed = 3", "write seeds ="),
        ("[changes]\nseed = 3\n[runs.a]", "write seeds ="),
        ("[runs.a]\nobjective = 3", "run a: objective: "),
        (f"[runs.a]\n{STUDENT}'objective.target_runs' = 'b'\n[runs.b]", "run a: objective.target_runs: "),
        ("[runs.a]\nchanges = 3", "runs.a.changes: "),
        ("seeds = [1, 1]\n[runs.a]", "seeds: Value error, a seed stands twice"),
        ("[runs.a]\nseeds = [5, 5]", "runs.a.seeds: Value error, a seed stands twice"),
        ("[runs.a]\nseeds = []", "runs.a.seeds: "),
        (
            "[runs.a]\n[runs.b]\ntask = 'relations'\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'",
            "comparison a − b: runs of entities and relations cannot be compared",
        ),
        ("baseline = 'a'\n[runs.a]\nfolds = 2\n[runs.b]", "run a has folds"),
        ("[runs.a]\n[runs.b]\n[scores.dev]\nruns = ['a']\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'", "leaves it out"),
        ("[runs.a]\nobjective.student = 'text'\n[[comparisons]]\nrun = 'a@prompt'\nbaseline = 'a'", "no prompts"),
        ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbaseline = 'a@prompt'", "compared with itself"),
        (
            "[runs.a]\n[runs.b]\n[scores.x]\n[scores.y]\nsplit = 'test'\n"
            "[[comparisons]]\nrun = {a = ['x']}\nbaseline = {b = ['y']}",
            "different posts (dev, test)",
        ),
        (
            "[runs.a]\n[runs.b]\n[scores.x]\n[[comparisons]]\non = ['x', 'x']\nrun = 'a'\nbaseline = 'b'",
            "twice, which would feign certainty",
        ),
        (
            f"[runs.a]\n[runs.b]\n'data.path' = 'x'\n[scores.x]\n[scores.y]\ndata = '{Path('x').resolve()}'\n"
            "[[comparisons]]\non = ['x', 'y']\nrun = 'b'\nbaseline = 'a'",
            "twice, which would feign certainty",
        ),
        (
            "[runs.a]\n[runs.b]\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'\n"
            "[[comparisons]]\nname = 'n'\nrun = 'b'\nbaseline = 'a'",
            "comparison n: stands twice, and Holm's correction would count it twice",
        ),
        (
            "baseline = 'a'\n[runs.a]\n[runs.b]\n[runs.c]\n[[comparisons]]\nname = 'c − a'\nrun = 'c'\nbaseline = 'b'",
            "two comparisons are called 'c − a'",
        ),
        ("[runs.a]\n[runs.b]\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'\nat_least = -1", "comparisons.0.at_least"),
        ("baseline = ''\n[runs.a]", "no run '' in this plan"),
        ("[runs.a]\nlike = ''", "no run '' in this plan"),
        ("[runs.a]\nfolds = 2\n[scores.dev]\nruns = ['a']", "run a has folds"),
        ("[changes]\nseeds = [3]\n[runs.a]", "write seeds ="),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str, read_plan: ReadPlan) -> None:
    with pytest.raises(UsageError, match=re.escape(message).replace("'", ".")):
        planned_runs(read_plan(text), Path("out"))


def test_runs_off_the_first_score_are_not_compared_on_it(read_plan: ReadPlan) -> None:
    """Else a plan would fail for a comparison that it never asked for, after all its runs."""
    plan = read_plan("baseline = 'a'\n[runs.a]\n[runs.b]\n[runs.c]\n[scores.dev]\nruns = ['a', 'b']")
    assert titles(plan) == ["b − a"]
    assert planned_runs(plan, Path("out"))


@pytest.mark.parametrize("run", ["'b'", "'b@prompt'", "{ b = ['dev'] }", "{ 'b@prompt' = ['dev'] }"])
def test_what_is_compared_by_name_is_not_counted_twice(run: str, read_plan: ReadPlan) -> None:
    """Holm's correction would pay for the same comparison twice."""
    text = "baseline = 'a'\n[runs.a]\n[runs.b]\n[[comparisons]]\nname = 'n'\nbaseline = 'a'\nrun = "
    assert titles(read_plan(text + run)) == ["n"]


def test_comparisons_of_the_same_runs_on_other_posts_have_other_titles(read_plan: ReadPlan) -> None:
    """Else what failed of one would take the place of the other's reason."""
    one, other = (f"[[comparisons]]\nrun = {{b = ['{x}']}}\nbaseline = {{a = ['{x}']}}\n" for x in ("dev", "test"))
    scores = "[scores.dev]\n[scores.test]\nsplit = 'test'\n"
    assert titles(read_plan(f"[runs.a]\n[runs.b]\n{scores}{one}{other}")) == ["b − a on dev", "b − a on test"]


def test_what_is_compared_in_another_view_or_on_other_posts_is_another_comparison(read_plan: ReadPlan) -> None:
    text = "baseline = 'a'\n[runs.a]\n[runs.b]\n[scores.dev]\n[scores.test]\nsplit = 'test'\n"
    text += "[[comparisons]]\nname = 'n'\n"
    assert titles(read_plan(text + "run = 'b@text'\nbaseline = 'a'")) == ["n", "b − a"]
    assert titles(read_plan(text + "run = 'b'\nbaseline = 'a'\non = ['test']")) == ["n", "b − a"]


def test_the_command_line_goes_before_every_form_of_a_setting(write_plan: Callable[[str], Path]) -> None:
    path = write_plan("[runs.a]\nobjective = { weight = 2 }\n'objective.temperature' = 4\n[runs.'é']")
    runs = by_id(Plan.read(path, ["objective.temperature=9"]))
    assert {run.config.objective.temperature for run in runs.values()} == {9}
    assert runs["a-seed1"].config.objective.weight == 2


def test_a_seed_of_the_command_line_must_be_one(write_plan: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match=r"--set seed: seeds\.0"):
        Plan.read(write_plan("[runs.a]"), ["seed=one"])


def test_a_plan_without_its_base_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('base = "nowhere.toml"\n[runs.a]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="neither beside the plan nor in the working directory"):
        Plan.read(tmp_path / "plan.toml")


def test_views_are_read_and_written_alike() -> None:
    for text in ("text", "knowledge", "knowledge without caption", "knowledge without noun, sentence"):
        assert str(ScoredView.of(text)) == text
    assert str(ScoredView.of("knowledge without noun,caption")) == "knowledge without caption, noun"


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a.b": 3}, {"a": {"b": 3, "c": 2}}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({}, {"a.b.c": 1, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({}, {"data.label_map": {"PER.NAM": "PER"}}, {"data": {"label_map": {"PER.NAM": "PER"}}}),
        ({"label_map": {"A": "B"}}, {"label_map.PER.NAM": "PER"}, {"label_map": {"A": "B", "PER.NAM": "PER"}}),
        ({"label_map": {"A": "B"}}, {"label_map": {}}, {"label_map": {}}),
    ],
)
def test_changes_are_merged(before: dict[str, Any], changes: dict[str, Any], after: dict[str, Any]) -> None:
    copy = repr(before)
    assert merged(before, changes) == after
    assert repr(before) == copy
