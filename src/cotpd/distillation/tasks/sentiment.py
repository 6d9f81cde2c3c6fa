"""The learning of target sentiment: one label for each target."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cotpd.core.records import Example
from cotpd.core.units import split_units
from cotpd.distillation.tasks.marked_spans import check_labels, check_spans, label_index
from cotpd.student.design import Design
from cotpd.views.excerpts import narrow
from cotpd.views.view import ViewReader


class SentimentLearning:
    """A unit is one target, with as much of the text around it as fits the encoder."""

    def check(self, example: Example, design: Design) -> None:
        """Raise `DataError` for a target that lies outside the example or has an unknown label."""
        check_spans(example, (sentiment.span for sentiment in example.sentiments))
        check_labels(example, example.sentiments, design)

    def check_dev(self, example: Example, reader: ViewReader) -> None:
        """Raise `DataError` for a target that lies outside the example or does not fit the encoder."""
        check_spans(example, (sentiment.span for sentiment in example.sentiments))
        for target in example.sentiments:
            narrow(reader, replace(example, sentiments=(target,)), "sentiment")

    def units(self, examples: Sequence[Example], reader: ViewReader, taken: Collection[str]) -> Iterator[Example]:
        """Yield each target."""
        for example in examples:
            parts = (replace(example, sentiments=(target,)) for target in example.sentiments)
            yield from (narrow(reader, unit, "sentiment") for unit in split_units(example, parts, taken=taken))

    def gold(self, unit: Example, design: Design) -> npt.NDArray[np.int64]:
        """Return the label of each target of the unit."""
        return np.array([label_index(sentiment.label, design) for sentiment in unit.sentiments], dtype=np.int64)
