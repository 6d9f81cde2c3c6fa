"""Augmentation that hurts: labels of variants that are wrong, and variants unlike what people write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cotpd.core.records import Example, VariantKind
from cotpd.diagnosis.finding import Finding, Verdict, difference, unmeasured
from cotpd.evaluation import Comparison
from cotpd.evaluation.evaluator import evaluate
from cotpd.evaluation.table import percent
from cotpd.evaluation.tasks import exact_rule
from cotpd.inference.decoding import decode
from cotpd.student.student import Student

SIGNATURE = "the augmentation hurts"

_NOISE, _DRIFT = 0.10, 2.0
_MOST = 500


class Plain(NamedTuple):
    """A student that learnt no variants, and how the run under examination compares with it on held-out posts."""

    student: Student
    compared: Comparison


class KindFigures(NamedTuple):
    """Of the variants of one kind: how many, F1 of the student on their labels and on those of their parents, F1 of a
    student that never learnt them, where there is one, and the share of their words that no training post holds.
    """

    kind: VariantKind
    num: int
    f1: float
    f1_parents: float
    f1_plain: float | None
    new_words: float

    def is_noisy(self, f1_held_out: float | None) -> bool:
        """Whether their labels seem wrong: to a student that never learnt them, or else to the one that did."""
        if self.f1_plain is None or f1_held_out is None:
            return self.f1_parents - self.f1 > _NOISE
        return self.f1_plain < f1_held_out


def augmentation_finding(
    student: Student, train: Sequence[Example], held_out: Sequence[Example], *, plain: Plain | None
) -> Finding:
    """The verdict on the variants among the training posts; ``plain``: a run without variants."""
    variants = [post for post in train if post.origin]
    if not variants:
        return unmeasured(SIGNATURE, "this run was trained without variants (data.augmentation)")
    written = [post for post in train if not post.origin]
    new_in_dev = _new_words(held_out, _vocabulary(written))
    kinds = list(_kinds(student, plain, variants, written))
    f1_held_out = plain.compared.second if plain else None
    noisy = [one.kind for one in kinds if one.is_noisy(f1_held_out)]
    adrift = [one.kind for one in kinds if one.new_words > _DRIFT * max(new_in_dev, 0.01)]
    worse = plain is not None and plain.compared.interval.high < 0
    return Finding(
        SIGNATURE,
        Verdict.FOUND if worse or noisy or adrift else Verdict.ABSENT,
        means="Variants teach wrong labels (noise) or another language than the posts are written in (drift).",
        rule="a run without variants (--against) finds fewer of the labels of a kind's variants, by F1, than of these "
        f"posts', or without such a run the student has {100 * _NOISE:.0f} points less on them than on their parents, "
        f"which shows nothing where it has both by heart (noise); or they hold over {_DRIFT:g} times as many new words "
        "as these posts (drift); or the run is worse than the one without variants, its interval below 0",
        advice=_advice(noisy, adrift),
        figures=(
            ("new words in these posts, which people wrote", f"{100 * new_in_dev:.1f} %"),
            ("against a run without variants", difference(plain.compared) if plain else "give one by --against"),
            *((("F1 of that run on these posts", percent(plain.compared.second)),) if plain else ()),
        ),
        header=("variants", "number", "F1 on their labels", "on their parents", "that run on them", "new words"),
        rows=tuple(map(_row, kinds)),
    )


def _row(one: KindFigures) -> tuple[str, ...]:
    f1 = ("–" if figure is None else percent(figure) for figure in (one.f1, one.f1_parents, one.f1_plain))
    return (one.kind.value, f"{one.num:,}", *f1, f"{100 * one.new_words:.1f} %")


def _kinds(
    student: Student, plain: Plain | None, variants: Sequence[Example], written: Sequence[Example]
) -> Iterator[KindFigures]:
    parents, known = _by_post(written), _vocabulary(written)
    for kind in VariantKind:
        own = [post for post in variants if post.origin and post.origin.kind is kind][:_MOST]
        theirs = {each.id: each for post in own if post.origin for each in parents.get(post.origin.parent, ())}
        if theirs:
            f1, f1_parents = _f1(student, own), _f1(student, [*theirs.values()])
            f1_plain = _f1(plain.student, own) if plain else None
            yield KindFigures(kind, len(own), f1, f1_parents, f1_plain, _new_words(own, known))


def _by_post(written: Sequence[Example]) -> dict[str, list[Example]]:
    """The examples of each post by its id: itself, or its pairs (``id#0``, ``id#1``)."""
    found: dict[str, list[Example]] = {}
    for example in written:
        for name in {example.id, example.id.rpartition("#")[0] or example.id}:
            found.setdefault(name, []).append(example)
    return found


def _f1(student: Student, posts: Sequence[Example]) -> float:
    rule = exact_rule(student.design.task)
    return evaluate(decode(student, posts, kind=student.design.deployed_view), posts, rule=rule, resamples=0).micro_f1


def _vocabulary(posts: Sequence[Example]) -> frozenset[str]:
    return frozenset(word.casefold() for post in posts for word in post.words)


def _new_words(posts: Sequence[Example], known: frozenset[str]) -> float:
    words = [word.casefold() for post in posts for word in post.words]
    return sum(word not in known for word in words) / len(words) if words else 0.0


def _advice(noisy: Sequence[VariantKind], adrift: Sequence[VariantKind]) -> str:
    odd = ", ".join(dict.fromkeys(kind.value for kind in (*noisy, *adrift)))
    which = f"leave {odd} out of data.augmentation.kinds" if odd else "train without variants"
    return f"{which}, or lower data.augmentation.share; read some of them with `cotpd show` before you trust the others"
