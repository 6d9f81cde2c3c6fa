"""Predictions and gold examples matched by id: every example once, nothing dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from cotpd.core.errors import DataError
from cotpd.core.records import Example, Prediction

_Record = TypeVar("_Record", Example, Prediction)


def paired(predictions: Iterable[Prediction], examples: Sequence[Example]) -> list[tuple[Prediction, Example]]:
    """Return each example with the prediction of the same id, in the order of the examples.

    Raises:
        DataError: There are no examples; an id is missing, repeated or unknown; or a prediction has other words than
            its example or a span outside of it.
    """
    if not examples:
        raise DataError("there is nothing to score: no examples")
    gold = _by_id(examples, "gold")
    found = _by_id(predictions, "predicted")
    for example_id in found:
        if example_id not in gold:
            raise DataError("predicted, but not among the gold examples", where=example_id)
    for example_id, example in gold.items():
        if example_id not in found:
            raise DataError("not predicted; every gold example needs one prediction", where=example_id)
        _require_fit(found[example_id], example)
    return [(found[example_id], example) for example_id, example in gold.items()]


def _by_id(records: Iterable[_Record], side: str) -> dict[str, _Record]:
    found: dict[str, _Record] = {}
    for record in records:
        if record.id in found:
            raise DataError(f"{side} twice; ids must differ", where=record.id)
        found[record.id] = record
    return found


def _require_fit(prediction: Prediction, example: Example) -> None:
    if prediction.words != example.words:
        raise DataError("predicted for other words than the gold example has", where=example.id)
    for span in (span for annotation in prediction.annotations for span in annotation.spans):
        if span.end > len(example.words):
            raise DataError(
                f"the predicted span [{span.start}, {span.end}) lies outside an example of {len(example.words)} words",
                where=example.id,
            )
