"""Words as pieces: the one place that knows how tokenizers differ."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tokenizers import Tokenizer

_MOST_PIECES = 64
"""A word of more pieces (a pasted blob) keeps its first ones; its tag is read from the first anyway."""


class Pieces:
    """A fast tokenizer that reads word by word, so that every word keeps at least one piece.

    Works for WordPiece, Unigram (XLM-R) and byte-level BPE (RoBERTa, ModernBERT). A word without any piece, such
    as a lone U+200D, U+FE0F or no-break space under WordPiece, is read as the unknown piece: by rule, a word is
    never lost and its neighbours never move. So is the name of a special piece that a text holds, such as ``[SEP]``
    or ``</s>``, for a post cannot end itself. ``opening``, ``between`` and ``closing`` are the special pieces around
    one text and between two.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._prefix = " " if self._needs_space() else ""
        self.opening, self.between, self.closing = self._special_pieces()
        self.pad = self._id_of("[PAD]", "<pad>")
        self.unknown = self._id_of("[UNK]", "<unk>", "<|endoftext|>")
        added = tokenizer.get_added_tokens_decoder()
        self._special = {id_ for id_, token in added.items() if token.special} - {self.unknown}
        self._of_word = lru_cache(maxsize=100_000)(self._read_word)

    def __reduce__(self) -> tuple[type[Pieces], tuple[Tokenizer]]:
        """Pickled as its tokenizer: the words read so far stay behind."""
        return Pieces, (self.tokenizer,)

    def of(self, words: Iterable[str]) -> list[tuple[int, ...]]:
        """The pieces of each word, never none."""
        return [self._of_word(word) for word in words]

    def of_text(self, text: str) -> list[int]:
        """The pieces of a running text, without special ones."""
        return self._encode(text)

    def _read_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._encode(word)[:_MOST_PIECES]) or (self.unknown,)

    def _encode(self, text: str) -> list[int]:
        """The pieces of a text; half a character, which no tokenizer takes, is read as U+FFFD."""
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids = self.tokenizer.encode(self._prefix + whole, add_special_tokens=False).ids
        return [self.unknown if id_ in self._special else id_ for id_ in ids]

    def _needs_space(self) -> bool:
        """Byte-level BPE marks a word's beginning by the space before it, which a word alone lacks."""
        alone = self.tokenizer.encode("word", add_special_tokens=False).tokens
        spaced = self.tokenizer.encode(" word", add_special_tokens=False).tokens
        return bool(alone and spaced) and alone != spaced and spaced[0].startswith("Ġ")

    def _special_pieces(self) -> tuple[list[int], list[int], list[int]]:
        pair = self.tokenizer.encode("a", "b")
        runs: tuple[list[int], list[int], list[int]] = ([], [], [])
        texts_seen: set[int] = set()
        for piece, text in zip(pair.ids, pair.sequence_ids, strict=True):
            if text is None:
                runs[len(texts_seen)].append(piece)
            else:
                texts_seen.add(text)
        return runs

    def _id_of(self, *names: str) -> int:
        return next((id_ for name in names if (id_ := self.tokenizer.token_to_id(name)) is not None), 0)
