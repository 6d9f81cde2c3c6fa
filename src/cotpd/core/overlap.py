"""Search for examples that two sets share: equal texts, similar texts, equal images.

Texts are compared by their letters and digits (NFKC, case-folded, without links). The similarity of two texts is the
Jaccard index of their sets of word trigrams (shingles). The search is exact and fast: two sets with enough similarity
share one of their rarest members (prefix filtering), and enough members follow the first shared one (positional
filtering), so only such sets are compared.
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
"""The number of words in a shingle. A shorter text is a single shingle."""

Shingles = frozenset[tuple[str, ...]]

_Index = defaultdict[tuple[str, ...], defaultdict[tuple[int, int], list[Shingles]]]
"""The sets that contain a rare shingle, by the size of the set and the position of the shingle in it."""

_LINK = re.compile(r"https?://\S+")
_PART = re.compile(r"\s+|\S{1,256}")


@dataclass(frozen=True, slots=True, order=True)
class SimilarPair:
    """Two examples with similar texts.

    Attributes:
        first: The index of the example in the first set.
        second: The index of the example in the second set.
        similarity: The Jaccard index of their shingles; 1.0 for equal texts.
    """

    first: int
    second: int
    similarity: float


def similar_texts(first: Sequence[Example], second: Sequence[Example], *, threshold: float = 0.5) -> list[SimilarPair]:
    """Return the examples of ``second`` that resemble one of ``first``, each with its most similar one.

    Args:
        first: The examples to compare with.
        second: The examples to look up.
        threshold: The minimum similarity, above 0. At the default, two texts that differ in one name are similar.
    """
    known: dict[Shingles, int] = {}
    for number, example in enumerate(first):
        known.setdefault(shingles(example), number)
    queries = [shingles(example) for example in second]
    frequency = Counter(shingle for members in {*known, *queries} for shingle in members)
    index: _Index = defaultdict(lambda: defaultdict(list))
    for members in known:
        for position, shingle in enumerate(_rarest(members, frequency, threshold)):
            index[shingle][len(members), position].append(members)
    nearest: dict[Shingles, tuple[float, int]] = {}
    for members in {*queries}:
        rarest = _rarest(members, frequency, threshold)
        candidates = {*_candidates(rarest, len(members), index, threshold)}
        scored = ((jaccard(other, members), -known[other]) for other in candidates)
        nearest[members] = max(scored, default=(0.0, 0))
    matches = ((nearest[members], number) for number, members in enumerate(queries))
    return [SimilarPair(-other, number, score) for (score, other), number in matches if score >= threshold]


def shared_images(first: Sequence[Example], second: Sequence[Example]) -> list[tuple[int, int]]:
    """Return index pairs of examples with the same image; for each example of ``second``, the first match."""
    owners: dict[str | None, int] = {}
    for number, example in enumerate(first):
        owners.setdefault(example.image_id, number)
    images = ((number, example.image_id) for number, example in enumerate(second))
    return [(owners[image], number) for number, image in images if image is not None and image in owners]


def shingles(example: Example) -> Shingles:
    """Return the word trigrams of an example's text. The set is empty only if the text has no characters."""
    words = comparable_words(example.text)
    size = min(SHINGLE, len(words))
    starts = range(len(words) - size + 1 if words else 0)
    return frozenset(tuple(words[start : start + size]) for start in starts)


def comparable_words(text: str) -> list[str]:
    """Return the normalised words of a text, or its visible characters if it has no letters and digits."""
    folded = fold(text)
    return re.findall(r"\w+", _LINK.sub(" ", folded)) or list("".join(folded.split()))


def fold(text: str) -> str:
    """Return a text in NFKC, case-folded, in linear time.

    Normalisation sorts combining marks, which takes quadratic time for a long run of them. White space never composes
    with what precedes it, so a text is normalised word by word, and a word of over 256 characters in parts.
    """
    return "".join(unicodedata.normalize("NFKC", part) for part in _PART.findall(text)).casefold()


def jaccard(first: Shingles, second: Shingles) -> float:
    """Return the Jaccard index of two sets, |A ∩ B| / |A ∪ B|; 0 if both are empty."""
    shared = len(first & second)
    return shared / max(1, len(first) + len(second) - shared)


def _candidates(rarest: list[tuple[str, ...]], size: int, index: _Index, threshold: float) -> Iterator[Shingles]:
    """Yield the sets that can reach the threshold, given the positions of the first shared shingle."""
    for position, shingle in enumerate(rarest):
        for (other_size, other_position), others in index.get(shingle, {}).items():
            needed = threshold / (1 + threshold) * (size + other_size) - 1e-9
            if min(size - position, other_size - other_position) >= needed:
                yield from others


def _rarest(members: Shingles, frequency: Counter[tuple[str, ...]], threshold: float) -> list[tuple[str, ...]]:
    """Return the shortest prefix of rare members that any set above the threshold must share."""
    ordered = sorted(members, key=lambda shingle: (frequency[shingle], shingle))
    return ordered[: len(ordered) - math.ceil(threshold * len(ordered) - 1e-9) + 1]
