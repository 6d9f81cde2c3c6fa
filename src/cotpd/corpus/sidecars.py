"""Captions and knowledge that lie beside a corpus: read, chosen by who made them, given to their examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cotpd.core.errors import UsageError
from cotpd.core.records import Caption, Example, Grain, Knowledge
from cotpd.corpus.formats.parsing.reading import Id, Reading

Key = tuple[str, str, str]
"""What a row is for: ``"image"`` or ``"example"``, the id, and the grain (``""`` of a caption)."""
Value = TypeVar("Value", Caption, Knowledge)


@dataclass(frozen=True, slots=True)
class Companion(Generic[Value]):
    """What a file of captions or knowledge holds, every row counted.

    ``rows`` counts them by captioner or model. Of those of the ``chosen`` one, ``found`` are used for all examples
    they belong to, ``blank`` ones say nothing, and ``repeated`` ones come after another for the same thing.
    """

    path: Path
    chosen: str
    rows: Mapping[str, int]
    found: Mapping[Key, Value]
    blank: int
    repeated: int

    def unmatched(self, examples: Iterable[Example]) -> int:
        """How many of the rows found belong to none of these examples."""
        targets = {target for example in examples for target in _targets(example)}
        return sum(key[:2] not in targets for key in self.found)


def read_captions(path: Path, captioner: str | None, reading: Reading) -> Companion[Caption]:
    """Read ``{image_id | example_id, captioner, text}`` rows; the first captioner's by default.

    Raises `UsageError` when the file holds nothing of the captioner named.
    """
    return _choose(_captions(path, reading), path, captioner, reading)


def read_knowledge(path: Path, model: str | None, reading: Reading) -> Companion[Knowledge]:
    """Read ``{image_id | example_id, grain, model, template, text}`` rows; the first model's by default.

    Raises `UsageError` when the file holds nothing of the model named.
    """
    return _choose(_knowledge(path, reading), path, model, reading)


def add_captions(examples: Iterable[Example], found: Mapping[Key, Caption]) -> tuple[Example, ...]:
    """The examples with their captions; one for the example goes before one for its image."""
    return tuple(replace(example, caption=_of(example, found, "") or example.caption) for example in examples)


def add_knowledge(examples: Iterable[Example], found: Mapping[Key, Knowledge]) -> tuple[Example, ...]:
    """The examples with their knowledge by grain; what is for the example goes before what is for its image."""
    return tuple(replace(example, knowledge=_knowledge_of(example, found)) for example in examples)


def index_knowledge(rows: Iterable[Knowledge]) -> dict[Key, Knowledge]:
    """Knowledge by what it is for; of several for the same thing the first."""
    found: dict[Key, Knowledge] = {}
    for row in rows:
        found.setdefault(_key(row.example_id, row.image_id, row.grain), row)
    return found


_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    image_id: Id | None = None
    example_id: Id | None = None
    text: _Text


class _CaptionRow(_Row):
    captioner: str = ""


class _KnowledgeRow(_Row):
    grain: Grain = Field(strict=False)
    model: str = ""
    template: str = ""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    where: str
    source: str
    key: Key
    value: Value


def _captions(path: Path, reading: Reading) -> Iterator[_Entry[Caption]]:
    for where, row in reading.json_rows(path, _CaptionRow):
        if _has_target(row, where, reading):
            key = _key(row.example_id, row.image_id, "")
            yield _Entry(where, row.captioner, key, Caption(row.image_id or "", row.text, row.captioner))


def _knowledge(path: Path, reading: Reading) -> Iterator[_Entry[Knowledge]]:
    for where, row in reading.json_rows(path, _KnowledgeRow):
        if _has_target(row, where, reading):
            key = _key(row.example_id, row.image_id, row.grain)
            value = Knowledge(row.grain, row.text, row.model, row.template, row.example_id, row.image_id)
            yield _Entry(where, row.model, key, value)


def _has_target(row: _Row, where: str, reading: Reading) -> bool:
    if row.image_id is None and row.example_id is None:
        reading.fail("bad-row", where, "neither image_id nor example_id; say what this row belongs to")
        return False
    return True


def _choose(entries: Iterable[_Entry[Value]], path: Path, chosen: str | None, reading: Reading) -> Companion[Value]:
    rows: Counter[str] = Counter()
    found: dict[Key, Value] = {}
    blank = repeated = 0
    for entry in entries:
        rows[entry.source] += 1
        chosen = entry.source if chosen is None else chosen
        if entry.source != chosen:
            continue
        if not entry.value.text.strip():
            blank += 1
            reading.warn("blank-text", entry.where, f"nothing is said of {entry.key[0]} {entry.key[1]}")
        elif entry.key in found:
            repeated += 1
            reading.warn("repeated-row", entry.where, f"{' '.join(entry.key).strip()} has a row before; it counts")
        else:
            found[entry.key] = entry.value
    if chosen not in rows and chosen is not None:
        raise UsageError(f"{path}: nothing is by {chosen!r}; there is {', '.join(rows) or 'nothing at all'}")
    return Companion(path, chosen or "", rows, found, blank, repeated)


def _key(example_id: str | None, image_id: str | None, grain: str) -> Key:
    return ("image", image_id or "", grain) if example_id is None else ("example", example_id, grain)


def _targets(example: Example) -> Sequence[tuple[str, str]]:
    own = ("example", example.id)
    return [own] if example.image_id is None else [own, ("image", example.image_id)]


def _of(example: Example, found: Mapping[Key, Value], grain: str) -> Value | None:
    keys = [(kind, name, grain) for kind, name in _targets(example)]
    return next((found[key] for key in keys if key in found), None)


def _knowledge_of(example: Example, found: Mapping[Key, Knowledge]) -> tuple[Knowledge, ...]:
    answers = ((grain, _of(example, found, grain)) for grain in Grain)
    before = {answer.grain: answer for answer in example.knowledge}
    return tuple(a for grain, answer in answers if (a := answer or before.get(grain)) is not None)
