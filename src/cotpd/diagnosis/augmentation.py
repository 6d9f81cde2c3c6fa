"""Harmful augmentation: variants with wrong labels, or with words that posts do not use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cotpd.core.records import Example, VariantKind
from cotpd.diagnosis.finding import Finding, FindingVerdict, format_difference, unmeasured
from cotpd.evaluation import Comparison
from cotpd.evaluation.evaluator import evaluate
from cotpd.evaluation.table import percent
from cotpd.evaluation.tasks import exact_rule
from cotpd.inference.decoding import decode
from cotpd.student.student import Student

HARMFUL_AUGMENTATION = "the augmentation hurts"

_MIN_NOISE, _MIN_DRIFT = 0.10, 2.0
_MAX_VARIANTS = 500


class RunWithoutVariants(NamedTuple):
    """The student of a run without variants, and the examined run compared with it on held-out examples."""

    student: Student
    comparison: Comparison


class VariantFigures(NamedTuple):
    """The figures of one kind of variants.

    Attributes:
        kind: The kind.
        num_variants: The number of variants.
        f1: F1 of the student on the variants.
        f1_parents: F1 of the student on their parents.
        f1_without: F1 on the variants of a student trained without variants, if there is one.
        new_words: The share of words that occur in no original training example.
    """

    kind: VariantKind
    num_variants: int
    f1: float
    f1_parents: float
    f1_without: float | None
    new_words: float

    def is_noisy(self, f1_held_out: float | None) -> bool:
        """Return whether the labels seem wrong.

        Args:
            f1_held_out: F1 of the student trained without variants on held-out examples, if there is one.
        """
        if self.f1_without is None or f1_held_out is None:
            return self.f1_parents - self.f1 > _MIN_NOISE
        return self.f1_without < f1_held_out


def augmentation_finding(
    student: Student, train: Sequence[Example], held_out: Sequence[Example], *, without: RunWithoutVariants | None
) -> Finding:
    """Judge the variants in the training set.

    Args:
        student: The student of the examined run.
        train: The training examples of the run, including variants.
        held_out: Examples that the student was not trained on.
        without: A run without variants, if there is one.
    """
    variants = [example for example in train if example.origin]
    if not variants:
        return unmeasured(HARMFUL_AUGMENTATION, "this run was trained without variants")
    originals = [example for example in train if not example.origin]
    new_in_held_out = _new_words(held_out, _vocabulary(originals))
    by_kind = list(_figures(student, without, variants, originals))
    f1_held_out = without.comparison.second if without else None
    noisy = [figures.kind for figures in by_kind if figures.is_noisy(f1_held_out)]
    drifting = [figures.kind for figures in by_kind if figures.new_words > _MIN_DRIFT * max(new_in_held_out, 0.01)]
    is_worse = without is not None and without.comparison.interval.high < 0
    return Finding(
        HARMFUL_AUGMENTATION,
        FindingVerdict.FOUND if is_worse or noisy or drifting else FindingVerdict.ABSENT,
        meaning="Variants may have wrong labels (noise), or other words than the posts (drift).",
        rule="a run without variants (--against) has a lower F1 on the variants of a kind than on the examined "
        f"examples or, if no such run is given, the F1 of the student is {100 * _MIN_NOISE:.0f} points lower on them "
        "than on their parents, unless it has memorised both (noise); or the variants of a kind have more than "
        f"{_MIN_DRIFT:g} times as many new words as the examined examples (drift); or this run is significantly worse "
        "than the run without variants",
        advice=_advice(noisy, drifting),
        figures=(
            ("new words in the examined examples", f"{100 * new_in_held_out:.1f} %"),
            (
                "difference from a run without variants",
                format_difference(without.comparison) if without else "unknown; give a run with --against",
            ),
            *((("F1 of the run without variants", percent(without.comparison.second)),) if without else ()),
        ),
        header=("variants", "number", "F1", "F1 on parents", "F1 without variants", "new words"),
        rows=tuple(map(_row, by_kind)),
    )


def _row(figures: VariantFigures) -> tuple[str, ...]:
    scores = ("–" if f1 is None else percent(f1) for f1 in (figures.f1, figures.f1_parents, figures.f1_without))
    return (figures.kind.value, f"{figures.num_variants:,}", *scores, f"{100 * figures.new_words:.1f} %")


def _figures(
    student: Student, without: RunWithoutVariants | None, variants: Sequence[Example], originals: Sequence[Example]
) -> Iterator[VariantFigures]:
    by_parent, known = _by_post(originals), _vocabulary(originals)
    for kind in VariantKind:
        own = [example for example in variants if example.origin and example.origin.kind is kind][:_MAX_VARIANTS]
        parents = {
            parent.id: parent
            for variant in own
            if variant.origin
            for parent in by_parent.get(variant.origin.parent, ())
        }
        if parents:
            f1, f1_parents = _f1(student, own), _f1(student, [*parents.values()])
            f1_without = _f1(without.student, own) if without else None
            yield VariantFigures(kind, len(own), f1, f1_parents, f1_without, _new_words(own, known))


def _by_post(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Return the examples of each post by its id: the post itself, or its pairs (``id#0``, ``id#1``)."""
    by_post: dict[str, list[Example]] = {}
    for example in examples:
        for name in {example.id, example.id.rpartition("#")[0] or example.id}:
            by_post.setdefault(name, []).append(example)
    return by_post


def _f1(student: Student, examples: Sequence[Example]) -> float:
    predictions = decode(student, examples, kind=student.design.deployed_view)
    return evaluate(predictions, examples, rule=exact_rule(student.design.task), resamples=0).micro_f1


def _vocabulary(examples: Sequence[Example]) -> frozenset[str]:
    return frozenset(word.casefold() for example in examples for word in example.words)


def _new_words(examples: Sequence[Example], known: frozenset[str]) -> float:
    words = [word.casefold() for example in examples for word in example.words]
    return sum(word not in known for word in words) / len(words) if words else 0.0


def _advice(noisy: Sequence[VariantKind], drifting: Sequence[VariantKind]) -> str:
    harmful = ", ".join(dict.fromkeys(kind.value for kind in (*noisy, *drifting)))
    change = f"train without variants of kind {harmful}" if harmful else "train without variants"
    return (
        f"{change}, or lower the share of augmentation; inspect variants with `cotpd show` before you use other kinds"
    )
