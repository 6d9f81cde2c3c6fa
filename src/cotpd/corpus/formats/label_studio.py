"""Label Studio format: a JSON array of tasks with ``data.text`` and ``annotations[].result[]``.

A result is a region (``labels`` with its characters ``[start, end)``) or a ``relation`` between two regions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.corpus.formats.parsing.json_values import json_models
from cotpd.corpus.formats.parsing.offsets import (
    TextMention,
    character_offsets,
    collect_spans,
    fit_to_running_text,
    locate_mentions,
)
from cotpd.corpus.formats.parsing.reading import Id, ParsedExample, Reading, StrictRow, make_ids_unique
from cotpd.corpus.formats.parsing.spans import resolve_overlaps
from cotpd.corpus.formats.parsing.writing import write_json_array


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the tasks of a file, using the ground truth annotation or else the first that is not cancelled.

    The id is ``data.id``, else the id of the task, else ``<file name>:<number>``. The image is ``data.image``. A region
    without labels is only an argument of relations. Offsets in UTF-16 units, as browsers count, are recognised by the
    text of the region or by the borders of words, converted and reported. Everything else is ignored and counted: other
    annotations, predictions, results of other types, further labels of a region, other keys of ``data``, and ``meta``.
    These are errors: a value of another shape, a region outside the text or with another text, a blank label (skipped),
    and a file whose regions are all of types that are not read.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write tasks with ids, images, entities and relations. Return the number of values that are lost, by kind."""
    losses: Counter[str] = Counter()
    write_json_array(path, [_to_task(fit_to_running_text(example, losses)) for example in examples])
    return +losses


class _StudioValue(StrictRow):
    start: int | None = None
    end: int | None = None
    text: str | None = None
    labels: list[str] = Field(default=[])


def _region_value(value: Any, info: ValidationInfo) -> Any:
    """Return the value of a region, and an empty one for other results, which are not read."""
    return value if info.data.get("type") == "labels" else {}


class _StudioResult(StrictRow):
    type: str
    id: Id | None = None
    value: Annotated[_StudioValue, BeforeValidator(_region_value)] = _StudioValue()
    from_id: Id | None = None
    to_id: Id | None = None
    direction: Literal["left", "right", "bi"] | None = None
    labels: list[str] | None = None
    meta: Any = None

    @model_validator(mode="before")
    @classmethod
    def _read_hypertext(cls, values: Any) -> Any:
        """Read a region of a HyperText as one of a Text if it has offsets in the whole text, and its text."""
        match values:
            case {"type": "hypertextlabels", "value": {"globalOffsets": {"start": start, "end": end}, "text": text}}:
                labels = values["value"].get("hypertextlabels", [])
                return {
                    **values,
                    "type": "labels",
                    "value": {"start": start, "end": end, "text": text, "labels": labels},
                }
        return values


class _StudioAnnotation(StrictRow):
    result: list[_StudioResult] = Field(default=[])
    was_cancelled: bool = False
    ground_truth: bool = False


class _StudioData(StrictRow):
    model_config = ConfigDict(extra="allow")

    text: str
    id: Id | None = None
    image: Id | None = None


class _StudioTask(StrictRow):
    id: Id | None = None
    data: _StudioData
    annotations: list[_StudioAnnotation] = Field([], validation_alias=AliasChoices("annotations", "completions"))
    predictions: list[Any] = Field(default=[])
    meta: Any = None


_TYPES_READ = ("labels", "relation")


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    ignored: Counter[str] = Counter()
    num_read = 0
    for number, where, task in json_models(path, reading, _StudioTask):
        finished = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        finished.sort(key=lambda annotation: not annotation.ground_truth)
        ignored["annotations"] += len(task.annotations) - bool(finished)
        ignored["predictions"] += len(task.predictions)
        ignored["meta of tasks"] += bool(task.meta)
        ignored.update(f"data.{key}" for key, value in _extra(task.data).items() if value not in (None, ""))
        results = finished[0].result if finished else []
        name = task.data.id or task.id or f"{path.stem}:{number}"
        example = _StudioReader(task.data, results, where, reading).example(name, ignored)
        if reading.check_not_empty(example.words, where):
            yield ParsedExample(example, where)
        num_read += sum(result.type in _TYPES_READ for result in results)
    _require_regions(path, ignored, num_read, reading)
    reading.report_ignored(path, ignored)


def _require_regions(path: Path, ignored: Counter[str], num_read: int, reading: Reading) -> None:
    """Report an error if a file has regions with labels, but none of a type that is read."""
    regions = {name: number for name, number in ignored.items() if name.endswith("labels results")}
    if regions and not num_read:
        listed = ", ".join(f"{number:,} {name}" for name, number in sorted(regions.items()))
        advice = "only `labels` and `relation` are; label the data as Text and export it as JSON"
        reading.fail("unread-annotations", f"{path}:1", f"no result of this file is read: {listed}; {advice}")


def _extra(data: _StudioData) -> dict[str, Any]:
    return data.model_extra or {}


class _StudioReader:
    """Converts the results of one annotation to the entities and relations of an example."""

    def __init__(self, data: _StudioData, results: list[_StudioResult], where: str, reading: Reading) -> None:
        self.data, self.results, self.where, self.reading = data, results, where, reading

    def example(self, name: str, ignored: Counter[str]) -> Example:
        regions = [result for result in self.results if result.type == "labels"]
        relations = [result for result in self.results if result.type == "relation"]
        mentions = [self._mention(region.value) for region in regions]
        words, spans = locate_mentions(self.data.text, mentions, self.reading, from_browser=True)
        self.reading.check_row_words(words, self.where)
        ignored.update(f"{result.type} results" for result in self.results if result.type not in _TYPES_READ)
        ignored["meta of results"] += sum(bool(result.meta) for result in self.results)
        ignored["further labels of a region"] += sum(max(0, len(region.value.labels) - 1) for region in regions)
        labelled = zip(spans, (region.value.labels for region in regions), strict=True)
        entities = resolve_overlaps(
            (Entity(span, labels[0]) for span, labels in labelled if span and labels), self.where, self.reading
        )
        by_id = {region.id: span for region, span in zip(regions, spans, strict=True) if region.id is not None}
        others = {result.id for result in self.results if result.type not in _TYPES_READ} - by_id.keys()
        known = [result for result in relations if not {result.from_id, result.to_id} & others]
        ignored["relations of other results"] += len(relations) - len(known)
        converted = tuple(relation for result in known for relation in self._relations(result, by_id))
        return Example(name, words, entities, converted, self.data.image or None)

    def _mention(self, value: _StudioValue) -> TextMention:
        start = -1 if value.start is None else value.start
        end = -1 if value.end is None else value.end
        return TextMention(start, end, self.where, value.text)

    def _relations(self, result: _StudioResult, by_id: dict[Id, Span | None]) -> Iterator[Relation]:
        start, end = result.from_id or "", result.to_id or ""
        if unknown := {start, end} - by_id.keys():
            message = (
                f"a relation refers to the region {min(unknown)!r}, which does not exist; correct from_id or to_id"
            )
            self.reading.fail("bad-span", self.where, message)
            return
        head, tail = by_id[start], by_id[end]
        if not result.labels:
            self.reading.warn("no-label", self.where, f"skipped the relation from {start!r} to {end!r}: no label")
        if head is None or tail is None:
            return
        for label in result.labels or []:
            if not self.reading.check_label(label, self.where):
                continue
            if result.direction != "left":
                yield Relation(head, tail, label)
            if result.direction in ("left", "bi"):
                yield Relation(tail, head, label)


def _to_task(example: Example) -> dict[str, Any]:
    labels = {entity.span: [entity.label] for entity in example.entities}
    names = {span: f"r{number}" for number, span in enumerate(collect_spans(example), 1)}
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
    start, end = character_offsets(example, span)
    value = {"start": start, "end": end, "text": example.words_of(span), "labels": labels}
    return {"id": name, "type": "labels", "from_name": "label", "to_name": "text", "value": value}
