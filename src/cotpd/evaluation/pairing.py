"""Predictions and gold examples matched by id: every example once, nothing dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from cotpd.core.errors import DataError
from cotpd.core.records import Example, Prediction

_Record = TypeVar("_Record", Example, Prediction)


def pair_by_id(predictions: Iterable[Prediction], examples: Sequence[Example]) -> list[tuple[Prediction, Example]]:
    """Return each example with the prediction of the same id, in the order of the examples.

    Raises:
        DataError: If there are no examples; an id is missing, repeated or unknown; or a prediction has other words than
            its example or a span outside of it.
    """
    if not examples:
        raise DataError("no examples to score; expected at least one")
    gold = _by_id(examples, "gold examples")
    predicted = _by_id(predictions, "predictions")
    for example_id in predicted:
        if example_id not in gold:
            raise DataError("predicted, but not among the gold examples; predict the same split", where=example_id)
    for example_id, example in gold.items():
        if example_id not in predicted:
            raise DataError("not predicted; every gold example needs one prediction", where=example_id)
        _require_fit(predicted[example_id], example)
    return [(predicted[example_id], example) for example_id, example in gold.items()]


def _by_id(records: Iterable[_Record], side: str) -> dict[str, _Record]:
    by_id: dict[str, _Record] = {}
    for record in records:
        if record.id in by_id:
            raise DataError(f"two {side} have this id; ids must be unique", where=record.id)
        by_id[record.id] = record
    return by_id


def _require_fit(prediction: Prediction, example: Example) -> None:
    if prediction.words != example.words:
        pairs = zip_longest(prediction.words, example.words)
        number, (predicted, gold) = next(item for item in enumerate(pairs, 1) if item[1][0] != item[1][1])
        raise DataError(
            f"word {number} is {predicted!r} in the prediction and {gold!r} in gold; predict the same corpus",
            where=example.id,
        )
    for span in (span for annotation in prediction.annotations for span in annotation.spans):
        if span.end > len(example.words):
            number = len(example.words)
            raise DataError(
                f"the predicted span [{span.start}, {span.end}) lies outside an example of {number} words",
                where=example.id,
            )
