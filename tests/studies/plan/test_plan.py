"""Plans resolve into runs, scores and comparisons, and wrong plans are rejected with advice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import UsageError
from cotpd.studies.plan.design import PlannedRun
from cotpd.studies.plan.plan import Plan
from cotpd.studies.plan.resolution import resolve_plan
from cotpd.studies.plan.scored_view import ScoredView
from cotpd.studies.plan.settings import merge_settings

ROOT = Path(__file__).resolve().parents[3]
READY = sorted((ROOT / "configs" / "studies").glob("*.toml"))
ReadPlan = Callable[[str], Plan]


def by_id(plan: Plan) -> dict[str, PlannedRun]:
    return {run.id: run for run in resolve_plan(plan, Path("out")).runs}


def names(plan: Plan) -> list[str]:
    """Return the names of all comparisons of a plan."""
    return [one.name for one in resolve_plan(plan, Path("out")).comparisons]


def test_every_released_plan_resolves() -> None:
    assert len(READY) > 9
    for path in READY:
        plan = Plan.read(path)
        design = resolve_plan(plan, Path("out"))
        assert plan.question, path
        assert design.comparisons, path
        ids = [run.id for run in design.runs]
        assert all(ids.index(needed) < ids.index(run.id) for run in design.runs for needed in run.needs), path
        text = " ".join(word for word in path.read_text(encoding="utf-8").split() if word != "#")
        assert f"{len(ids)} runs" in text or path.stem == "sample", path
        scored = {run.name for run in design.runs if run.scores}
        places = [place for one in design.comparisons for side in one.sides for place in side.places]
        assert {place.run for place in places} <= scored, path


def test_the_documented_plan_resolves(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "studies.md").read_text(encoding="utf-8")
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "plan.toml").write_text(guide.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    for path in (ROOT / "configs").glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    design = resolve_plan(Plan.read(tmp_path / "plans" / "plan.toml"), Path("out"))
    assert len(design.runs) == 15
    joint = [(one.name, str(one.view)) for one in next(run for run in design.runs if run.name == "joint").scores]
    assert joint == [
        ("dev", "prompt"), ("dev", "knowledge"), ("dev", "knowledge without caption"), ("other-corpus", "prompt"),
    ]  # fmt: skip


def test_views_that_are_compared_are_scored(read_plan: ReadPlan) -> None:
    plan = read_plan(
        "[runs.a]\n[runs.b]\nobjective.student = 'text'\n[scores.dev]\nviews = ['text', 'prompt']\n[scores.test]\n"
        "split = 'test'\n[[comparisons]]\nrun = {'a@knowledge' = ['test']}\nbaseline = {b = ['test']}"
    )
    views = {(run.name, one.name, str(one.view)) for run in by_id(plan).values() for one in run.scores}
    assert views == {
        ("a", "dev", "text"), ("a", "dev", "prompt"), ("a", "test", "prompt"), ("a", "test", "knowledge"),
        ("b", "dev", "text"), ("b", "test", "text"),
    }, "a student without prompts has no prompt-enhanced view"  # fmt: skip


def test_dotted_keys_and_tables_mean_the_same(read_plan: ReadPlan) -> None:
    dotted = by_id(read_plan('[runs.a]\n"objective.temperature" = 4\nviews.part_dropout = 0.5'))["a-seed1"]
    tables = by_id(read_plan("[runs.a.objective]\ntemperature = 4\n[runs.a.views]\npart_dropout = 0.5"))["a-seed1"]
    assert dotted.config == tables.config
    assert (dotted.config.objective.temperature, dotted.config.views.part_dropout) == (4.0, 0.5)
    assert dotted.config.optimisation.batch_size == 8, "the base applies"


def test_settings_override_each_other_in_order(read_plan: ReadPlan) -> None:
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
    config = runs["b-seed3"].config
    assert (config.optimisation.epochs, config.prompt.length, config.views.knowledge_pieces, config.seed) == (
        2,
        6,
        8,
        3,
    )


def test_command_line_changes_apply_to_every_run_in_any_form(write_plan: Callable[[str], Path]) -> None:
    path = write_plan('seeds = [1, 2]\n[runs.a]\n"optimisation.epochs" = 4\n[runs.b]')
    runs = by_id(Plan.read(path, ["optimisation.epochs=7", "seed=5"]))
    assert {name: run.config.optimisation.epochs for name, run in runs.items()} == {"a-seed5": 7, "b-seed5": 7}
    path = write_plan("[runs.a]\nobjective = { weight = 2 }\n'objective.temperature' = 4\n[runs.'é']")
    runs = by_id(Plan.read(path, ["objective.temperature=9"]))
    assert {run.config.objective.temperature for run in runs.values()} == {9}
    assert runs["a-seed1"].config.objective.weight == 2
    with pytest.raises(UsageError, match=r"--set seed: seeds\.0"):
        Plan.read(path, ["seed=one"])


STUDENT = """
"objective.target" = "recorded"
"objective.task_loss" = "student"
"""


def test_targets_are_runs_of_the_same_seed(read_plan: ReadPlan) -> None:
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
    named = by_id(read_plan(text.replace('["target"]', '["target-seed1"]')))
    assert named["student-seed2"].needs == ("target-seed1",)
    folded = by_id(read_plan(text + "folds = 2"))
    assert folded["student-seed2"].needs == ("target-fold1-seed2", "target-fold2-seed2")
    assert folded["target-fold2-seed1"].config.training_set.fold == "2/2"
    assert not folded["target-fold2-seed1"].scores


WRONG_PLANS = [
    ('[runs.a]\n"objective.temprature" = 2', "run a: unknown key objective.temprature; did you mean temperature"),
    ('[runs.a]\n"objectives.weight" = 2', "run a: unknown key objectives; did you mean objective"),
    ("[runs.a]\n[scores.dev]\nsplitt = 'dev'", "unknown key scores.dev.splitt; did you mean split"),
    ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbasline = 'a'", "comparisons.0.basline; did you mean baseline"),
    ("sedes = [1]\n[runs.a]", "unknown key sedes; did you mean seeds"),
    ("[runs.a]\n[scores.dev]\nviews = ['knowledge without pictures']", "is not a view"),
    ("[runs.a]\n[scores.dev]\nviews = ['text without caption']", "is not a view"),
    ("baseline = 'b'\n[runs.a]", "no run 'b' in this plan; choose from a"),
    ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbaseline = 'a'\non = ['tset']", "no score 'tset'"),
    ("[runs.a-seed1]", "'a-seed1' is not a valid name"),
    ("[runs.'../a']", "is not a valid name"),
    (f"[runs.{'a' * 101}]", "is not a valid name"),
    (f"[runs.'{'名' * 67}']", "at most 200 bytes"),
    (
        "[runs.a]\n[runs.b]\n[[comparisons]]\nrun = 'b'\nbaseline = 'a'\nat_least = 1\ndescriptive = true",
        "at_least needs a verdict",
    ),
    ("[runs.a]\nlike = 'a'", "like forms a cycle: a -> a"),
    (f"[runs.a]\n{STUDENT}'objective.target_runs' = ['b']\n[runs.bb]", "did you mean bb"),
    (f"[runs.a]\n{STUDENT}'objective.target_runs' = ['a']", "a-seed1 needs itself"),
    ("[runs]", "runs: "),
    ("[runs.a]\nfolds = 1", "runs.a.folds"),
    ("[runs.a]\nseed = 3", "write seeds ="),
    ("[changes]\nseed = 3\n[runs.a]", "write seeds ="),
    ("[runs.a]\nobjective = 3", "run a: objective: "),
    (f"[runs.a]\n{STUDENT}'objective.target_runs' = 'b'\n[runs.b]", "run a: objective.target_runs: "),
    ("[runs.a]\nchanges = 3", "run a: unknown key changes"),
    ("seeds = [1, 1]\n[runs.a]", "seeds: a seed occurs twice"),
    ("[runs.a]\nseeds = [5]", "write seeds ="),
    ("seeds = []\n[runs.a]", "seeds: "),
    (
        "[runs.a]\n[runs.b]\ntask = 'relations'\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'",
        "comparison a − b: cannot compare runs of different tasks (entities, relations)",
    ),
    ("baseline = 'a'\n[runs.a]\nfolds = 2\n[runs.b]", "run a has folds"),
    (
        "[runs.a]\n[runs.b]\n[scores.dev]\nruns = ['a']\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'",
        "run b is not scored on dev; add it to scores.dev.runs",
    ),
    ("[runs.a]\nobjective.student = 'text'\n[[comparisons]]\nrun = 'a@prompt'\nbaseline = 'a'", "no prompts"),
    ("[runs.a]\n[[comparisons]]\nrun = 'a'\nbaseline = 'a@prompt'", "the same run in the same view"),
    (
        "[runs.a]\n[runs.b]\n[scores.x]\n[scores.y]\nsplit = 'test'\n"
        "[[comparisons]]\nrun = {a = ['x']}\nbaseline = {b = ['y']}",
        "the same splits, got dev, test",
    ),
    (
        "[runs.a]\n[runs.b]\n[scores.x]\n[[comparisons]]\non = ['x', 'x']\nrun = 'a'\nbaseline = 'b'",
        "twice, which would make the interval too narrow",
    ),
    (
        f"[runs.a]\n[runs.b]\n'corpus.path' = 'x'\n[scores.x]\n[scores.y]\ndata = '{Path('x').resolve()}'\n"
        "[[comparisons]]\non = ['x', 'y']\nrun = 'b'\nbaseline = 'a'",
        "twice, which would make the interval too narrow",
    ),
    (
        "[runs.a]\n[runs.b]\n[[comparisons]]\nrun = 'a'\nbaseline = 'b'\n"
        "[[comparisons]]\nname = 'n'\nrun = 'b'\nbaseline = 'a'",
        "comparison n: the plan already compares these two sides, and Holm's correction would count them twice",
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
]


def test_wrong_plans_are_rejected_with_advice(read_plan: ReadPlan) -> None:
    for text, message in WRONG_PLANS:
        with pytest.raises(UsageError) as raised:
            resolve_plan(read_plan(text), Path("out"))
        assert message.replace("'", '"') in str(raised.value).replace("'", '"'), text


def test_runs_without_the_first_score_are_not_compared_on_it(read_plan: ReadPlan) -> None:
    plan = read_plan("baseline = 'a'\n[runs.a]\n[runs.b]\n[runs.c]\n[scores.dev]\nruns = ['a', 'b']")
    assert names(plan) == ["b − a"]


def test_a_listed_comparison_is_not_implied_by_the_baseline_again(read_plan: ReadPlan) -> None:
    text = "baseline = 'a'\n[runs.a]\n[runs.b]\n[[comparisons]]\nname = 'n'\nbaseline = 'a'\nrun = "
    for run in ("'b'", "'b@prompt'", "{ b = ['dev'] }", "{ 'b@prompt' = ['dev'] }"):
        assert names(read_plan(text + run)) == ["n"], run


def test_comparisons_differ_by_view_and_score(read_plan: ReadPlan) -> None:
    scores = "[runs.a]\n[runs.b]\n[scores.dev]\n[scores.test]\nsplit = 'test'\n"
    text = f"baseline = 'a'\n{scores}[[comparisons]]\nname = 'n'\n"
    assert names(read_plan(text + "run = 'b@text'\nbaseline = 'a'")) == ["n", "b − a"]
    assert names(read_plan(text + "run = 'b'\nbaseline = 'a'\non = ['test']")) == ["n", "b − a"]
    one, other = (f"[[comparisons]]\nrun = {{b = ['{x}']}}\nbaseline = {{a = ['{x}']}}\n" for x in ("dev", "test"))
    assert names(read_plan(f"{scores}{one}{other}")) == ["b − a on dev", "b − a on test"]


def test_a_plan_without_its_base_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('base = "nowhere.toml"\n[runs.a]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="neither next to the plan nor in the working directory"):
        Plan.read(tmp_path / "plan.toml")


def test_views_round_trip_through_text() -> None:
    for text in ("text", "knowledge", "knowledge without caption", "knowledge without noun, sentence"):
        assert str(ScoredView.parse(text)) == text
    assert str(ScoredView.parse("knowledge without noun,caption")) == "knowledge without caption, noun"


def test_settings_are_merged() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ({"a": {"b": 1, "c": 2}}, {"a.b": 3}, {"a": {"b": 3, "c": 2}}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({}, {"a.b.c": 1, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({}, {"corpus.label_map": {"PER.NAM": "PER"}}, {"corpus": {"label_map": {"PER.NAM": "PER"}}}),
        ({"label_map": {"A": "B"}}, {"label_map.PER.NAM": "PER"}, {"label_map": {"A": "B", "PER.NAM": "PER"}}),
        ({"label_map": {"A": "B"}}, {"label_map": {}}, {"label_map": {}}),
    ]
    for settings, overrides, merged in cases:
        copy = repr(settings)
        assert merge_settings(settings, overrides) == merged
        assert repr(settings) == copy, "the settings stay as they are"
