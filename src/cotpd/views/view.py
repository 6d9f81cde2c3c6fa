"""The three readings of a post: its text, its text with knowledge, and its text that a soft prompt will join."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cotpd.core.config import Part, ViewConfig
from cotpd.core.errors import DataError
from cotpd.core.records import Entity, Example, Relation, Span
from cotpd.views.pieces import Pieces

MARKERS = ("[h]", "[/h]", "[t]", "[/t]")
"""The markers of a pair by their slot, as people read them: what opens and closes the head, and the tail."""


class ViewKind(StrEnum):
    """The views of a post. Prompts are vectors, so the prompt-enhanced view is the text plus room for them."""

    TEXT = "text"
    KNOWLEDGE = "knowledge"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class View:
    """What the encoder reads of one post. The post comes first in every view, so words keep their places.

    ``ids``: the pieces; ``first_pieces``: where each word begins in them; ``num_cut``: knowledge pieces left out.
    ``markers``: where the pieces stand that open and close the head and the tail of a relation, in this order; the
    student has vectors of its own for them.
    """

    kind: ViewKind
    ids: Sequence[int]
    first_pieces: Sequence[int]
    num_cut: int = field(default=0, compare=False)
    markers: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ViewReader:
    """Reads examples into views. ``max_pieces``: the encoder's limit less the room for soft prompts.

    ``x`` is the post, ``k1 … kn`` the parts in the order of the settings:

        text, prompt   opening  x  closing
        knowledge      opening  x  between  k1  separator  k2 … kn  closing

    With a pair, x holds four markers (Soares et al. 2019): `Rio`, in `[h] Rio [/h] beats [t] Oslo [/t]`.
    """

    pieces: Pieces
    config: ViewConfig
    max_pieces: int

    def read(
        self, example: Example, kind: ViewKind, *, without: Collection[Part] = (), pair: Relation | None = None
    ) -> View:
        """One view of an example, with the spans of ``pair`` marked; parts named in ``without`` are left out.

        Raises `DataError` if the post alone is longer than the encoder's limit: divide it with `windows` first.
        """
        post = _Post.of(self.pieces, example.words, pair)
        opening, closing = self.pieces.opening, self.pieces.closing
        if len(post.ids) > self.max_text_pieces:
            raise DataError(
                f"the post has {len(post.ids)} pieces and the encoder takes {self.max_text_pieces}", where=example.id
            )
        first_pieces = [place + len(opening) for place in post.first_pieces]
        markers = [place + len(opening) for place in post.markers]
        is_enhanced = kind == ViewKind.KNOWLEDGE
        knowledge, num_cut = self._knowledge(example, len(post.ids), without) if is_enhanced else ([], 0)
        return View(kind, [*opening, *post.ids, *knowledge, *closing], first_pieces, num_cut, markers)

    @property
    def max_text_pieces(self) -> int:
        """The longest post that is read whole, in pieces."""
        return self.max_pieces - len(self.pieces.opening) - len(self.pieces.closing)

    @property
    def max_pair_pieces(self) -> int:
        """The most pieces from a head to its tail: four markers join them."""
        return self.max_text_pieces - 4

    def windows(self, words: Sequence[str], *, overlap: int = 0, whole: Collection[Span] = ()) -> Iterator[Span]:
        """Divide a post into spans of words that each fit the encoder.

        Every span begins ``overlap`` words before the last one's end, but never in its first half: time stays linear.
        No span ends within one of ``whole``, unless that is longer than the encoder takes.
        """
        lengths = [len(word) for word in self.pieces.of(words)]
        start = 0
        while start < len(words):
            end, room = start, self.max_text_pieces
            while end < len(words) and lengths[end] <= room:
                room -= lengths[end]
                end += 1
            begun = [span.start for span in whole if start < span.start < end < span.end]
            end = min(begun, default=max(end, start + 1))
            yield Span(start, end)
            if end == len(words):
                return
            start = max(end - overlap, (start + end + 1) // 2)

    def _knowledge(self, example: Example, num_post: int, without: Collection[Part]) -> tuple[list[int], int]:
        """The pieces behind the post, cut at the end to the room there is, and how many were cut."""
        found: list[int] = []
        for part in self.config.parts:
            for text in texts_of(example, part) if part not in without else ():
                found += [*(self.pieces.between[-1:] if found else self.pieces.between), *self.pieces.of_text(text)]
        room = min(self.config.knowledge_pieces, self.max_text_pieces - num_post)
        return found[:room], max(0, len(found) - room)


@dataclass(slots=True)
class _Post:
    """The pieces of a post, where its words begin, and where the markers of a pair stand."""

    ids: list[int]
    first_pieces: list[int]
    markers: list[int]

    @classmethod
    def of(cls, pieces: Pieces, words: Sequence[str], pair: Relation | None) -> _Post:
        post = cls([], [], [0] * (4 if pair else 0))
        before = markers_before(pair) if pair else {}
        for number, word in enumerate(pieces.of(words)):
            post._mark(before.get(number, ()), pieces.unknown)
            post.first_pieces.append(len(post.ids))
            post.ids.extend(word)
        post._mark(before.get(len(words), ()), pieces.unknown)
        return post

    def _mark(self, slots: Sequence[int], piece: int) -> None:
        for slot in slots:
            self.markers[slot] = len(self.ids)
            self.ids.append(piece)


def texts_of(example: Example, part: Part) -> list[str]:
    """The texts of one part of the knowledge: the caption, or every answer at a grain."""
    if part == "caption":
        return [example.caption.text] if example.caption else []
    return [knowledge.text for knowledge in example.knowledge if knowledge.grain == part]


def num_untold(examples: Iterable[Example], parts: Collection[Part]) -> int:
    """Of how many examples nothing is known of any of these parts, so that their knowledge-enhanced view is text."""
    return sum(not any(texts_of(example, part) for part in parts) for example in examples)


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
        relations=tuple(
            Relation(_moved(relation.head, span), _moved(relation.tail, span), relation.label)
            for relation in example.relations
            if inside(relation.head) and inside(relation.tail)
        ),
        image_id=example.image_id,
        caption=example.caption,
        knowledge=example.knowledge,
        origin=example.origin,
        part_of=example.post_id,
    )


def narrowed(reader: ViewReader, example: Example) -> Example:
    """A post of one pair, without its outermost words as far as the encoder cannot take them; most stay as they are.

    As many words are kept on one side of the pair as on the other, where there are so many and they are not too long.
    Raises `DataError` when the words between head and tail alone are too many.
    """
    (pair,) = example.relations
    start, end = min(pair.head.start, pair.tail.start), max(pair.head.end, pair.tail.end)
    most = reader.max_text_pieces
    around = Span(max(0, start - most), min(len(example.words), end + most))
    if around.end - around.start < len(example.words):
        return narrowed(reader, excerpt(example, around))
    lengths = [len(word) for word in reader.pieces.of(example.words)]
    room = reader.max_pair_pieces - sum(lengths[start:end])
    if room < 0:
        between = f"from {example.words_of(pair.head)!r} to {example.words_of(pair.tail)!r}"
        message = f"the words {between} are more than the encoder takes; remove this relation from the corpus"
        raise DataError(message, where=example.post_id)
    if sum(lengths[:start]) + sum(lengths[end:]) <= room:
        return example
    return excerpt(example, _widened(Span(start, end), lengths, room))


def _widened(span: Span, lengths: Sequence[int], room: int) -> Span:
    """The span with the words beside it that fit into ``room`` pieces, as many on either side as can be."""
    start, end = span.start, span.end
    while True:
        before = start > 0 and lengths[start - 1] <= room
        behind = end < len(lengths) and lengths[end] <= room
        if not before and not behind:
            return Span(start, end)
        if before and (not behind or span.start - start <= end - span.end):
            start -= 1
            room -= lengths[start]
        else:
            room -= lengths[end]
            end += 1


def markers_before(pair: Relation) -> dict[int, list[int]]:
    """The slots of the `MARKERS` that stand before each word; what closes there stands before what opens."""
    places: dict[int, list[int]] = {}
    for slot, word in ((1, pair.head.end), (3, pair.tail.end), (0, pair.head.start), (2, pair.tail.start)):
        places.setdefault(word, []).append(slot)
    return places


def _moved(span: Span, origin: Span) -> Span:
    return Span(span.start - origin.start, span.end - origin.start)
