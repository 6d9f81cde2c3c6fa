"""JSON rows of other tools (Prodigy, doccano, spaCy, datasets), as rows of our own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cotpd.core.labels import is_tag
from cotpd.corpus.formats.parsing.reading import Reading

JsonRow = Mapping[str, Any]

_SPAN_KEYS = ("entities", "spans", "ents", "label", "labels")
"""The keys under which tools keep spans of characters."""
_TAG_KEYS = ("ner_tags", "tags", "labels", "ner")
_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")
_LABELS = ("label", "labels", "type", "tag", "entity", "entity_type", "category")
_PLACES = (*_STARTS, "begin", "offset", "from", "pos", "char_start", "span")
_MAX_DEPTH = 4


def to_own_row(row: JsonRow, where: str, reading: Reading) -> JsonRow | None:
    """Return a row of another tool in our own shape. Other rows are returned unchanged.

    Read are spans of characters (``spans`` of Prodigy, ``label`` and ``entities`` of doccano, ``ents`` of spaCy), their
    relations, and ``tokens`` with ``ner_tags`` or ``tags``. A row whose ``answer`` is not ``accept`` is skipped and
    reported, and gives None. An unread key that holds annotations is an error, unless the row has annotations of ours.
    """
    if row.get("answer") in ("reject", "ignore"):
        reading.warn("not-accepted", where, f"skipped a row because its answer is {row['answer']!r}")
        return None
    own = _with_words(row)
    own = _with_spans(own) if "words" not in own else _with_tags(own, where, reading)
    own = _with_relations(own)
    if not any(own.get(key) for key in ("entities", "relations", "sentiments")):
        _require_no_annotations(row, own, where, reading)
    return own


def _with_words(row: JsonRow) -> JsonRow:
    """Use ``tokens`` as words if they are strings and nothing else is the text."""
    tokens = row.get("tokens")
    if row.keys() & {"words", "text"} or not (isinstance(tokens, list) and all(isinstance(t, str) for t in tokens)):
        return row
    return {**_without(row, "tokens"), "words": tokens}


def _with_spans(row: JsonRow) -> JsonRow:
    for key in _SPAN_KEYS:
        spans = row.get(key)
        if isinstance(spans, list) and spans and (key != "entities" or not _is_own(spans)):
            entities = [_to_entity(span) for span in spans]
            if None not in entities:
                return {**_without(row, key), "entities": entities, "span ids": [_id_of(span) for span in spans]}
    return row


def _is_own(spans: Sequence[Any]) -> bool:
    return all(isinstance(span, dict) and span.keys() >= {"start", "end", "label"} for span in spans)


def _to_entity(span: Any) -> dict[str, Any] | None:
    """Return ``[start, end, label]`` or an object with such values as an entity; None for anything else."""
    if isinstance(span, list):
        span = dict(zip(("start", "end", "label"), span, strict=False)) if len(span) == 3 else {}
    if not isinstance(span, dict):
        return None
    start, end = _first(span, _STARTS), _first(span, _ENDS)
    label = _first(span, _LABELS)
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(label, str)):
        return None
    text = span.get("text")
    return {"start": start, "end": end, "label": label} | ({"text": text} if isinstance(text, str) else {})


def _id_of(span: Any) -> Any:
    return span.get("id") if isinstance(span, dict) else None


def _with_tags(row: JsonRow, where: str, reading: Reading) -> JsonRow:
    """Replace tags of words by entities. Tags that are numbers are an error, because their names are unknown."""
    words = row["words"]
    key = next((key for key in _TAG_KEYS if isinstance(row.get(key), list) and row[key]), None)
    if key is None or not isinstance(words, list) or len(row[key]) != len(words) or row.get("entities"):
        return row
    tags = row[key]
    if all(type(tag) is int for tag in tags):
        advice = "write their names, or save the dataset with `Dataset.save_to_disk`"
        reading.fail("numbered-tags", where, f"`{key}` holds numbers whose names are unknown; {advice}")
        return _without(row, key)
    if not all(isinstance(tag, str) and is_tag(tag) for tag in tags):
        return row
    checked = [reading.check_tag(tag, where) for tag in tags]
    entities = reading.decode_entities(checked, [where] * len(tags), reading.scheme)
    rows = [{"start": e.span.start, "end": e.span.end, "label": e.label, "orphan": e.orphan} for e in entities]
    return {**_without(row, key), "entities": rows}


def _with_relations(row: JsonRow) -> JsonRow:
    """Convert relations between span ids (doccano) or spans of characters (Prodigy)."""
    ids = row.get("span ids", [])
    row = _without(row, "span ids")
    relations = row.get("relations")
    if not isinstance(relations, list) or not relations:
        return row
    converted = [_to_relation(relation, ids) for relation in relations]
    return row if None in converted else {**row, "relations": converted}


def _to_relation(relation: Any, ids: Sequence[Any]) -> dict[str, Any] | None:
    match relation:
        case {"from_id": head, "to_id": tail, "type": str(label)} if head in ids and tail in ids:
            return {"head": ids.index(head), "tail": ids.index(tail), "label": label}
        case {"head_span": {"start": s, "end": e}, "child_span": {"start": s2, "end": e2}, "label": str(label)}:
            return {"head": [s, e], "tail": [s2, e2], "label": label}
    return None


def _require_no_annotations(row: JsonRow, own: JsonRow, where: str, reading: Reading) -> None:
    for key, value in own.items():
        if key in row and key not in ("words", "text", "entities", "relations", "sentiments") and _annotates(value):
            advice = "write them as `entities` [{start, end, label}], or remove the key"
            reading.fail("unread-annotations", where, f"the key `{key}` holds annotations that are not read; {advice}")


def _annotates(value: Any, depth: int = 0) -> bool:
    """Return True if a value looks like annotations: spans with labels, or tags of words."""
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        is_span = any(key in value for key in _PLACES) and any(key in value for key in _LABELS)
        return is_span or any(_annotates(each, depth + 1) for each in value.values())
    if not isinstance(value, list):
        return False
    if value and all(isinstance(each, str) for each in value):
        return all(map(is_tag, value)) and any(each != "O" for each in value)
    numbers = sum(type(each) is int for each in value)
    return (numbers > 1 and any(isinstance(each, str) for each in value)) or any(_items(value, depth))


def _items(values: Sequence[Any], depth: int) -> Iterator[bool]:
    return (_annotates(each, depth + 1) for each in values)


def _first(values: JsonRow, keys: Sequence[str]) -> Any:
    return next((values[key] for key in keys if key in values), None)


def _without(row: JsonRow, key: str) -> JsonRow:
    return {name: value for name, value in row.items() if name != key}
