"""The three views of an example: text, text with knowledge, and text with a soft prompt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cotpd.core.config import Part, ViewConfig
from cotpd.core.errors import DataError
from cotpd.core.records import Example, Span
from cotpd.views.pieces import Pieces


class ViewKind(StrEnum):
    """The kinds of views. The prompt-enhanced view has the pieces of the text; the student adds the prompt vectors."""

    TEXT = "text"
    KNOWLEDGE = "knowledge"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class View:
    """What the encoder reads of one example.

    The text comes first in every view, so a word has the same position in all of them.

    Attributes:
        ids: The ids of the pieces.
        first_pieces: The position of the first piece of each word.
        num_cut: The number of knowledge pieces that did not fit.
        markers: The positions of the marker pieces: for each marked span the opening and the closing one. The student
            replaces their embeddings with learned vectors.
    """

    kind: ViewKind
    ids: Sequence[int]
    first_pieces: Sequence[int]
    num_cut: int = field(default=0, compare=False)
    markers: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ViewReader:
    """Reads examples into views.

    With ``x`` the words of the example and ``k1 … kn`` the parts of the knowledge in the order of the settings:

        text, prompt   opening  x  closing
        knowledge      opening  x  between  k1  separator  k2 … kn  closing

    Spans may be marked in ``x`` as in Soares et al. (2019), for example head and tail in
    ``[h] Rio [/h] beats [t] Oslo [/t]``.

    Attributes:
        max_pieces: The maximum length of the encoder minus the length of the soft prompt.
    """

    pieces: Pieces
    config: ViewConfig
    max_pieces: int

    def read(
        self, example: Example, kind: ViewKind, *, marked: Sequence[Span] = (), without: Collection[Part] = ()
    ) -> View:
        """Read one view of an example.

        Args:
            example: The example; it must fit the encoder, see `windows` and `cotpd.views.excerpts.narrow`.
            kind: The kind of the view.
            marked: The spans to mark, in the order of the student's marker vectors.
            without: The parts of the knowledge to omit.

        Raises:
            DataError: If the text, even without knowledge, is longer than the encoder allows.
        """
        text = _MarkedPieces.of(self.pieces, example.words, marked)
        opening, closing = self.pieces.opening, self.pieces.closing
        if len(text.ids) > self.max_text_pieces:
            raise DataError(
                f"the text has {len(text.ids)} pieces, but the encoder accepts at most {self.max_text_pieces}; "
                "split the example",
                where=example.id,
            )
        first_pieces = [position + len(opening) for position in text.first_pieces]
        markers = [position + len(opening) for position in text.markers]
        is_enhanced = kind == ViewKind.KNOWLEDGE
        knowledge, num_cut = self._knowledge(example, len(text.ids), without) if is_enhanced else ([], 0)
        return View(kind, [*opening, *text.ids, *knowledge, *closing], first_pieces, num_cut, markers)

    @property
    def max_text_pieces(self) -> int:
        """The maximum number of pieces of a text."""
        return self.max_pieces - len(self.pieces.opening) - len(self.pieces.closing)

    def max_marked_pieces(self, num_spans: int) -> int:
        """Return the maximum number of pieces of a text with ``num_spans`` marked spans, without the markers."""
        return self.max_text_pieces - 2 * num_spans

    def windows(self, words: Sequence[str], *, overlap: int = 0, whole: Collection[Span] = ()) -> Iterator[Span]:
        """Divide a text into spans of words that each fit the encoder, in linear time.

        Args:
            words: The words of the text.
            overlap: The number of words that neighbouring windows share. It is reduced to at most half a window.
            whole: Spans that no window may split, unless they are longer than the encoder allows.
        """
        lengths = [len(word) for word in self.pieces.of(words)]
        start = 0
        while start < len(words):
            end, room = start, self.max_text_pieces
            while end < len(words) and lengths[end] <= room:
                room -= lengths[end]
                end += 1
            split = [span.start for span in whole if start < span.start < end < span.end]
            end = min(split, default=max(end, start + 1))
            yield Span(start, end)
            if end == len(words):
                return
            start = max(end - overlap, (start + end + 1) // 2)

    def _knowledge(self, example: Example, num_text: int, without: Collection[Part]) -> tuple[list[int], int]:
        """Return the knowledge pieces, truncated to the room after the text, and the number of cut pieces."""
        ids: list[int] = []
        for part in self.config.parts:
            for text in texts_of(example, part) if part not in without else ():
                ids += [*(self.pieces.between[-1:] if ids else self.pieces.between), *self.pieces.of_text(text)]
        room = min(self.config.knowledge_pieces, self.max_text_pieces - num_text)
        return ids[:room], max(0, len(ids) - room)


@dataclass(slots=True)
class _MarkedPieces:
    """The pieces of a text, with the positions of its words and of the markers."""

    ids: list[int]
    first_pieces: list[int]
    markers: list[int]

    @classmethod
    def of(cls, pieces: Pieces, words: Sequence[str], marked: Sequence[Span]) -> _MarkedPieces:
        text = cls([], [], [0] * 2 * len(marked))
        before = markers_before(marked)
        for number, word in enumerate(pieces.of(words)):
            text._add_markers(before.get(number, ()), pieces.unknown)
            text.first_pieces.append(len(text.ids))
            text.ids.extend(word)
        text._add_markers(before.get(len(words), ()), pieces.unknown)
        return text

    def _add_markers(self, slots: Sequence[int], piece: int) -> None:
        """Add a piece for each marker; the student replaces its embedding with the vector of the marker."""
        for slot in slots:
            self.markers[slot] = len(self.ids)
            self.ids.append(piece)


def texts_of(example: Example, part: Part) -> list[str]:
    """Return the texts of one part of the knowledge: the caption, or every answer at a grain."""
    if part == "caption":
        return [example.caption.text] if example.caption else []
    return [knowledge.text for knowledge in example.knowledge if knowledge.grain == part]


def num_without_knowledge(examples: Iterable[Example], parts: Collection[Part]) -> int:
    """Count the examples that have none of the parts, so that their knowledge-enhanced view is their text."""
    return sum(not any(texts_of(example, part) for part in parts) for example in examples)


def markers_before(marked: Sequence[Span]) -> dict[int, list[int]]:
    """Return the markers before each word, as slots: ``2 n`` opens span ``n``, ``2 n + 1`` closes it.

    Where one span ends and another begins, the closing marker comes first.
    """
    slots: dict[int, list[int]] = {}
    for number, span in enumerate(marked):
        slots.setdefault(span.end, []).append(2 * number + 1)
    for number, span in enumerate(marked):
        slots.setdefault(span.start, []).append(2 * number)
    return slots
