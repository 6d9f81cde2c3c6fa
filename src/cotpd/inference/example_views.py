"""The views of one example in readable form: in words, or in the pieces of a student's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cotpd.core.config import ViewConfig
from cotpd.core.records import Example, Span
from cotpd.core.tasks import ANNOTATIONS, task_of
from cotpd.inference.tasks import DECODERS
from cotpd.student.student import Student
from cotpd.views.view import View, ViewKind, markers_before, texts_of


@dataclass(frozen=True, slots=True)
class ReadableView:
    """One view of an example.

    Attributes:
        windows: The words or pieces of each part that is encoded separately.
        num_cut: The number of knowledge pieces that did not fit.
        unit: The name of a part, see `TaskDecoder`.
    """

    windows: list[list[str]]
    num_cut: int = 0
    unit: str = "window"


def word_views(example: Example) -> dict[str, ReadableView]:
    """Return the views of an example in words, under the default settings and without a limit of length."""
    task = task_of([example])
    markers, unit = ANNOTATIONS[task].markers, DECODERS[task].unit
    marked = [annotation.spans for annotation in ANNOTATIONS[task].of(example)] if markers else [()]
    texts = [_with_markers(example, spans, markers) for spans in marked]
    return {
        kind: ReadableView([[*words, "[SEP]", *extra] for words in texts], unit=unit)
        for kind, extra in (
            (ViewKind.TEXT, []),
            (ViewKind.PROMPT, ["[soft prompts]"]),
            (ViewKind.KNOWLEDGE, _knowledge_words(example)),
        )
    }


def piece_views(student: Student, example: Example) -> dict[str, ReadableView]:
    """Return the views that a student can read, in the pieces of its encoder; the deployed view comes first."""
    return {kind: _piece_view(student, example, kind) for kind in readable_kinds(student)}


def readable_kinds(student: Student) -> list[ViewKind]:
    """Return the views that a student can read; the deployed view comes first."""
    design = student.design
    kinds = [kind for kind in ViewKind if design.prompt or kind is not ViewKind.PROMPT]
    return sorted(kinds, key=lambda kind: kind is not design.deployed_view)


def _knowledge_words(example: Example) -> list[str]:
    texts = [text for part in ViewConfig().parts for text in texts_of(example, part)]
    return [word for text in texts for word in (*text.split(), "[SEP]")]


def _with_markers(example: Example, marked: Sequence[Span], markers: Sequence[str]) -> list[str]:
    """Return the words with markers before and after the marked spans."""
    before = markers_before(marked)
    words: list[str] = []
    for place, word in enumerate([*example.words, ""]):
        words += [*(markers[slot] for slot in before.get(place, ())), word]
    return words[:-1]


def _piece_view(student: Student, example: Example, kind: ViewKind) -> ReadableView:
    decoder = DECODERS[student.design.task]
    views = [window.view for window in decoder.windows(student, 0, example, kind)]
    prompts = _prompt_names(student) if kind is ViewKind.PROMPT else []
    windows = [[*_piece_names(student, view), *prompts] for view in views]
    return ReadableView(windows, sum(view.num_cut for view in views), decoder.unit)


def _piece_names(student: Student, view: View) -> list[str]:
    tokenizer = student.reader.pieces.tokenizer
    names = [str(tokenizer.id_to_token(piece)) for piece in view.ids]
    for marker, place in zip(ANNOTATIONS[student.design.task].markers, view.markers, strict=True):
        names[place] = marker
    return names


def _prompt_names(student: Student) -> list[str]:
    prompt = student.design.prompt
    return [f"[P{number}]" for number in range(1, prompt.length + 1)] if prompt else []
