"""The learning of entities: tags of words, window by window."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cotpd.core.errors import DataError
from cotpd.core.records import Example
from cotpd.student.design import Design
from cotpd.views.excerpts import excerpt
from cotpd.views.view import ViewReader

logger = logging.getLogger(__name__)


class EntityLearning:
    """A unit is a window of a text, which is divided between entities."""

    def check(self, example: Example, design: Design) -> None:
        """Raise `DataError` for entities that overlap, that lie outside the example, or whose type is unknown."""
        try:
            design.label_set.encode(example.entities, len(example.words))
        except DataError as error:
            raise DataError(str(error), where=example.id) from error

    def check_dev(self, example: Example, reader: ViewReader) -> None:
        """Accept every example: a text of any length can be decoded."""

    def units(self, examples: Sequence[Example], reader: ViewReader, taken: Collection[str]) -> Iterator[Example]:
        """Yield the windows of each example; an example that fits the encoder is its only window."""
        for example in examples:
            entities = [entity.span for entity in example.entities]
            spans = list(reader.windows(example.words, whole=entities))
            units = [example] if len(spans) == 1 else [excerpt(example, span) for span in spans]
            if num_lost := len(entities) - sum(len(unit.entities) for unit in units):
                logger.warning("%s: skipped %d entities that are longer than the encoder allows", example.id, num_lost)
            yield from units

    def gold(self, unit: Example, design: Design) -> npt.NDArray[np.int64]:
        """Return the tag of each word; an entity of an unknown type is outside."""
        known = [entity for entity in unit.entities if entity.label in design.labels]
        return design.label_set.encode(known, len(unit.words))
