"""The diagnosis of a finished run, which measures every known failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch

from cotpd.core.errors import UsageError
from cotpd.diagnosis.alignment import FAILED_ALIGNMENT, MEMORISED, alignment_finding, measure_distances, memory_finding
from cotpd.diagnosis.augmentation import RunWithoutVariants, augmentation_finding
from cotpd.diagnosis.examined_run import ExaminedRun, all_lack_knowledge
from cotpd.diagnosis.finding import Finding, sort_by_verdict, unmeasured
from cotpd.diagnosis.knowledge import UNUSED_KNOWLEDGE, knowledge_finding
from cotpd.diagnosis.learning import learning_finding
from cotpd.diagnosis.multimodal_inputs import WORSE_KNOWLEDGE_VIEW, multimodal_inputs_finding
from cotpd.diagnosis.prompts import prompt_finding
from cotpd.distillation.runs.corpora import RunCorpora
from cotpd.distillation.targets import Targets, parts_read, record_targets, teaching_view
from cotpd.distillation.training_set.corruption import corrupt_knowledge
from cotpd.evaluation import compare
from cotpd.views.view import ViewKind

_NO_KNOWLEDGE = "these examples have no captions or knowledge of the kinds that the view reads"


def diagnose(
    run: Path,
    data: Path | None = None,
    *,
    split: Literal["dev", "test"] = "dev",
    against: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda num_done, num_all: None,
) -> tuple[Finding, ...]:
    """Measure every known failure of a finished run.

    Args:
        run: The run directory.
        data: The corpus to examine the run on; by default its training corpus.
        split: The split to examine the run on.
        against: Finished runs to compare with: a run trained on the knowledge-enhanced view only, or a run that differs
            only by having no variants.
        progress: Called with the number of measurements that are done, and of all.

    Returns:
        One finding for each known failure; failures that were found come first.

    Raises:
        CheckpointError: If a run is unfinished or damaged.
        DataError: If the corpus cannot be read or the split is empty.
        UsageError: If a run in ``against`` is neither.
    """
    corpora = RunCorpora()
    examined = ExaminedRun.load(run, data, split, corpora)
    others = [ExaminedRun.load(other, data, split, corpora) for other in against]
    knowledge_only = [other for other in others if other.config.objective.student == "knowledge"]
    without_variants = [other for other in others if _differs_by_variants(other, examined)]
    if unusable := [other for other in others if other not in (*knowledge_only, *without_variants)]:
        raise UsageError(
            f"{unusable[0].path}: cannot be compared with {run}; give a run trained on the knowledge-enhanced view "
            "only, or a run without variants and with the same deployed view"
        )
    measurements: tuple[Callable[[], list[Finding]], ...] = (
        lambda: [_learning(examined)],
        lambda: [_knowledge(examined)],
        lambda: _alignment(examined),
        lambda: [prompt_finding(examined.student, examined.examples)],
        lambda: [_multimodal_inputs(examined, knowledge_only[0] if knowledge_only else None)],
        lambda: [_augmentation(examined, without_variants[0] if without_variants else None)],
    )
    findings: list[Finding] = []
    for number, measure in enumerate(measurements, 1):
        findings += measure()
        progress(number, len(measurements))
    return sort_by_verdict(findings)


def _differs_by_variants(other: ExaminedRun, examined: ExaminedRun) -> bool:
    """Return whether only the examined run has variants, and both have the same deployed view."""
    has_variants, other_has_variants = (bool(run.config.training_set.augmentation.kinds) for run in (examined, other))
    return has_variants and not other_has_variants and other.deployed_view == examined.deployed_view


def _learning(run: ExaminedRun) -> Finding:
    on_train, on_held_out = (side.scores(run.deployed_view) for side in (run.with_examples(run.train_sample), run))
    return learning_finding(on_train.micro_f1, on_held_out.micro_f1, run.losses("task_loss"))


def _knowledge(run: ExaminedRun) -> Finding:
    """Compare the knowledge view of the run, or of its first target run, with own and with foreign knowledge."""
    readers = run.target_runs() if run.config.objective.target == "recorded" else [run]
    readers = [reader for reader in readers if teaching_view(reader.path) is ViewKind.KNOWLEDGE]
    if not readers:
        return unmeasured(UNUSED_KNOWLEDGE, "neither this run nor its target reads knowledge")
    reader, training_set = readers[0], run.config.training_set
    if reader.lacks_knowledge:
        return unmeasured(UNUSED_KNOWLEDGE, _NO_KNOWLEDGE)
    shuffle = training_set.model_copy(update={"corruption": "shuffled", "corruption_share": 1.0})
    shuffled = reader.with_examples(corrupt_knowledge(run.examples, shuffle, seed=0))
    comparison = compare(reader.scores(ViewKind.KNOWLEDGE), shuffled.scores(ViewKind.KNOWLEDGE))
    return knowledge_finding(comparison, training_set.corruption)


def _alignment(run: ExaminedRun) -> list[Finding]:
    if reason := _why_alignment_is_unmeasured(run):
        return [unmeasured(failure, reason) for failure in (FAILED_ALIGNMENT, MEMORISED)]
    with torch.inference_mode():
        target = run.targets(run.examples)
        deployed = record_targets(run.student, run.examples, kind=run.deployed_view)
    distances = measure_distances(target, deployed, run.examples, run.train)
    target_vs_deployed = compare(run.target_scores(), run.scores(run.deployed_view))
    return [alignment_finding(distances, target_vs_deployed, run.losses("alignment_loss")), _memory(run, target)]


def _why_alignment_is_unmeasured(run: ExaminedRun) -> str:
    objective = run.config.objective
    if objective.target == "none" or objective.alignment == "none":
        return "this run was trained without alignment"
    if objective.weight == 0:
        return "this run was trained without alignment (objective.weight is 0)"
    if any(all_lack_knowledge(run.examples, parts) for parts in parts_read(run.config)):
        return _NO_KNOWLEDGE
    return ""


def _memory(run: ExaminedRun, target: Targets) -> Finding:
    """Compare the target's confidence on training examples with ``target``, recorded on held-out examples."""
    if run.config.objective.aligned == "unlabelled":
        return unmeasured(
            MEMORISED, "only unlabelled examples are aligned, and they have no gold labels that the target could repeat"
        )
    with torch.inference_mode():
        on_train = run.targets(run.train_sample)
    return memory_finding(run.student, (on_train, run.train_sample), (target, run.examples))


def _multimodal_inputs(run: ExaminedRun, knowledge_only: ExaminedRun | None) -> Finding:
    objective = run.config.objective
    if (objective.student, objective.target) == ("knowledge", "none"):
        return unmeasured(WORSE_KNOWLEDGE_VIEW, "this run was trained on the knowledge-enhanced view only")
    role = {objective.student: "student", objective.target: "target"}.get("knowledge")
    if role is None or objective.task_loss not in ("both", role):
        return unmeasured(WORSE_KNOWLEDGE_VIEW, "this run did not learn to read knowledge")
    if knowledge_only is None:
        return unmeasured(WORSE_KNOWLEDGE_VIEW, "pass a run trained on the knowledge-enhanced view only with --against")
    if run.lacks_knowledge:
        return unmeasured(WORSE_KNOWLEDGE_VIEW, _NO_KNOWLEDGE)
    return multimodal_inputs_finding(compare(*(side.scores(ViewKind.KNOWLEDGE) for side in (run, knowledge_only))))


def _augmentation(run: ExaminedRun, other: ExaminedRun | None) -> Finding:
    without: RunWithoutVariants | None = None
    if other:
        comparison = compare(run.scores(run.deployed_view), other.scores(run.deployed_view))
        without = RunWithoutVariants(other.student, comparison)
    return augmentation_finding(run.student, run.train, run.examples, without=without)
