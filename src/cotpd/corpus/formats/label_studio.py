"""The format of Label Studio: a JSON array of tasks with ``data.text`` and ``annotations[].result[]``.

A result is a region (``labels`` with its characters ``[start, end)``) or a ``relation`` between two regions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_values
from cotpd.corpus.formats.parsing.offsets import Mention, characters, place, spans_of, visible
from cotpd.corpus.formats.parsing.reading import Id, Reading, Row, distinct_ids
from cotpd.corpus.formats.parsing.spans import flat


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the tasks of a file in order; of its annotations the ground truth counts, else the first not cancelled.

    The id is ``data.id``, else the task's, else ``<file name>:<number>``; the image is ``data.image``. A region without
    labels is a mere argument of relations. Offsets that count UTF-16 units, as browsers do, are seen by the text that a
    region names, and reported. Other annotations, predictions, results of other types, further labels of a region, what
    else stands in ``data``, and ``meta`` are not kept, and counted. Errors reported: a value that is no such task, a
    region outside the text or with another text in it, a blank label (left out).
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write tasks with ids, images, entities and relations; returns how many values the format cannot hold."""
    losses: Counter[str] = Counter()
    rows = []
    for example in examples:
        rows.append(json.dumps(_to_task(visible(example, losses)), ensure_ascii=False))
    write_atomic(path, "[\n" + ",\n".join(rows) + "\n]\n")
    return +losses


class _Value(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int | None = None
    end: int | None = None
    text: str | None = None
    labels: list[str] = []


def _value(value: Any, info: ValidationInfo) -> Any:
    """The value of a region; that of any other result is not read."""
    return value if info.data.get("type") == "labels" else {}


class _Result(BaseModel):
    model_config = ConfigDict(strict=True)

    type: str
    id: Id | None = None
    value: Annotated[_Value, BeforeValidator(_value)] = _Value()
    from_id: Id | None = None
    to_id: Id | None = None
    direction: Literal["left", "right", "bi"] | None = None
    labels: list[str] | None = None
    meta: Any = None


class _Annotation(BaseModel):
    model_config = ConfigDict(strict=True)

    result: list[_Result] = []
    was_cancelled: bool = False
    ground_truth: bool = False


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    text: str
    id: Id | None = None
    image: Id | None = None


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)

    id: Id | None = None
    data: _Data
    annotations: list[_Annotation] = Field([], validation_alias=AliasChoices("annotations", "completions"))
    predictions: list[Any] = []
    meta: Any = None


_READ = ("labels", "relation")
"""The types of results that are read."""


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    not_kept: Counter[str] = Counter()
    for number, (where, value) in enumerate(json_values(path, reading), 1):
        if (task := reading.fitting(value, where, _Task)) is None:
            continue
        given = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        given.sort(key=lambda annotation: not annotation.ground_truth)
        not_kept["annotations"] += len(task.annotations) - bool(given)
        not_kept["predictions"] += len(task.predictions)
        not_kept["meta of tasks"] += bool(task.meta)
        not_kept.update(f"data.{key}" for key, told in (task.data.model_extra or {}).items() if told not in (None, ""))
        results = given[0].result if given else []
        name = task.data.id or task.id or f"{path.stem}:{number}"
        example = _Regions(task.data, results, where, reading).example(name, not_kept)
        if example.words:
            yield Row(example, where)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")
    reading.not_kept(path, not_kept)


class _Regions:
    """The results of one annotation: regions to entities, by their ids to the relations between them."""

    def __init__(self, data: _Data, results: list[_Result], where: str, reading: Reading) -> None:
        self.data, self.results, self.where, self.reading = data, results, where, reading

    def example(self, name: str, not_kept: Counter[str]) -> Example:
        regions = [result for result in self.results if result.type == "labels"]
        relations = [result for result in self.results if result.type == "relation"]
        words, spans = place(self.data.text, [self._mention(region.value) for region in regions], self.reading)
        self.reading.check_row_words(words, self.where)
        not_kept.update(f"{result.type} results" for result in self.results if result.type not in _READ)
        not_kept["meta of results"] += sum(bool(result.meta) for result in self.results)
        not_kept["further labels of a region"] += sum(max(0, len(region.value.labels) - 1) for region in regions)
        labelled = zip(spans, (region.value.labels for region in regions), strict=True)
        entities = flat(
            (Entity(span, labels[0]) for span, labels in labelled if span and labels), self.where, self.reading
        )
        by_id = {region.id: span for region, span in zip(regions, spans, strict=True) if region.id is not None}
        others = {result.id for result in self.results if result.type not in _READ} - by_id.keys()
        known = [result for result in relations if not {result.from_id, result.to_id} & others]
        not_kept["relations of other results"] += len(relations) - len(known)
        found = [relation for result in known for relation in self._relations(result, by_id)]
        return Example(name, words, entities, tuple(found), self.data.image or None)

    def _mention(self, value: _Value) -> Mention:
        start = -1 if value.start is None else value.start
        end = -1 if value.end is None else value.end
        text = self.data.text
        if value.text is not None and text[max(0, start) : end] != value.text:
            shifted = _from_utf16(text, start), _from_utf16(text, end)
            if text[shifted[0] : shifted[1]] == value.text:
                self.reading.warn("utf16-offsets", self.where, f"[{start}, {end}) counts UTF-16 units; it is read so")
                start, end = shifted
        return Mention(start, end, self.where, value.text)

    def _relations(self, result: _Result, by_id: dict[Id, Span | None]) -> Iterator[Relation]:
        start, end = result.from_id or "", result.to_id or ""
        if not {start, end} <= by_id.keys():
            self.reading.fail("bad-span", self.where, f"a relation from {start!r} to {end!r}: no such region")
            return
        head, tail = by_id[start], by_id[end]
        if not result.labels:
            self.reading.warn("no-label", self.where, f"the relation from {start!r} to {end!r} has no label; left out")
        if head is None or tail is None:
            return
        for label in result.labels or []:
            if not self.reading.has_label(label, self.where):
                continue
            if result.direction != "left":
                yield Relation(head, tail, label)
            if result.direction in ("left", "bi"):
                yield Relation(tail, head, label)


def _from_utf16(text: str, units: int) -> int:
    """The code point at which so many UTF-16 units lie before."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, units)].decode("utf-16-le", "replace"))


def _to_task(example: Example) -> dict[str, Any]:
    labels = {entity.span: [entity.label] for entity in example.entities}
    names = {span: f"r{number}" for number, span in enumerate(spans_of(example), 1)}
    result = [_to_region(example, span, name, labels.get(span, [])) for span, name in names.items()]
    for relation in example.relations:
        ends = {"from_id": names[relation.head], "to_id": names[relation.tail]}
        result.append({"type": "relation", **ends, "direction": "right", "labels": [relation.label]})
    data = {"id": example.id, "text": example.text, "image": example.image_id}
    return {
        "data": {key: value for key, value in data.items() if value is not None},
        "annotations": [{"result": result}],
    }


def _to_region(example: Example, span: Span, name: str, labels: list[str]) -> dict[str, Any]:
    start, end = characters(example, span)
    value = {"start": start, "end": end, "text": example.words_of(span), "labels": labels}
    return {"id": name, "type": "labels", "from_name": "label", "to_name": "text", "value": value}
