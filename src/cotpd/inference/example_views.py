"""The views of one example as a person can read them: in words, or in the pieces that a student's encoder reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cotpd.core.config import Task, ViewConfig
from cotpd.core.records import Example, Relation
from cotpd.inference.candidates import readable_pairs
from cotpd.student.student import Student
from cotpd.views.view import MARKERS, View, ViewKind, ViewReader, excerpt, markers_before, narrowed, texts_of


@dataclass(frozen=True, slots=True)
class ReadableView:
    """One view of an example.

    Attributes:
        windows: The words or pieces of each part that is encoded on its own.
        num_cut: The number of knowledge pieces that did not fit.
        unit: What one part is: ``"window"``, some words of a long text, or ``"pair"``, the text with one marked pair.
    """

    windows: list[list[str]]
    num_cut: int = 0
    unit: str = "window"


def word_views(example: Example) -> dict[str, ReadableView]:
    """Return the views of an example in words, under the default settings and without an encoder's limit."""
    is_pair = bool(example.relations) and not example.entities
    texts = [_with_markers(example, pair) for pair in example.relations] if is_pair else [list(example.words)]
    unit = "pair" if is_pair else "window"
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
    return sorted(kinds, key=lambda kind: kind is not design.ships)


def _knowledge_words(example: Example) -> list[str]:
    texts = [text for part in ViewConfig().parts for text in texts_of(example, part)]
    return [word for text in texts for word in (*text.split(), "[SEP]")]


def _with_markers(example: Example, pair: Relation) -> list[str]:
    """Return the words with the markers of a pair before and behind its head and its tail."""
    before = markers_before(pair)
    words: list[str] = []
    for place, word in enumerate([*example.words, ""]):
        words += [*(MARKERS[slot] for slot in before.get(place, ())), word]
    return words[:-1]


def _piece_view(student: Student, example: Example, kind: ViewKind) -> ReadableView:
    units = _UNITS[student.design.task]
    views = units.read(student.reader, example, kind)
    prompts = _prompt_names(student) if kind is ViewKind.PROMPT else []
    windows = [[*_piece_names(student, view), *prompts] for view in views]
    return ReadableView(windows, sum(view.num_cut for view in views), units.name)


def _piece_names(student: Student, view: View) -> list[str]:
    tokenizer = student.reader.pieces.tokenizer
    names = [str(tokenizer.id_to_token(piece)) for piece in view.ids]
    for marker, place in zip(MARKERS, view.markers, strict=False):
        names[place] = marker
    return names


def _prompt_names(student: Student) -> list[str]:
    prompt = student.design.prompt
    return [f"[P{number}]" for number in range(1, prompt.length + 1)] if prompt else []


def _read_windows(reader: ViewReader, example: Example, kind: ViewKind) -> list[View]:
    spans = reader.windows(example.words, whole=[entity.span for entity in example.entities])
    return [reader.read(excerpt(example, span), kind) for span in spans]


def _read_pairs(reader: ViewReader, example: Example, kind: ViewKind) -> list[View]:
    """Read the pairs that the example states, or the first pair of its entities if it states none."""
    pairs: Iterable[Relation] = example.relations or readable_pairs(reader, [example])[0][:1]
    narrow = [narrowed(reader, replace(example, relations=(pair,))) for pair in pairs]
    return [reader.read(one, kind, pair=one.relations[0]) for one in narrow]


class _Units(NamedTuple):
    """The parts of an example that a task encodes one by one."""

    name: str
    read: Callable[[ViewReader, Example, ViewKind], Sequence[View]]


_UNITS: dict[Task, _Units] = {"entities": _Units("window", _read_windows), "relations": _Units("pair", _read_pairs)}
