"""The three readings of a post: its text, its text with knowledge, and its text that a soft prompt will join."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

from cotpd.core.config import Part, ViewConfig
from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Span
from cotpd.views.pieces import Pieces


class ViewKind(StrEnum):
    """The views of a post. Prompts are vectors, so the prompt-enhanced view is the text plus room for them."""

    TEXT = "text"
    KNOWLEDGE = "knowledge"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class View:
    """What the encoder reads of one post. The post comes first in every view, so words keep their places.

    ``ids``: the pieces; ``first_pieces``: where each word begins in them; ``num_cut``: knowledge pieces left out.
    """

    kind: ViewKind
    ids: Sequence[int]
    first_pieces: Sequence[int]
    num_cut: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ViewReader:
    """Reads examples into views. ``max_pieces``: the encoder's limit less the room for soft prompts.

    ``x`` is the post, ``k1 … kn`` the parts in the order of the settings:

        text, prompt   opening  x  closing
        knowledge      opening  x  between  k1  separator  k2 … kn  closing
    """

    pieces: Pieces
    config: ViewConfig
    max_pieces: int

    def read(self, example: Example, kind: ViewKind, *, without: Collection[Part] = ()) -> View:
        """One view of an example; parts named in ``without`` are left out.

        Raises `DataError` if the post alone is longer than the encoder's limit: divide it with `windows` first.
        """
        words = self.pieces.of(example.words)
        post = [piece for word in words for piece in word]
        opening, closing = self.pieces.opening, self.pieces.closing
        if len(post) > self.max_text_pieces:
            raise DataError(
                f"the post has {len(post)} pieces and the encoder takes {self.max_text_pieces}", where=example.id
            )
        lengths = accumulate((len(word) for word in words), initial=len(opening))
        first_pieces = list(lengths)[:-1]
        knowledge, num_cut = self._knowledge(example, len(post), without) if kind is ViewKind.KNOWLEDGE else ([], 0)
        return View(kind, [*opening, *post, *knowledge, *closing], first_pieces, num_cut)

    @property
    def max_text_pieces(self) -> int:
        """The longest post that is read whole, in pieces."""
        return self.max_pieces - len(self.pieces.opening) - len(self.pieces.closing)

    def windows(self, words: Sequence[str], *, overlap: int = 0) -> Iterator[Span]:
        """Divide a post into spans of words that each fit the encoder, every span ``overlap`` words into the last."""
        lengths = [len(word) for word in self.pieces.of(words)]
        start = 0
        while start < len(words):
            end, room = start, self.max_text_pieces
            while end < len(words) and lengths[end] <= room:
                room -= lengths[end]
                end += 1
            end = max(end, start + 1)
            yield Span(start, end)
            if end == len(words):
                return
            start = max(end - overlap, start + 1)

    def _knowledge(self, example: Example, num_post: int, without: Collection[Part]) -> tuple[list[int], int]:
        """The pieces behind the post, cut at the end to the room there is, and how many were cut."""
        found: list[int] = []
        for part in self.config.parts:
            for text in texts_of(example, part) if part not in without else ():
                found += [*(self.pieces.between[-1:] if found else self.pieces.between), *self.pieces.of_text(text)]
        room = min(self.config.knowledge_pieces, self.max_text_pieces - num_post)
        return found[:room], max(0, len(found) - room)


def texts_of(example: Example, part: Part) -> list[str]:
    """The texts of one part of the knowledge: the caption, or every answer at a grain."""
    if part == "caption":
        return [example.caption.text] if example.caption else []
    return [knowledge.text for knowledge in example.knowledge if knowledge.grain == part]


def excerpt(example: Example, span: Span) -> Example:
    """The words of a span as an example of its own, with the entities and relations that lie wholly inside."""

    def inside(other: Span) -> bool:
        return span.start <= other.start and other.end <= span.end

    return Example(
        id=f"{example.id}[{span.start}:{span.end}]",
        words=example.words[span.start : span.end],
        entities=tuple(
            Entity(_moved(entity.span, span), entity.label, entity.orphan)
            for entity in example.entities
            if inside(entity.span)
        ),
        image_id=example.image_id,
        caption=example.caption,
        knowledge=example.knowledge,
    )


def _moved(span: Span, origin: Span) -> Span:
    return Span(span.start - origin.start, span.end - origin.start)
