"""Answers to rows, for all tasks: the options, and the answers before a defective row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from cotpd.core.errors import DataError
from cotpd.inference.decoding import Precision
from cotpd.inference.extractor import Extractor
from cotpd.inference.rows.text_rows import TextRow

RowAnswer = tuple[TextRow, dict[str, Any]]
"""A row and the extraction from it, as plain values that begin with ``text``."""

_Item = TypeVar("_Item")


class ExtractorOptions(TypedDict):
    """The options of every extractor, see `cotpd.inference.predictor.TrainedStudent`."""

    batch_size: int
    precision: Precision


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How rows are answered.

    Attributes:
        batch_size: Rows that the student reads together. With 1, each row is answered as soon as it is read.
        entity_finder: For relations and sentiment: the extractor that finds the entities. Without one, the rows must
            mark them.
        unrelated: For relations: also return the pairs that have no relation.
        min_score: The smallest score of an entity, a relation or a sentiment that is returned.
        precision: See `cotpd.inference.decoding.decode`.
    """

    batch_size: int = 32
    entity_finder: Extractor | None = None
    unrelated: bool = False
    min_score: float = 0.0
    precision: Precision = "float32"

    @property
    def of_extractor(self) -> ExtractorOptions:
        """The options of the extractor."""
        return {"batch_size": self.batch_size, "precision": self.precision}


def answer_until_error(
    items: Iterable[_Item], answer: Callable[[Iterator[_Item]], Iterator[RowAnswer]]
) -> Iterator[RowAnswer]:
    """Yield the answers to all items before the first defective one, then raise its `DataError`.

    Students read rows in batches. Without this function, a defective row would lose the answers of its batch.
    """
    source = _UntilError(items)
    yield from answer(iter(source))
    if source.error:
        raise source.error


class _UntilError(Generic[_Item]):
    """Iterates up to the first `DataError`, and stores it in ``error``."""

    def __init__(self, items: Iterable[_Item]) -> None:
        self._items = items
        self.error: DataError | None = None

    def __iter__(self) -> Iterator[_Item]:
        try:
            yield from self._items
        except DataError as error:
            self.error = error
