"""A diagnosis names a failure that is there, and stays silent on one that is not."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cotpd.core.config import ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.records import NO_RELATION, Entity, Example, Origin, Prediction, Relation, Span, VariantKind
from cotpd.diagnosis import augmentation, diagnosis, prompts
from cotpd.diagnosis.alignment import ALL, MEMORISED, SIGNATURE, alignment_finding, distances, memory_finding
from cotpd.diagnosis.augmentation import SIGNATURE as HURTS
from cotpd.diagnosis.diagnosis import WORSE_INPUTS, Patient, diagnose
from cotpd.diagnosis.finding import Finding, Verdict, summary
from cotpd.diagnosis.knowledge import SIGNATURE as WORTHLESS
from cotpd.diagnosis.knowledge import knowledge_finding
from cotpd.diagnosis.learning import SIGNATURE as NOT_LEARNT
from cotpd.diagnosis.learning import learning_finding
from cotpd.diagnosis.prompts import attention_entropy, measure_prompts, prompt_finding
from cotpd.evaluation import Comparison, compare, evaluate
from cotpd.evaluation.statistics.resampling import Interval
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.studies.plan.plan import Plan
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
    assert distances(target, target, POSTS, POSTS).distance(ALL) == (2, 0.0, 1.0)
    unseen = distances(target, student, POSTS, train=POSTS[1:])
    assert unseen.distance("unseen entities").num == 2


def gap(lead: float, low: float) -> Comparison:
    return Comparison(
        0.8 + lead, 0.8, Interval(low, lead + 0.02), 0.01, 0.01, num_posts=2, num_differing=1, resamples=9, seed=0
    )


@pytest.mark.parametrize(
    ("tag", "lead", "low", "verdict"),
    [
        (0, 0.05, 0.01, Verdict.FOUND),
        (1, 0.05, 0.01, Verdict.ABSENT),
        (0, 0.005, 0.001, Verdict.ABSENT),
        (0, 0.05, -0.01, Verdict.ABSENT),
    ],
)
def test_alignment_did_not_take_where_views_differ_and_it_costs(
    tag: int, lead: float, low: float, verdict: Verdict
) -> None:
    """A lead of the target that few posts make up, or views that agree, are no failure."""
    words = distances(log_probabilities(POSTS, 1, 0.9), log_probabilities(POSTS, tag, 0.9), POSTS, POSTS)
    finding = alignment_finding(words, gap(lead, low), [2.0, 1.0])
    assert finding.verdict is verdict
    assert ("What to change:" in str(finding)) == (verdict is Verdict.FOUND)


def test_relations_are_counted_without_the_pairs_that_have_none() -> None:
    """Unrelated pairs are most of all pairs, and any two views agree on them."""
    pairs = [Relation(Span(0, 1), Span(2, 3), label) for label in ("visits", NO_RELATION, NO_RELATION)]
    posts = [Example(f"p#{number}", ("Ann", "visits", "Oslo"), relations=(pair,)) for number, pair in enumerate(pairs)]
    rows = {post.id: np.log([[0.2, 0.8]]) for post in posts}
    words = distances(rows, rows, posts, posts)
    assert words.distance(ALL).num == 1
    assert words.distance(NO_RELATION).num == 2


def test_a_student_that_has_not_learnt_is_told_first_and_its_prompts_are_not_blamed(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert learning_finding(0.29, 0.2, [3.0, 2.9]).verdict is Verdict.FOUND
    assert learning_finding(0.31, 0.2, [3.0, 1.0]).verdict is Verdict.ABSENT

    real = prompts.decode

    def mute(*arguments: Any, **options: Any) -> Any:
        return [Prediction(found.id, found.words) for found in real(*arguments, **options)]

    for module in (diagnosis, prompts):
        monkeypatch.setattr(module, "decode", mute)
    first, *others = diagnose(finished / "both-seed1")
    assert (first.signature, first.verdict) == (NOT_LEARNT, Verdict.FOUND)
    assert named(tuple(others))[prompts.SIGNATURE] is Verdict.UNKNOWN


def test_variants_of_posts_with_several_pairs_are_examined(student: Student, sample: Any) -> None:
    post = next(post for post in sample.train if len(post.entities) > 1)
    pairs = [replace(post, id=f"{post.id}#{number}") for number in (0, 1)]
    orphan = variant(replace(post, id="longer than the encoder takes"), VariantKind.STYLE, post.words)
    own = variant(post, VariantKind.STYLE, post.words)
    finding = augmentation.augmentation_finding(student, [*pairs, own, orphan], sample.dev, plain=None)
    assert [row[:2] for row in finding.rows] == [("style", "2")]


def test_a_run_that_is_not_finished_says_so(finished: Path, tmp_path: Path, cotpd: Callable[..., Any]) -> None:
    shutil.copy(finished / "both-seed1" / "config.toml", tmp_path / "config.toml")
    told = cotpd("diagnose", tmp_path)
    assert told.code == 1
    assert "this run is not finished; go on with" in told.err


def test_prompts_that_say_nothing_are_found(student: Student, sample: Any) -> None:
    posts = sample.dev[:12]
    generator = student.generator
    assert generator is not None
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.nn.init.normal_(generator.project_prompt.weight, std=10.0)
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
    generator.looks_at = "nothing"
    assert prompt_finding(student, posts).verdict is Verdict.UNKNOWN, "a control is no failure"
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
    assert memory_finding(student, (sure(0.9), posts), (sure(0.4), posts)).verdict is Verdict.FOUND


def named(findings: tuple[Finding, ...]) -> dict[str, Verdict]:
    return {finding.signature: finding.verdict for finding in findings}


def test_a_run_is_examined_by_what_it_was_trained_on(finished: Path, data: Path) -> None:
    joint = named(diagnose(finished / "both-seed1", against=[finished / "knowledge-seed1"]))
    assert [name for name, verdict in joint.items() if verdict is Verdict.UNKNOWN] == [HURTS]
    assert len(joint) == 7
    alone = named(diagnose(finished / "knowledge-seed1", data))
    assert {name for name, verdict in alone.items() if verdict is not Verdict.UNKNOWN} == {NOT_LEARNT, WORTHLESS}
    taught = named(diagnose(finished / "taught-seed1", data, split="test"))
    assert taught[WORSE_INPUTS] is Verdict.UNKNOWN, "a student against recorded targets never reads knowledge"
    assert list(taught.values()).count(Verdict.UNKNOWN) == 2
    with pytest.raises(UsageError, match="neither trained on the knowledge-enhanced view alone"):
        diagnose(finished / "both-seed1", against=[finished / "taught-seed1"])


@pytest.mark.parametrize("run", ["both-seed1", "taught-seed1"])
def test_posts_of_which_nothing_is_known_give_no_verdict_on_a_target_that_reads_knowledge(
    run: str, finished: Path, data: Path, tmp_path: Path
) -> None:
    for split in ("train", "dev"):
        (tmp_path / f"{split}.jsonl").write_bytes((data / f"{split}.jsonl").read_bytes())
    found = named(diagnose(finished / run, tmp_path))
    assert [found[name] for name in (SIGNATURE, MEMORISED, WORTHLESS)] == [Verdict.UNKNOWN] * 3


def test_a_run_is_examined_where_it_was_moved_to(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its config.toml names the runs that taught it, and its corpus, where they were when it was made."""
    monkeypatch.chdir(tmp_path)
    for name in ("taught-seed1", "knowledge-seed1"):
        shutil.copytree(finished / name, tmp_path / name)
    config = tmp_path / "taught-seed1" / "config.toml"
    text = config.read_text(encoding="utf-8").replace(str(finished), "gone").replace(str(data), "gone/data")
    config.write_text(text, encoding="utf-8")
    assert text.count("gone") >= 2
    assert diagnose(Path("taught-seed1"), data) == diagnose(finished / "taught-seed1")


def test_another_corpus_is_not_taken_for_the_own_in_silence(
    finished: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(finished / "both-seed1", tmp_path / "run")
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(data), "gone"), encoding="utf-8")
    diagnose(tmp_path / "run", data)
    assert "taken for it" not in caplog.text
    shutil.copytree(data, tmp_path / "other")
    lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "other" / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    diagnose(tmp_path / "run", tmp_path / "other")
    assert "what is taken for it" in caplog.text


def test_a_run_taught_by_other_corpora_is_examined_without_them(
    finished: Path, data: Path, tmp_path: Path, foreign: Path
) -> None:
    """Only posts without labels were aligned there, and neither they nor its losses need be at hand."""
    run = tmp_path / "run"
    shutil.copytree(finished / "taught-seed1", run)
    made = ExperimentConfig.read(run / "config.toml")
    changes = {
        "data": made.data.model_copy(update={"unlabelled": (tmp_path / "gone",), "captioner": "author"}),
        "objective": made.objective.model_copy(update={"aligned": "unlabelled"}),
    }
    (run / "config.toml").write_text(made.model_copy(update=changes).to_toml(), encoding="utf-8")
    (run / "metrics.jsonl").unlink()
    for corpus in (None, foreign):
        found = named(diagnose(run, corpus))
        assert found[MEMORISED] is Verdict.UNKNOWN
        assert found[SIGNATURE] is not Verdict.UNKNOWN


@pytest.mark.parametrize("run", ["both-seed1", "taught-seed1", "knowledge-seed1"])
@pytest.mark.parametrize("uses_knowledge", [True, False])
def test_knowledge_that_its_reader_does_not_use_is_found(
    uses_knowledge: bool, run: str, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader finds everything by a post's own knowledge, and nothing by another's if it uses what it reads."""
    own = {post.id: post.knowledge for post in Patient.of(finished / run, None, "dev").posts}

    def decode(_: Student, posts: Any, *, kind: Any) -> Any:
        misled = [uses_knowledge and kind == "knowledge" and own.get(post.id) != post.knowledge for post in posts]
        return [Prediction(p.id, p.words, () if m else p.entities) for p, m in zip(posts, misled, strict=True)]

    monkeypatch.setattr(diagnosis, "decode", decode)
    found = {finding.signature: finding for finding in diagnose(finished / run)}[WORTHLESS]
    assert found.verdict is (Verdict.ABSENT if uses_knowledge else Verdict.FOUND)
    assert "data.corruption" not in found.advice
    damaged = knowledge_finding(compare(*[evaluate([Prediction("b", ("no", "names"))], POSTS[1:])] * 2), "shuffled")
    assert "this run is a control, data.corruption = 'shuffled'" in str(damaged)


def variant(parent: Example, kind: VariantKind, words: tuple[str, ...]) -> Example:
    origin = Origin(parent.id, kind, "template", "model")
    return replace(parent, id=f"{parent.id}-{kind}", words=words, origin=origin)


@pytest.mark.parametrize(
    ("wrong_labels", "new_words", "kind"),
    [(False, False, None), (True, False, "style"), (False, True, "style")],
)
def test_augmentation_that_hurts_is_found_by_its_noise_and_its_drift(
    wrong_labels: bool,
    new_words: bool,
    kind: str | None,
    student: Student,
    sample: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The student finds what people marked, and what was marked in variants unless the labels are wrong."""
    written = [post for post in sample.train if post.entities]
    strange = [variant(post, VariantKind.STYLE, tuple("zz" + w for w in post.words)) for post in written[:8]]
    alike = [variant(post, VariantKind.STYLE, post.words) for post in written[:8]]
    entity = [variant(post, VariantKind.ENTITY, post.words) for post in written[:4]]

    def decode(_: Student, posts: Any, *, kind: Any) -> Any:
        def is_missed(post: Example) -> bool:
            return wrong_labels and post.origin is not None and post.origin.kind is VariantKind.STYLE

        return [Prediction(p.id, p.words, () if is_missed(p) else p.entities) for p in posts]

    monkeypatch.setattr(augmentation, "decode", decode)
    train = [*written, *(strange if new_words else alike), *entity]
    finding = augmentation.augmentation_finding(student, train, sample.dev, plain=None)
    assert finding.verdict is (Verdict.FOUND if kind else Verdict.ABSENT)
    assert ("leave style out of data.augmentation.kinds" in str(finding)) == bool(kind)
    assert [row[:2] for row in finding.rows] == [("style", "8"), ("entity", "4")]
    perfect = [Prediction(post.id, post.words, post.entities) for post in sample.dev]
    mute = [Prediction(post.id, post.words) for post in sample.dev]
    worse = compare(evaluate(mute, sample.dev), evaluate(perfect, sample.dev))
    plain = augmentation.Plain(student, worse)
    assert augmentation.augmentation_finding(student, train, sample.dev, plain=plain).verdict is Verdict.FOUND
    assert augmentation.augmentation_finding(student, written, sample.dev, plain=None).verdict is Verdict.UNKNOWN


def test_labels_known_by_heart_are_judged_by_a_student_that_never_learnt_them(
    student: Student, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student gives back what it learnt, right or wrong; the other finds in variants what their parents have."""
    written, other = {post.id: post for post in sample.train if post.entities}, copy.copy(student)
    posts = [*written.values()][:8]
    wrong = [replace(post, entities=tuple(replace(each, label="WRONG") for each in post.entities)) for post in posts]
    variants = [
        *(variant(post, VariantKind.STYLE, post.words) for post in wrong),
        *(variant(post, VariantKind.ENTITY, post.words) for post in posts),
    ]

    def decode(reader: Student, posts: Any, *, kind: Any) -> Any:
        parents = {p.id: written[p.origin.parent] for p in posts if p.origin and reader is other}
        return [Prediction(p.id, p.words, parents.get(p.id, p).entities) for p in posts]

    monkeypatch.setattr(augmentation, "decode", decode)
    half = evaluate(
        [Prediction(p.id, p.words, p.entities if n % 2 else ()) for n, p in enumerate(sample.dev)], sample.dev
    )
    alone, judged = (
        augmentation.augmentation_finding(student, [*written.values(), *variants], sample.dev, plain=plain)
        for plain in (None, augmentation.Plain(other, compare(half, half)))
    )
    assert (alone.verdict, judged.verdict) == (Verdict.ABSENT, Verdict.FOUND)
    assert "leave style out" in str(judged)


def test_a_reader_with_variants_is_compared_with_one_without(finished: Path, data: Path, tmp_path: Path) -> None:
    run, corpus = tmp_path / "with-variants", Path(str(files("cotpd") / "sample"))
    shutil.copytree(finished / "knowledge-seed1", run)
    made = ExperimentConfig.read(run / "config.toml")
    augmentation = made.data.augmentation.model_copy(update={"kinds": (VariantKind.STYLE,)})
    own = made.data.model_copy(update={"path": corpus, "augmentation": augmentation})
    (run / "config.toml").write_text(made.model_copy(update={"data": own}).to_toml(), encoding="utf-8")
    found = {one.signature: one for one in diagnose(run, data, against=[finished / "knowledge-seed1"])}
    assert dict(found[HURTS].figures)["against a run without variants"].startswith("+0.00")


def test_the_summary_says_what_was_found_first() -> None:
    findings = (Finding("a", Verdict.FOUND), Finding("b", Verdict.ABSENT), Finding("c", Verdict.UNKNOWN))
    assert summary(findings) == "Of 2 failures looked for, 1 shows: a. 1 could not be measured."
    assert summary(findings[1:2]) == "Of 1 failures looked for, none shows."
    assert summary(findings[2:]) == "None of 1 known failures can be looked for in this run."


def test_knowledge_read_worse_than_alone_is_found(
    finished: Path, monkeypatch: pytest.MonkeyPatch, cotpd: Callable[..., Any]
) -> None:
    """The other run is made perfect, this one mute."""
    real = diagnosis.decode

    def decode(student: Student, posts: Any, *, kind: Any) -> Any:
        predictions = list(real(student, posts, kind=kind))
        if student.design.deployed_view == "knowledge":
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


@pytest.fixture
def foreign(data: Path, tmp_path: Path) -> Path:
    """A corpus with knowledge and without captions."""
    path = tmp_path / "foreign"
    shutil.copytree(data, path, ignore=shutil.ignore_patterns("captions.jsonl"))
    return path


@pytest.fixture(scope="module")
def finished(write_base: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a study with a joint run, a knowledge-only run and a two-stage run."""
    path = tmp_path_factory.mktemp("finished")
    write_base(path)
    (path / "plan.toml").write_text('base = "base.toml"\n' + PLAN, encoding="utf-8")
    assert not study(Plan.read(path / "plan.toml"), out=path).failures
    return path
