"""Sub-word tokenization of words, with the differences between tokenizers in one place."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tokenizers import Tokenizer

_MAX_PIECES = 64
"""Maximum number of pieces of one word, for pasted blobs. The tag is read from the first piece anyway."""


class Pieces:
    """A fast tokenizer applied word by word, so that every word has at least one piece.

    Works with WordPiece, Unigram (XLM-R) and byte-level BPE (RoBERTa, ModernBERT). Two kinds of words become the
    unknown piece: words without pieces (such as a lone U+200D, U+FE0F or no-break space under WordPiece), and names of
    special pieces such as ``[SEP]`` or ``</s>``, which a text must not be able to insert.

    Attributes:
        opening: Special pieces before a text.
        between: Special pieces between two texts.
        closing: Special pieces after a text.
        pad: Id of the padding piece.
        unknown: Id of the unknown piece.
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
        self._cached_pieces = lru_cache(maxsize=100_000)(self._encode_word)

    def __reduce__(self) -> tuple[type[Pieces], tuple[Tokenizer]]:
        """Pickle only the tokenizer, without the cache of words."""
        return Pieces, (self.tokenizer,)

    def of(self, words: Iterable[str]) -> list[tuple[int, ...]]:
        """Return the pieces of each word: at least one per word."""
        return [self._cached_pieces(word) for word in words]

    def of_text(self, text: str) -> list[int]:
        """Return the pieces of running text, without special pieces."""
        return self._encode(text)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._encode(word)[:_MAX_PIECES]) or (self.unknown,)

    def _encode(self, text: str) -> list[int]:
        """Return the pieces of a text. Lone surrogates, which tokenizers reject, become U+FFFD."""
        valid = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids = self.tokenizer.encode(self._prefix + valid, add_special_tokens=False).ids
        return [self.unknown if id_ in self._special else id_ for id_ in ids]

    def _needs_space(self) -> bool:
        """Return True for byte-level BPE, which marks the start of a word by the space before it."""
        unspaced = self.tokenizer.encode("word", add_special_tokens=False).tokens
        spaced = self.tokenizer.encode(" word", add_special_tokens=False).tokens
        return bool(unspaced and spaced) and unspaced != spaced and spaced[0].startswith("Ġ")

    def _special_pieces(self) -> tuple[list[int], list[int], list[int]]:
        """Return the special pieces before, between and after two texts."""
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
