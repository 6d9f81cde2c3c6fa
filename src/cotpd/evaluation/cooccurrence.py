"""False relations: how often a relation is predicted between entities that only co-occur."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from cotpd.core.pairs import post_numbers
from cotpd.core.records import NO_RELATION, Example, Prediction, Relation
from cotpd.evaluation.pairing import pair_by_id
from cotpd.evaluation.statistics.resampling import (
    CONFIDENCE_LEVEL,
    Counts,
    Interval,
    bootstrap_sums,
    percentile_interval,
    sum_by_post,
)
from cotpd.evaluation.table import format_table, percent

PairStatus = Literal["unrelated", "related", "unknown"]
"""Whether a pair has a relation in gold; ``unknown`` if the corpus does not annotate the pair."""

_STATUSES: tuple[PairStatus, ...] = get_args(PairStatus)
_STATUS_LABELS = {"unrelated": "no relation", "related": "a relation", "unknown": "not annotated"}


class PairCounts(NamedTuple):
    """Number of classified pairs, and number of pairs for which a relation was predicted (``claimed``)."""

    pairs: int
    claimed: int

    @property
    def share(self) -> float | None:
        """Share of the pairs for which a relation was predicted; None if there are no pairs."""
        return self.claimed / self.pairs if self.pairs else None


@dataclass(frozen=True, eq=False)
class CoOccurrence:
    """Predicted relations, counted by what gold says about the pair.

    Attributes:
        counts: ``[posts, 6]`` int64: the pairs and the claimed pairs of each `PairStatus`, in its order.
        resamples: Number of bootstrap resamples of `interval`; 0 for no interval.
        seed: Seed of the bootstrap.
    """

    counts: Counts
    resamples: int = 10_000
    seed: int = 0

    @property
    def by_status(self) -> dict[PairStatus, PairCounts]:
        """Counts of all posts, by status of the pair."""
        sums = self.counts.sum(0).reshape(-1, 2).tolist()
        return {status: PairCounts(*numbers) for status, numbers in zip(_STATUSES, sums, strict=True)}

    @property
    def unrelated(self) -> PairCounts:
        """Counts of the pairs without a relation in gold. Every relation predicted for them is false."""
        return self.by_status["unrelated"]

    @cached_property
    def interval(self) -> Interval | None:
        """95 % percentile bootstrap interval over posts of the share of false relations.

        None if there are no unrelated pairs or if `resamples` is 0.
        """
        if not (self.resamples and self.unrelated.pairs):
            return None
        sums = bootstrap_sums(self.counts[:, :2], self.resamples, np.random.default_rng(self.seed))
        pairs, claimed = sums.T
        return percentile_interval(np.divide(claimed, pairs, out=np.zeros_like(claimed), where=pairs > 0))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values; shares and interval are between 0 and 1."""
        values: dict[str, Any] = {
            status: {**counts._asdict(), "share": counts.share} for status, counts in self.by_status.items()
        }
        interval = {**self.interval._asdict(), "level": CONFIDENCE_LEVEL} if self.interval else None
        return {**values, "interval": interval}

    def __str__(self) -> str:
        rows = [
            (_STATUS_LABELS[status], f"{counts.pairs:,}", f"{counts.claimed:,}", percent(counts.share))
            for status, counts in self.by_status.items()
            if counts.share is not None
        ]
        table = format_table(("pair in gold", "pairs", "predicted related", "percent"), rows)
        return f"{table}\n\n{self._summary()}"

    def _summary(self) -> str:
        share = self.unrelated.share
        if share is None:
            return "false relations: unknown, because gold has no unrelated pairs"
        return f"false relations {percent(share)} % of unrelated pairs{self._interval_text()}"

    def _interval_text(self) -> str:
        if self.interval is None:
            return ""
        low, high = map(percent, self.interval)
        return f", 95 % interval {low} to {high}"


def co_occurrence(
    predictions: Iterable[Prediction], gold: Iterable[Example], *, resamples: int = 10_000, seed: int = 0
) -> CoOccurrence:
    """Count predicted relations by what gold says about the pair.

    A pair that gold does not list is unrelated if the corpus marks entities, and unknown if it only lists pairs (MNRE).

    Args:
        predictions: One prediction for each example. Its relations include the classified pairs without a relation,
            with the label `NO_RELATION`.
        gold: The gold examples.
        resamples: Number of bootstrap resamples of `CoOccurrence.interval`; 0 for no interval.
        seed: Seed of the bootstrap.

    Raises:
        DataError: If the predictions do not fit the examples, as in `evaluate`.
    """
    examples = tuple(gold)
    is_exhaustive = _is_exhaustive(examples)
    counts = [
        _count_pairs(prediction, example, is_exhaustive=is_exhaustive)
        for prediction, example in pair_by_id(predictions, examples)
    ]
    table = np.array(counts, dtype=np.int64).reshape(len(examples), 2 * len(_STATUSES))
    return CoOccurrence(sum_by_post(table, post_numbers(examples)), resamples, seed)


def drop_unknown_pairs(predictions: Iterable[Prediction], gold: Iterable[Example]) -> list[Prediction]:
    """Remove predicted pairs that gold does not annotate, so that the predictions can be scored."""
    examples = tuple(gold)
    is_exhaustive = _is_exhaustive(examples)
    return [
        replace(
            prediction,
            relations=tuple(
                relation
                for relation in prediction.relations
                if _pair_status(relation, example, is_exhaustive=is_exhaustive) != "unknown"
            ),
        )
        for prediction, example in pair_by_id(predictions, examples)
    ]


def _is_exhaustive(examples: Sequence[Example]) -> bool:
    """Return True if gold annotates every relation. This holds for corpora that mark entities."""
    return any(example.entities for example in examples)


def _count_pairs(prediction: Prediction, example: Example, *, is_exhaustive: bool) -> list[int]:
    counts = dict.fromkeys(_STATUSES, PairCounts(0, 0))
    for relation in prediction.relations:
        status = _pair_status(relation, example, is_exhaustive=is_exhaustive)
        pairs, claimed = counts[status]
        counts[status] = PairCounts(pairs + 1, claimed + (relation.label != NO_RELATION))
    return [number for status in _STATUSES for number in counts[status]]


def _pair_status(pair: Relation, example: Example, *, is_exhaustive: bool) -> PairStatus:
    gold_labels = {r.label for r in example.relations if (r.head, r.tail) == (pair.head, pair.tail)}
    if gold_labels - {NO_RELATION}:
        return "related"
    return "unrelated" if gold_labels or is_exhaustive else "unknown"
