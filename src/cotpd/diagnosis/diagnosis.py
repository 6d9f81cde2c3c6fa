"""The diagnosis of a finished run: every known failure is looked for, and what was found comes first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from cotpd.core.config import ExperimentConfig, Part
from cotpd.core.errors import CotpdError, DataError, UsageError
from cotpd.core.files import read_jsonl
from cotpd.core.records import Example
from cotpd.core.tasks import ANNOTATIONS
from cotpd.diagnosis.alignment import (
    MEMORISED,
    SIGNATURE,
    alignment_finding,
    distances,
    memory_finding,
)
from cotpd.diagnosis.augmentation import Plain, augmentation_finding
from cotpd.diagnosis.finding import Finding, Verdict, difference, unmeasured, worst_first
from cotpd.diagnosis.knowledge import SIGNATURE as WORTHLESS
from cotpd.diagnosis.knowledge import knowledge_finding
from cotpd.diagnosis.learning import learning_finding
from cotpd.diagnosis.prompts import prompt_finding
from cotpd.distillation.corpora import foreign, read_corpus
from cotpd.distillation.run_directory import RunDirectory
from cotpd.distillation.targets import Targets, parts_read, read_targets, record_targets, teaching_view
from cotpd.distillation.training_set.corruption import corrupted
from cotpd.distillation.training_set.selection import Material, training_posts
from cotpd.evaluation import Comparison, compare, evaluate
from cotpd.evaluation.scores import Scores
from cotpd.evaluation.tasks import exact_rule
from cotpd.inference.decoding import decode
from cotpd.student import checkpoint
from cotpd.student.student import Student
from cotpd.views.view import ViewKind, num_without_knowledge

logger = logging.getLogger(__name__)

WORSE_INPUTS = "multimodal inputs got worse"

_MOST_TRAIN = 500
"""Training posts that are looked at: enough for a mean."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A finished run with the posts that it is examined on, and those that it learnt from."""

    path: Path
    config: ExperimentConfig
    student: Student
    posts: tuple[Example, ...]
    train: tuple[Example, ...]

    @classmethod
    def of(cls, run: Path, data: Path | None, split: Literal["dev", "test"]) -> Patient:
        """Load a run; posts longer than the encoder takes are left out.

        Raises `CheckpointError` for a run that is not finished, `DataError` without posts of the split.
        """
        student, made = checkpoint.load(run / "model"), ExperimentConfig.read(run / "config.toml")
        config = _found_again(made, run, data)
        own = read_corpus(foreign(config.data, config.data.path))
        if config.data.path != made.data.path and _is_other(config, run):
            told = "%s: its corpus %s is not to be found, and what is taken for it, %s, has other posts or knowledge"
            logger.warning(told, run, made.data.path, data)
        corpus = read_corpus(foreign(config.data, data)) if data else own
        examples = _readable(student, corpus.splits.get(split, ()))
        if not examples:
            raise DataError(f"no {split} posts to examine", where=str(data or config.data.path))
        return cls(run, config, student, examples, _readable(student, training_posts(own, config)))

    def scores(self, kind: ViewKind) -> Scores:
        """The scores of one view on the posts."""
        rule = exact_rule(self.config.task)
        return evaluate(decode(self.student, self.posts, kind=kind), self.posts, rule=rule, resamples=0)


def diagnose(
    run: Path, data: Path | None = None, *, split: Literal["dev", "test"] = "dev", against: Sequence[Path] = ()
) -> tuple[Finding, ...]:
    """Look for every known failure in a finished run, on dev posts by default; what was found comes first.

    ``against``: finished runs to compare with. One of the knowledge-enhanced view alone shows what multimodal inputs
    are worth undivided; one that differs by having no variants, what augmentation is worth. Raises `CheckpointError`
    and `DataError` for what cannot be read, `UsageError` for a run that could show neither.
    """
    patient = Patient.of(run, data, split)
    others = [Patient.of(other, data, split) for other in against]
    undivided = [other for other in others if other.config.objective.student == "knowledge"]
    plain = [other for other in others if _is_plain(other, patient)]
    if useless := [other for other in others if other not in (*undivided, *plain)]:
        raise UsageError(
            f"{useless[0].path}: neither trained on the knowledge-enhanced view alone, nor without the variants of "
            f"{run} while it ships the same view, so there is nothing to compare"
        )
    ships = patient.student.design.deployed_view
    unvaried = Plain(plain[0].student, compare(patient.scores(ships), plain[0].scores(ships))) if plain else None
    findings = [
        _learning(patient),
        _knowledge(patient),
        *_alignment(patient),
        prompt_finding(patient.student, patient.posts),
        _inputs(patient, undivided[0] if undivided else None),
        augmentation_finding(patient.student, patient.train, patient.posts, plain=unvaried),
    ]
    return worst_first(findings)


def _is_plain(other: Patient, patient: Patient) -> bool:
    """Whether a run lacks the variants that the patient has, and ships the same view."""
    has_variants, lacks_them = patient.config.data.augmentation.kinds, not other.config.data.augmentation.kinds
    views = {each.student.design.deployed_view for each in (patient, other)}
    return bool(has_variants) and lacks_them and len(views) == 1


def _learning(patient: Patient) -> Finding:
    """Whether the student learnt its task at all; of what did not, all else says nothing."""
    ships, train = patient.student.design.deployed_view, patient.train[:: max(1, len(patient.train) // _MOST_TRAIN)]
    taught, held_out = replace(patient, posts=train).scores(ships), patient.scores(ships)
    return learning_finding(taught.micro_f1, held_out.micro_f1, _losses(patient.path, "task_loss"))


def _knowledge(patient: Patient) -> Finding:
    """Whether what the reader is told of a post matters: itself, or of a run with recorded targets its first target."""
    objective = patient.config.objective
    readers = _targets_of(patient) if objective.target == "recorded" else [patient]
    readers = [reader for reader in readers if teaching_view(reader.path) is ViewKind.KNOWLEDGE]
    if not readers:
        return unmeasured(WORTHLESS, "nothing of this run reads knowledge")
    if _is_untold(patient.posts, readers[0].student.design.views.parts):
        return unmeasured(WORTHLESS, "these posts have none of the captions and knowledge that are read")
    swap = patient.config.data.model_copy(update={"corruption": "shuffled", "corruption_share": 1.0})
    others = replace(readers[0], posts=corrupted(patient.posts, swap, seed=0))
    compared = compare(readers[0].scores(ViewKind.KNOWLEDGE), others.scores(ViewKind.KNOWLEDGE))
    return knowledge_finding(compared, patient.config.data.corruption)


def _alignment(patient: Patient) -> list[Finding]:
    objective = patient.config.objective
    if objective.target == "none" or objective.alignment == "none":
        return [unmeasured(name, "this run was trained without alignment") for name in (SIGNATURE, MEMORISED)]
    if objective.weight == 0:
        reason = "objective.weight is 0, so this run was trained without alignment"
        return [unmeasured(name, reason) for name in (SIGNATURE, MEMORISED)]
    if any(_is_untold(patient.posts, parts) for parts in parts_read(patient.config)):
        reason = "these posts have none of the captions and knowledge that are read, so no view tells of them"
        return [unmeasured(name, reason) for name in (SIGNATURE, MEMORISED)]
    with torch.inference_mode():
        target = _targets(patient, patient.posts)
        ships = record_targets(patient.student, patient.posts, kind=patient.student.design.deployed_view)
    words = distances(target, ships, patient.posts, patient.train)
    found = alignment_finding(words, _gap(patient), _losses(patient.path, "alignment_loss"))
    return [found, _memory(patient, target)]


def _memory(patient: Patient, target: Targets) -> Finding:
    """Whether the target knows the labels that it teaches by heart; ``target``: what it says of the held-out posts."""
    if patient.config.objective.aligned == "unlabelled":
        return unmeasured(MEMORISED, "only posts without labels are aligned, so the target teaches none that it learnt")
    train = patient.train[:: max(1, len(patient.train) // _MOST_TRAIN)]
    with torch.inference_mode():
        taught = _targets(patient, train)
    return memory_finding(patient.student, (taught, train), (target, patient.posts))


def _targets(patient: Patient, posts: Sequence[Example]) -> Targets:
    """What the run was aligned to, of these posts."""
    objective = patient.config.objective
    if objective.target == "recorded":
        return read_targets(objective.target_runs, posts, patient.student)
    return record_targets(patient.student, posts, kind=ViewKind(objective.target))


def _gap(patient: Patient) -> Comparison:
    """The target's view against the one that ships; of several target runs, the one in the middle stands for all."""
    objective, ships = patient.config.objective, patient.scores(patient.student.design.deployed_view)
    if objective.target != "recorded":
        return compare(patient.scores(ViewKind(objective.target)), ships)
    found = (run.scores(teaching_view(run.path)) for run in _targets_of(patient))
    targets = sorted(found, key=lambda scores: scores.micro_f1)
    return compare(targets[len(targets) // 2], ships)


def _targets_of(patient: Patient) -> list[Patient]:
    runs = patient.config.objective.target_runs
    return [replace(patient, path=run, student=checkpoint.load(run / "model")) for run in runs]


def _losses(run: Path, name: Literal["task_loss", "alignment_loss"]) -> list[float]:
    path = run / "metrics.jsonl"
    rows = (row for _, row in read_jsonl(path)) if path.is_file() else ()
    return [float(row[name]) for row in rows if name in row]


def _inputs(patient: Patient, other: Patient | None) -> Finding:
    """Whether the distilled student reads knowledge worse than a run that did nothing else."""
    objective = patient.config.objective
    if (objective.student, objective.target) == ("knowledge", "none"):
        return unmeasured(WORSE_INPUTS, "this run does nothing but read knowledge")
    role = {objective.student: "student", objective.target: "target"}.get("knowledge")
    if role is None or objective.task_loss not in ("both", role):
        return unmeasured(WORSE_INPUTS, "this run did not learn to read knowledge")
    if other is None:
        return unmeasured(WORSE_INPUTS, "give --against a run that was trained on the knowledge-enhanced view alone")
    if _is_untold(patient.posts, patient.student.design.views.parts):
        return unmeasured(WORSE_INPUTS, "these posts have none of the captions and knowledge that are read")
    comparison = compare(patient.scores(ViewKind.KNOWLEDGE), other.scores(ViewKind.KNOWLEDGE))
    return _inputs_finding(comparison)


def _inputs_finding(comparison: Comparison) -> Finding:
    return Finding(
        WORSE_INPUTS,
        Verdict.FOUND if comparison.interval.high < 0 else Verdict.ABSENT,
        means="A student of two views may read the knowledge worse than one that does nothing else, and then has less "
        "to pass on.",
        rule="the knowledge-enhanced view is worse than that of a run that read nothing else, its interval below 0",
        advice="train in two stages: a run of the knowledge-enhanced view alone, then objective.target = 'recorded' "
        "with that run in objective.target_runs; or objective.task_loss = 'target', or a lower objective.weight",
        figures=(
            ("F1 of the knowledge-enhanced view, this run", f"{100 * comparison.first:.2f}"),
            ("F1 of the knowledge-enhanced view, the other run", f"{100 * comparison.second:.2f}"),
            ("difference, 95 % interval", difference(comparison)),
        ),
    )


def _found_again(config: ExperimentConfig, run: Path, data: Path | None) -> ExperimentConfig:
    """The configuration with places that hold: runs moved along with this one, and a corpus that was moved."""
    beside = [run.parent / target.name for target in config.objective.target_runs]
    targets = [
        there if not target.exists() and there.exists() else target
        for target, there in zip(config.objective.target_runs, beside, strict=True)
    ]
    own = config.data.path if config.data.path.exists() or not data else data
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"path": own}),
            "objective": config.objective.model_copy(update={"target_runs": tuple(targets)}),
        }
    )


def _is_other(config: ExperimentConfig, run: Path) -> bool:
    """Whether the run was made from another corpus; not told where what else it read is not to be found."""
    try:
        return RunDirectory(run).data not in (None, Material.of(read_corpus(config.data), config).fingerprint(config))
    except CotpdError:
        return False


def _readable(student: Student, posts: Sequence[Example]) -> tuple[Example, ...]:
    """The posts that are read whole; of relations, one pair each."""
    most = student.reader.max_text_pieces - 4
    whole = (post for post in posts if sum(map(len, student.reader.pieces.of(post.words))) <= most)
    return tuple(ANNOTATIONS[student.design.task].units(whole))


def _is_untold(posts: Sequence[Example], parts: Sequence[Part]) -> bool:
    """Whether nothing is known of any post that a view of these parts would read; one of no parts reads none anyway."""
    return bool(parts) and num_without_knowledge(posts, parts) == len(posts)
