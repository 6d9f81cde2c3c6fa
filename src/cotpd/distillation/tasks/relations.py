"""The learning of relations: one label for each pair."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cotpd.core.pairs import pairs
from cotpd.core.records import Example
from cotpd.core.units import split_units
from cotpd.distillation.tasks.marked_spans import check_labels, check_spans, label_index
from cotpd.inference.candidates import readable_pairs
from cotpd.student.design import Design
from cotpd.views.excerpts import narrow
from cotpd.views.view import ViewReader


class RelationLearning:
    """A unit is one ordered pair, with as much of the text around it as fits the encoder."""

    def check(self, example: Example, design: Design) -> None:
        """Raise `DataError` for a pair that lies outside the example or has an unknown label."""
        check_spans(example, (span for pair in pairs(example) for span in pair.spans))
        check_labels(example, example.relations, design)

    def check_dev(self, example: Example, reader: ViewReader) -> None:
        """Raise `DataError` for a pair that lies outside the example or does not fit the encoder."""
        check_spans(example, (span for pair in pairs(example) for span in pair.spans))
        for pair in example.relations:
            narrow(reader, replace(example, relations=(pair,)), "relations")

    def units(self, examples: Sequence[Example], reader: ViewReader, taken: Collection[str]) -> Iterator[Example]:
        """Yield each stated pair, and each other readable pair of entities as a pair without a relation."""
        for example, found in zip(examples, readable_pairs(reader, examples), strict=True):
            parts = (replace(example, relations=(pair,)) for pair in found)
            yield from (narrow(reader, unit, "relations") for unit in split_units(example, parts, taken=taken))

    def gold(self, unit: Example, design: Design) -> npt.NDArray[np.int64]:
        """Return the label of each pair of the unit."""
        return np.array([label_index(relation.label, design) for relation in unit.relations], dtype=np.int64)
