"""Decoding: the one way from examples, read in any view, to predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cotpd.core.labels import LabelSet, split_tag
from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.inference.relation_decoding import decode_relations
from cotpd.student.memory import memory_advice
from cotpd.student.student import Student
from cotpd.views.batch import Batch
from cotpd.views.view import View, ViewKind, excerpt

_POOL = 32
"""Batches whose posts are sorted together by length: little padding, and yet a stream flows."""
_OVERLAP = 32
"""Words that the windows of a long post share, so that an entity at an edge is seen with words on both sides."""
_ADVICE = "lower batch_size, stop what else uses the device, or set CUDA_VISIBLE_DEVICES= to use the CPU"

Precision = Literal["auto", "float32", "bfloat16"]

_Integers = npt.NDArray[np.int64]


def decode(
    student: Student,
    examples: Iterable[Example],
    *,
    kind: ViewKind,
    batch_size: int = 32,
    precision: Precision = "float32",
) -> Iterator[Prediction]:
    """One prediction for each example, in their order, from one view of each.

    Examples are taken from the iterable in pools of 32 batches (one by one if ``batch_size`` is 1), so any stream can
    be decoded. A post longer than the encoder takes is read in overlapping windows of words; an entity counts in the
    window where it is more central. The score of an entity is the exact probability, under the CRF, that just these
    words are one entity of its type. ``bfloat16`` runs the encoder in that precision, about twice as fast where the
    device has it, the scores off by a few hundredths at most; ``auto`` does so just there. Raises `TrainingError` when
    the device's memory runs out.
    """
    num_pooled = batch_size * _POOL if batch_size > 1 else 1
    source = iter(examples)
    while pool := list(islice(source, num_pooled)):
        with memory_advice(_ADVICE), _evaluating(student), torch.inference_mode(), in_precision(student, precision):
            decode_pool = decode_relations if student.design.task == "relations" else _decode_pool
            predictions = decode_pool(student, pool, kind, batch_size)
        yield from predictions


def in_precision(student: Student, precision: Precision) -> torch.autocast:
    """The context in which a student computes in ``bfloat16`` (``auto``: where its device has it) or float32."""
    device = student.device
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=resolved(precision, device) == "bfloat16")


def resolved(precision: Precision, device: torch.device) -> Precision:
    """The precision itself; of ``auto``, the one that it means on a device."""
    if precision != "auto":
        return precision
    return "bfloat16" if _has_bfloat16(device) else "float32"


@dataclass(frozen=True, slots=True)
class Window:
    """Some words of a post of the pool: ``span`` is read, and no other window sees ``core`` better."""

    post: int
    span: Span
    core: range
    view: View


def _decode_pool(student: Student, pool: Sequence[Example], kind: ViewKind, batch_size: int) -> list[Prediction]:
    found = [window for post, example in enumerate(pool) for window in windows(student, post, example, kind)]
    found.sort(key=lambda window: len(window.view.ids))
    entities: list[list[Entity]] = [[] for _ in pool]
    tags = _Tags.of(student.label_set)
    for batch in _batches(found, batch_size):
        for row, entity in _entities(student, tags, [window.view for window in batch]):
            if moved := _in_post(entity, batch[row]):
                entities[batch[row].post].append(moved)
    return [Prediction(example.id, example.words, _apart(those)) for example, those in zip(pool, entities, strict=True)]


def windows(student: Student, post: int, example: Example, kind: ViewKind) -> Iterator[Window]:
    """The windows in which post number ``post`` is read: one, or several that overlap where the encoder takes less."""
    spans = list(student.reader.windows(example.words, overlap=_OVERLAP))
    middles = [(after.start + before.end) // 2 for before, after in pairwise(spans)]
    edges = [0, *middles, len(example.words)]
    for number, span in enumerate(spans):
        part = example if len(spans) == 1 else excerpt(example, span)
        yield Window(post, span, range(edges[number], edges[number + 1]), student.reader.read(part, kind))


def _batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    """Windows in order of length, batched; one half full ends where longer windows begin, for padding costs more."""
    batch: list[Window] = []
    for window in windows:
        is_longer = bool(batch) and len(window.view.ids) > len(batch[-1].view.ids)
        if len(batch) == batch_size or (is_longer and 2 * len(batch) >= batch_size):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _in_post(entity: Entity, window: Window) -> Entity | None:
    """The entity of a window's words among the post's words; None if its middle lies outside the window's core."""
    offset, core = window.span.start, window.core
    span = Span(entity.span.start + offset, entity.span.end + offset)
    inside = core.start <= (span.start + span.end - 1) / 2 < core.stop
    return Entity(span, entity.label, score=entity.score) if inside else None


def _apart(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """The entities in order; where those of two windows overlap, the more probable one."""
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity.span):
        if not kept or kept[-1].span.end <= entity.span.start:
            kept.append(entity)
        elif (entity.score or 0.0) > (kept[-1].score or 0.0):
            kept[-1] = entity
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Tags:
    """What each tag means: does it begin an entity, does it continue one, which type; arrays ``[tags]``."""

    begins: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]
    types: tuple[str, ...]

    @classmethod
    def of(cls, label_set: LabelSet) -> _Tags:
        types = tuple(split_tag(tag)[1] for tag in label_set.tags)
        may_open = label_set.allowed_transitions()[-2, :-2]
        return cls(np.array([bool(name) for name in types]) & may_open, ~may_open, types)


def _entities(student: Student, tags: _Tags, views: Sequence[View]) -> Iterator[tuple[int, Entity]]:
    """The entities of a batch of views with their row; spans count the words of the view."""
    batch = Batch.of(views, pad=student.reader.pieces.pad)
    emissions, mask = student(batch), student.tensor(batch.word_mask)
    paths: Tensor = student.crf.viterbi(emissions, mask)
    path = paths.cpu().numpy()
    rows, starts, ends = _spans(path, tags)
    if not len(rows):
        return
    places, behind = student.tensor(np.stack([rows, starts, ends])), student.tensor(~tags.continues)
    scores = student.crf.segment_log_probabilities(emissions, mask, paths, places, behind).clamp(max=0.0).exp().tolist()
    columns = [array.tolist() for array in (rows, starts, ends, path[rows, starts])]
    for row, start, end, tag, score in zip(*columns, scores, strict=True):
        yield row, Entity(Span(start, end), tags.types[tag], score=score)


def _spans(path: _Integers, tags: _Tags) -> tuple[_Integers, _Integers, _Integers]:
    """Row, first word and end of every entity that ``path [batch, words]`` marks, row by row and word by word."""
    rows, starts = np.nonzero(tags.begins[path])
    width = path.shape[1] + 1
    breaks = np.flatnonzero(~np.pad(tags.continues[path], ((0, 0), (0, 1))))
    ends = breaks[np.searchsorted(breaks, rows * width + starts, side="right")] - rows * width
    return rows, starts, ends


@contextmanager
def _evaluating(student: Student) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode there was."""
    was_training = student.training
    student.eval()
    try:
        yield
    finally:
        student.train(was_training)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16, rather than imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    has_it = device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(has_it)
