"""Pairs that merely co-occur: how often a relation is claimed of two entities between which gold has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from cotpd.core.pairs import post_numbers
from cotpd.core.records import NO_RELATION, Example, Prediction, Relation
from cotpd.evaluation.pairing import paired
from cotpd.evaluation.statistics.resampling import (
    LEVEL,
    Counts,
    Interval,
    bootstrapped_sums,
    by_post,
    percentile_interval,
)
from cotpd.evaluation.table import aligned, percent

Truth = Literal["unrelated", "related", "unknown"]
"""What gold says of a pair: it holds no relation, it holds one, or nothing is said."""

_TRUTHS: tuple[Truth, ...] = get_args(Truth)
_MEANING = {"unrelated": "no relation", "related": "a relation", "unknown": "nothing"}


class Claims(NamedTuple):
    """How many pairs were classified, and of how many a relation is claimed, whichever."""

    pairs: int
    claimed: int

    @property
    def share(self) -> float | None:
        """The share of pairs of which a relation is claimed; None without pairs, which show nothing."""
        return self.claimed / self.pairs if self.pairs else None


@dataclass(frozen=True, eq=False)
class CoOccurrence:
    """Claims by what gold says. ``counts``: ``[posts, 6]`` int64, pairs and claims of each `Truth` in its order.

    The share of `unrelated` claims is that of false relations between entities that merely co-occur; its interval is
    a percentile bootstrap over posts, as that of `Scores`.
    """

    counts: Counts
    resamples: int = 10_000
    seed: int = 0

    @property
    def by_truth(self) -> dict[Truth, Claims]:
        """The claims of all posts together."""
        sums = self.counts.sum(0).reshape(-1, 2).tolist()
        return {truth: Claims(*numbers) for truth, numbers in zip(_TRUTHS, sums, strict=True)}

    @property
    def unrelated(self) -> Claims:
        """Of pairs that hold no relation: every claim is false."""
        return self.by_truth["unrelated"]

    @cached_property
    def interval(self) -> Interval | None:
        """Of the share of false relations; None without unrelated pairs or resamples."""
        if not (self.resamples and self.unrelated.pairs):
            return None
        sums = bootstrapped_sums(self.counts[:, :2], self.resamples, np.random.default_rng(self.seed))
        pairs, claimed = sums.T
        return percentile_interval(np.divide(claimed, pairs, out=np.zeros_like(claimed), where=pairs > 0))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; shares and interval from 0 to 1."""
        values: dict[str, Any] = {
            truth: {**claims._asdict(), "share": claims.share} for truth, claims in self.by_truth.items()
        }
        return {**values, "interval": {**self.interval._asdict(), "level": LEVEL} if self.interval else None}

    def __str__(self) -> str:
        rows = [
            (_MEANING[truth], f"{claims.pairs:,}", f"{claims.claimed:,}", percent(claims.share))
            for truth, claims in self.by_truth.items()
            if claims.share is not None
        ]
        table = aligned(("gold says of the pair", "pairs", "claimed related", "share"), rows)
        return f"{table}\n\n{self._false_relations()}"

    def _false_relations(self) -> str:
        share = self.unrelated.share
        if share is None:
            return "no unrelated pairs: false relations cannot be told"
        return f"false relations {percent(share)} % of unrelated pairs{self._interval_text()}"

    def _interval_text(self) -> str:
        if self.interval is None:
            return ""
        low, high = map(percent, self.interval)
        return f", 95 % interval {low} to {high}"


def co_occurrence(
    predictions: Iterable[Prediction], gold: Iterable[Example], *, resamples: int = 10_000, seed: int = 0
) -> CoOccurrence:
    """Count the claims of predictions, in which each classified pair stands with its label, `NO_RELATION` included.

    Of a pair that an example states, gold says what it states. Of any other it says that there is no relation where
    the corpus marks entities, and so all relations of a post, and nothing where it lists pairs (MNRE). Raises
    `DataError` as `evaluate` does.
    """
    examples = tuple(gold)
    is_whole = _is_whole(examples)
    counts = [_claims(prediction, example, is_whole=is_whole) for prediction, example in paired(predictions, examples)]
    table = np.array(counts, dtype=np.int64).reshape(len(examples), 2 * len(_TRUTHS))
    return CoOccurrence(by_post(table, post_numbers(examples)), resamples, seed)


def judged(predictions: Iterable[Prediction], gold: Iterable[Example]) -> list[Prediction]:
    """The predictions without the pairs of which gold says nothing: those can be scored."""
    examples = tuple(gold)
    is_whole = _is_whole(examples)
    return [
        replace(
            prediction,
            relations=tuple(r for r in prediction.relations if _truth(r, example, is_whole=is_whole) != "unknown"),
        )
        for prediction, example in paired(predictions, examples)
    ]


def _is_whole(examples: Sequence[Example]) -> bool:
    return any(example.entities for example in examples)


def _claims(prediction: Prediction, example: Example, *, is_whole: bool) -> list[int]:
    counts = dict.fromkeys(_TRUTHS, Claims(0, 0))
    for relation in prediction.relations:
        truth = _truth(relation, example, is_whole=is_whole)
        pairs, claimed = counts[truth]
        counts[truth] = Claims(pairs + 1, claimed + (relation.label != NO_RELATION))
    return [number for truth in _TRUTHS for number in counts[truth]]


def _truth(pair: Relation, example: Example, *, is_whole: bool) -> Truth:
    stated = {r.label for r in example.relations if (r.head, r.tail) == (pair.head, pair.tail)}
    if stated - {NO_RELATION}:
        return "related"
    return "unrelated" if stated or is_whole else "unknown"
