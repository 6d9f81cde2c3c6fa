"""A diagnosis names a failure that is there, and stays silent on one that is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cotpd.core.errors import UsageError
from cotpd.core.records import Entity, Example, Span
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.studies.diagnosis.alignment import alignment_finding, distances, memory_finding
from cotpd.studies.diagnosis.diagnosis import WORSE_INPUTS, diagnose
from cotpd.studies.diagnosis.finding import Finding, Verdict
from cotpd.studies.diagnosis.prompts import attention_entropy, measure_prompts, prompt_finding
from cotpd.studies.plan import Plan
from cotpd.studies.study import study

PLAN = """
[runs.both]
[runs.knowledge]
"objective.student" = "knowledge"
"objective.target" = "none"
"objective.task_loss" = "student"
"objective.alignment" = "none"
[runs.taught]
"objective.target" = "recorded"
"objective.target_runs" = ["knowledge"]
"objective.task_loss" = "student"
"""
POSTS = [
    Example("a", ("Ann", "visits", "Oslo"), (Entity(Span(0, 1), "PER"), Entity(Span(2, 3), "LOC"))),
    Example("b", ("no", "names"), ()),
]


def log_probabilities(posts: list[Example], tag: int, share: float) -> dict[str, np.ndarray]:
    """Five tags, ``share`` on one of them."""
    found = {}
    for post in posts:
        table = np.full((len(post.words), 5), (1 - share) / 4)
        table[:, tag] = share
        found[post.id] = np.log(table)
    return found


def test_the_distance_is_kl_by_type_and_novelty() -> None:
    target, student = log_probabilities(POSTS, 1, 0.9), log_probabilities(POSTS, 0, 0.6)
    words = distances(target, student, POSTS, train=POSTS[:1])
    expected = 0.9 * np.log(0.9 / 0.1) + 0.025 * np.log(0.025 / 0.6) + 3 * 0.025 * np.log(0.025 / 0.1)
    assert words.distance("PER") == pytest.approx((1, expected, 0.0))
    assert words.distance("no entity").num == 3
    assert (words.distance("seen entities").num, words.distance("unseen entities").num) == (2, 0)
    assert distances(target, target, POSTS, POSTS).distance("entity") == (2, 0.0, 1.0)
    unseen = distances(target, student, POSTS, train=POSTS[1:])
    assert unseen.distance("unseen entities").num == 2


@pytest.mark.parametrize(
    ("tag", "lead", "verdict"), [(0, 0.05, Verdict.FOUND), (1, 0.05, Verdict.ABSENT), (0, 0.0, Verdict.ABSENT)]
)
def test_alignment_did_not_take_where_views_differ_and_it_costs(tag: int, lead: float, verdict: Verdict) -> None:
    words = distances(log_probabilities(POSTS, 1, 0.9), log_probabilities(POSTS, tag, 0.9), POSTS, POSTS)
    finding = alignment_finding(words, {"target": 0.8 + lead, "ships": 0.8}, [2.0, 1.0])
    assert finding.verdict is verdict
    assert ("Change:" in str(finding)) == (verdict is Verdict.FOUND)


def test_prompts_that_say_nothing_are_found(student: Student, sample: Any) -> None:
    posts = sample.dev[:12]
    generator = student.generator
    assert generator is not None
    torch.nn.init.normal_(generator.project_prompt.weight, std=2.0)
    with torch.no_grad():
        generator.decoder.layers[0].multihead_attn.in_proj_weight.mul_(100)
    lively = measure_prompts(student, posts)
    assert lively.variance > 0.05
    assert lively.swapped > 0
    assert lively.removed > 0
    torch.nn.init.zeros_(generator.project_prompt.weight)
    torch.nn.init.ones_(generator.project_prompt.bias)
    dull = measure_prompts(student, posts)
    assert (dull.variance, dull.swapped) == (pytest.approx(0.0, abs=1e-9), 0.0)
    assert prompt_finding(student, posts).verdict is Verdict.FOUND
    assert not generator._forward_hooks, "the student is left as it was"


def test_the_entropy_of_attention_runs_from_one_piece_to_all(student: Student) -> None:
    generator = student.generator
    assert generator is not None
    memory, mask = torch.randn(3, 9, 48), torch.ones(3, 9, dtype=torch.bool)
    mask[0, 4:] = False
    with torch.no_grad():
        asks = generator.decoder.layers[0].multihead_attn.in_proj_weight[:48]
        assert 0.5 < float(attention_entropy(generator, memory, mask).mean()) < 1.0
        asks.mul_(1e4)
        assert float(attention_entropy(generator, memory, mask).mean()) < 0.05
        asks.zero_()
        assert attention_entropy(generator, memory, mask) == pytest.approx(torch.ones(3), abs=1e-5)


@pytest.fixture
def student(finished: Path) -> Student:
    """The student of a finished two-view run, its head loud enough to find entities."""
    loaded = checkpoint.load(finished / "both-seed1" / "model")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.nn.init.normal_(loaded.head.project.weight, std=10.0)
    return loaded


def test_a_target_that_knows_the_labels_by_heart_is_found(student: Student, sample: Any) -> None:
    posts = sample.dev[:6]

    def sure(share: float) -> dict[str, np.ndarray]:
        found = {}
        for post in posts:
            gold = student.label_set.encode(post.entities, len(post.words))
            table = np.full((len(gold), len(student.label_set.tags)), (1 - share) / (len(student.label_set.tags) - 1))
            table[np.arange(len(gold)), gold] = share
            found[post.id] = np.log(table)
        return found

    assert memory_finding(student, (sure(0.99), posts), (sure(0.8), posts)).verdict is Verdict.FOUND
    assert memory_finding(student, (sure(0.99), posts), (sure(0.98), posts)).verdict is Verdict.ABSENT
    assert memory_finding(student, (sure(0.8), posts), (sure(0.6), posts)).verdict is Verdict.ABSENT


def named(findings: tuple[Finding, ...]) -> dict[str, Verdict]:
    return {finding.signature: finding.verdict for finding in findings}


def test_a_run_is_examined_by_what_it_was_trained_on(finished: Path, data: Path) -> None:
    joint = named(diagnose(finished / "both-seed1", against=finished / "knowledge-seed1"))
    assert len(joint) == 4
    assert Verdict.UNKNOWN not in joint.values()
    assert set(named(diagnose(finished / "knowledge-seed1", data)).values()) == {Verdict.UNKNOWN}
    taught = named(diagnose(finished / "taught-seed1", data, split="test"))
    assert taught[WORSE_INPUTS] is Verdict.UNKNOWN, "a student against recorded targets never reads knowledge"
    assert list(taught.values()).count(Verdict.UNKNOWN) == 1
    with pytest.raises(UsageError, match="not trained on the knowledge-enhanced view alone"):
        diagnose(finished / "both-seed1", against=finished / "taught-seed1")


def test_knowledge_read_worse_than_alone_is_found(
    finished: Path, monkeypatch: pytest.MonkeyPatch, cotpd: Callable[..., Any]
) -> None:
    """The other run is made perfect, this one mute."""
    from cotpd.studies.diagnosis import diagnosis

    real = diagnosis.decode

    def decode(student: Student, posts: Any, *, kind: Any) -> Any:
        predictions = list(real(student, posts, kind=kind))
        if student.design.ships == "knowledge":
            return [type(p)(p.id, p.words, example.entities) for p, example in zip(predictions, posts, strict=True)]
        return [type(p)(p.id, p.words) for p in predictions]

    monkeypatch.setattr(diagnosis, "decode", decode)
    arguments = ("diagnose", finished / "both-seed1", "--against", finished / "knowledge-seed1")
    told = cotpd(*arguments)
    assert told.code == 0, told.err
    assert f"FOUND: {WORSE_INPUTS}" in told.out
    assert "-100.00" in told.out
    assert "objective.target = 'recorded'" in told.out
    found = {row["signature"]: row["verdict"] for row in json.loads(cotpd(*arguments, "--json").out)}
    assert found[WORSE_INPUTS] == "FOUND"


@pytest.fixture(scope="module")
def finished(write_base: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a study with a joint run, a knowledge-only run and a two-stage run."""
    path = tmp_path_factory.mktemp("finished")
    write_base(path)
    (path / "plan.toml").write_text('base = "base.toml"\n' + PLAN, encoding="utf-8")
    assert not study(Plan.read(path / "plan.toml"), out=path).failures
    return path
