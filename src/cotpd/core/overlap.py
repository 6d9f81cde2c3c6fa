"""Posts that two sets of examples share: the same text, nearly the same text, the same image.

Texts are compared by their letters and digits (NFKC, case folded, links left out): their similarity is the Jaccard
index of their sets of three following words. The search is exact all the same: two sets that are similar enough share
one of their rarest members (prefix filtering), and enough of them stand behind the first one (positional filtering),
so only those that do are compared.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cotpd.core.records import Example

SHINGLE = 3
"""Words of a shingle; a text with fewer is one shingle."""

Shingles = frozenset[tuple[str, ...]]

_Holders = defaultdict[tuple[str, ...], defaultdict[tuple[int, int], list[Shingles]]]
"""The sets that hold a shingle among their rarest, by their size and its place there."""

_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True, order=True)
class Overlap:
    """Example ``first`` of the one set and ``second`` of the other, by index; ``similarity`` 1.0: the same text."""

    first: int
    second: int
    similarity: float


def similar_texts(first: Sequence[Example], second: Sequence[Example], *, threshold: float = 0.5) -> list[Overlap]:
    """The posts of ``second`` that are similar to one of ``first``, each with the most similar one.

    ``threshold`` lies above 0; half a post's shingles are the same where a name was put into another's sentence.
    """
    known: dict[Shingles, int] = {}
    for number, example in enumerate(first):
        known.setdefault(shingles(example), number)
    asked = [shingles(example) for example in second]
    frequency = Counter(shingle for members in {*known, *asked} for shingle in members)
    holders: _Holders = defaultdict(lambda: defaultdict(list))
    for members in known:
        for place, shingle in enumerate(_rarest(members, frequency, threshold)):
            holders[shingle][len(members), place].append(members)
    nearest: dict[Shingles, tuple[float, int]] = {}
    for members in {*asked}:
        rarest = _rarest(members, frequency, threshold)
        candidates = {*_candidates(rarest, len(members), holders, threshold)}
        scored = ((jaccard(other, members), -known[other]) for other in candidates)
        nearest[members] = max(scored, default=(0.0, 0))
    matches = ((nearest[members], number) for number, members in enumerate(asked))
    return [Overlap(-other, number, score) for (score, other), number in matches if score >= threshold]


def shared_images(first: Sequence[Example], second: Sequence[Example]) -> list[tuple[int, int]]:
    """The posts of ``second`` whose image a post of ``first`` has, as pairs of indices with the first such post."""
    holders: dict[str | None, int] = {}
    for number, example in enumerate(first):
        holders.setdefault(example.image_id, number)
    images = ((number, example.image_id) for number, example in enumerate(second))
    return [(holders[image], number) for number, image in images if image is not None and image in holders]


def shingles(example: Example) -> Shingles:
    """The sets of three following words of a post's comparable text; empty only of a text without characters."""
    words = comparable_words(example.text)
    size = min(SHINGLE, len(words))
    starts = range(len(words) - size + 1 if words else 0)
    return frozenset(tuple(words[start : start + size]) for start in starts)


def comparable_words(text: str) -> list[str]:
    """The words by which texts are compared; of a text without letters and digits, its visible characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", _LINK.sub(" ", folded)) or list("".join(folded.split()))


def jaccard(first: Shingles, second: Shingles) -> float:
    """The share of their members that two sets have in common; 0 of two empty ones."""
    shared = len(first & second)
    return shared / max(1, len(first) + len(second) - shared)


def _candidates(rarest: list[tuple[str, ...]], size: int, holders: _Holders, threshold: float) -> Iterator[Shingles]:
    """The sets that may be similar enough to one of so many members: a first shared member leaves enough behind it."""
    for place, shingle in enumerate(rarest):
        for (other_size, other_place), others in holders.get(shingle, {}).items():
            needed = threshold / (1 + threshold) * (size + other_size) - 1e-9
            if min(size - place, other_size - other_place) >= needed:
                yield from others


def _rarest(members: Shingles, frequency: Counter[tuple[str, ...]], threshold: float) -> list[tuple[str, ...]]:
    """The rarest members, so many that two sets as similar as ``threshold`` share one of them."""
    ordered = sorted(members, key=lambda shingle: (frequency[shingle], shingle))
    return ordered[: len(ordered) - math.ceil(threshold * len(ordered) - 1e-9) + 1]
