"""Captions and knowledge in files beside a corpus: read them, choose by captioner or model, attach them to examples.

The schema of the rows is in `cotpd.core.sidecar_rows`, which the exports of captioning and elicitation use as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from cotpd.core.errors import UsageError
from cotpd.core.records import Caption, Example, Grain, Knowledge
from cotpd.core.sidecar_rows import CaptionRow, KnowledgeRow
from cotpd.corpus.formats.parsing.reading import Reading

Target = tuple[str, str, str]
"""What a row belongs to: ``"image"`` or ``"example"``, the id, and the grain (empty for a caption)."""
Value = TypeVar("Value", Caption, Knowledge)


@dataclass(frozen=True, slots=True)
class Sidecar(Generic[Value]):
    """The contents of a file of captions or knowledge.

    Attributes:
        path: The file.
        chosen: The captioner or model whose rows are used.
        rows: The number of rows by captioner or model.
        values: The rows of the chosen one by their target.
        blank: The number of its rows without text.
        repeated: The number of its rows whose target has an earlier row, which counts.
    """

    path: Path
    chosen: str
    rows: Mapping[str, int]
    values: Mapping[Target, Value]
    blank: int
    repeated: int

    def num_unmatched(self, examples: Iterable[Example]) -> int:
        """Return the number of values that belong to none of these examples."""
        targets = {target for example in examples for target in _targets(example)}
        return sum(target[:2] not in targets for target in self.values)


def read_captions(path: Path, captioner: str | None, reading: Reading) -> Sidecar[Caption]:
    """Read captions of one captioner, by default of the first in the file.

    Raises:
        UsageError: If the file has no row of ``captioner``.
    """
    return _choose(_captions(path, reading), path, captioner, reading)


def read_knowledge(path: Path, model: str | None, reading: Reading) -> Sidecar[Knowledge]:
    """Read knowledge of one language model, by default of the first in the file.

    Raises:
        UsageError: If the file has no row of ``model``.
    """
    return _choose(_knowledge(path, reading), path, model, reading)


def add_captions(examples: Iterable[Example], captions: Mapping[Target, Caption]) -> tuple[Example, ...]:
    """Return the examples with their captions. A caption of the example takes precedence over one of its image."""
    return tuple(replace(example, caption=_find(example, captions, "") or example.caption) for example in examples)


def add_knowledge(examples: Iterable[Example], knowledge: Mapping[Target, Knowledge]) -> tuple[Example, ...]:
    """Return the examples with their knowledge. Knowledge of the example takes precedence over that of its image."""
    return tuple(replace(example, knowledge=_knowledge_of(example, knowledge)) for example in examples)


def index_knowledge(rows: Iterable[Knowledge]) -> dict[Target, Knowledge]:
    """Return knowledge by its target; the first of several for one target counts."""
    index: dict[Target, Knowledge] = {}
    for row in rows:
        index.setdefault(_target(row.example_id, row.image_id, row.grain), row)
    return index


@dataclass(frozen=True, slots=True)
class _SidecarEntry(Generic[Value]):
    where: str
    source: str
    target: Target
    value: Value


def _captions(path: Path, reading: Reading) -> Iterator[_SidecarEntry[Caption]]:
    for where, row in reading.json_rows(path, CaptionRow):
        if _has_target(row, where, reading):
            target = _target(row.example_id, row.image_id, "")
            yield _SidecarEntry(where, row.captioner, target, row.caption)


def _knowledge(path: Path, reading: Reading) -> Iterator[_SidecarEntry[Knowledge]]:
    for where, row in reading.json_rows(path, KnowledgeRow):
        if _has_target(row, where, reading):
            target = _target(row.example_id, row.image_id, row.grain)
            yield _SidecarEntry(where, row.model, target, row.knowledge)


def _has_target(row: CaptionRow | KnowledgeRow, where: str, reading: Reading) -> bool:
    if row.image_id is None and row.example_id is None:
        reading.fail("bad-row", where, "the row has neither image_id nor example_id; add one of them")
        return False
    return True


def _choose(
    entries: Iterable[_SidecarEntry[Value]], path: Path, chosen: str | None, reading: Reading
) -> Sidecar[Value]:
    rows: Counter[str] = Counter()
    values: dict[Target, Value] = {}
    blank = repeated = 0
    for entry in entries:
        rows[entry.source] += 1
        chosen = entry.source if chosen is None else chosen
        if entry.source != chosen:
            continue
        if not entry.value.text.strip():
            blank += 1
            reading.warn("blank-text", entry.where, f"no text for {entry.target[0]} {entry.target[1]}")
        elif entry.target in values:
            repeated += 1
            reading.warn("repeated-row", entry.where, f"an earlier row for {' '.join(entry.target).strip()} is used")
        else:
            values[entry.target] = entry.value
    if chosen not in rows and chosen is not None:
        available = ", ".join(rows) or "none, the file is empty"
        raise UsageError(f"{path}: no rows by {chosen!r}; available: {available}")
    return Sidecar(path, chosen or "", rows, values, blank, repeated)


def _target(example_id: str | None, image_id: str | None, grain: str) -> Target:
    return ("image", image_id or "", grain) if example_id is None else ("example", example_id, grain)


def _targets(example: Example) -> Sequence[tuple[str, str]]:
    own = ("example", example.id)
    return [own] if example.image_id is None else [own, ("image", example.image_id)]


def _find(example: Example, values: Mapping[Target, Value], grain: str) -> Value | None:
    targets = [(kind, name, grain) for kind, name in _targets(example)]
    return next((values[target] for target in targets if target in values), None)


def _knowledge_of(example: Example, knowledge: Mapping[Target, Knowledge]) -> tuple[Knowledge, ...]:
    own = {answer.grain: answer for answer in example.knowledge}
    answers = (_find(example, knowledge, grain) or own.get(grain) for grain in Grain)
    return tuple(answer for answer in answers if answer is not None)
