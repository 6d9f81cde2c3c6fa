"""Raw text to words and back to characters: the rules by which the corpora's posts were split.

What is between words is white space and nothing else. A word is the first of these that fits:

    fine     as Twitter-2017: ``# MUFC``, ``@ jk_rowling``, ``it ' s``, ``5 th``, ``10,000``, ``same - sex``
        a link · an emoticon ``:) ;-( :D :/`` · a number with its commas and decimals · a run of letters, digits and
        underscores that begins with no digit, with its combining marks · any single character (so emoji by code point)
    coarse   as Twitter-2015: ``#MUFC``, ``@jk _ rowling``, ``it ' s``, ``5th``, ``10 , 000``, ``same-sex``, ``w/o``
        a link · a run of emoji · a run of letters, digits, combining marks and ``#@&*/…-`` · any single character

Both leave words joined by spaces as they are, but for the rare word that its corpus split otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from itertools import chain, groupby
from typing import NamedTuple

from cotpd.core.records import Example


class Rule(StrEnum):
    """How text is split: ``fine`` (every punctuation mark apart) or ``coarse`` (tags, names and compounds whole)."""

    FINE = "fine"
    COARSE = "coarse"


class Word(NamedTuple):
    """A word and its characters ``[start, end)`` in the text, counted in code points."""

    text: str
    start: int
    end: int


def split_words(text: str, rule: Rule = Rule.FINE) -> list[Word]:
    """The words of a text, in order, with their offsets; no character but white space is left out. Linear in time."""
    return [Word(match[0], *match.span()) for match in _pattern(rule).finditer(text)]


def best_rule(examples: Iterable[Example]) -> Rule:
    """The rule that finds the most of a corpus's words in its posts, as joined by spaces and as people type them.

    Joined posts show what a rule divides too much, typed ones what it leaves whole. Without words: ``fine``.
    """
    num_found = dict.fromkeys(Rule, 0)
    for example in examples:
        for text in (example.text, as_typed(example.words)):
            gold = _places(example.words, text)
            for rule in Rule:
                num_found[rule] += len(gold.intersection((start, end) for _, start, end in split_words(text, rule)))
    return max(Rule, key=num_found.__getitem__)


def as_typed(words: Iterable[str]) -> str:
    """A guess at how a person types the words of a post: no space before a comma, none behind ``#``, and so on."""
    text = " ".join(words)
    for pattern, replacement in _TYPED:
        text = re.sub(pattern, replacement, text)
    return text


_TYPED = (
    (r" ([.,!?:;)\]%…])", r"\1"),
    (r"([#@(\[$]) ", r"\1"),
    (r"(\w) (['’]) (\w)", r"\1\2\3"),
    (r"(\d) (st|nd|rd|th|am|pm)\b", r"\1\2"),
)
_LINK = r"https?:(?:\S*[^\s.,;:!?)\]}'\"’”])?"
_EMOTICON = r"[:;]-?[()DOP/](?!\w)"
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_JOINER = r"[\u200c\u200d](?=\w)"
_SYMBOLS = r"\u2190-\u2bff\ufe0e\ufe0f\U0001f000-\U0001faff"
_EMOJI = rf"[{_SYMBOLS}][{_SYMBOLS}\u200d\u20e3\U000e0020-\U000e007f]*"


@cache
def _pattern(rule: Rule) -> re.Pattern[str]:
    marks = _combining_marks()
    if rule is Rule.FINE:
        return re.compile(rf"{_LINK}|{_EMOTICON}|{_NUMBER}|[^\W\d](?:[\w{marks}]|{_JOINER})*|\S")
    return re.compile(rf"{_LINK}|{_EMOJI}|(?:[^\W_]|[#@&*/…{marks}-]|{_JOINER})+|\S")


def _combining_marks() -> str:
    """Every combining mark, as the inside of a character class: the ``\\w`` of `re` leaves them out."""
    codes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    marks = [code for code in codes if unicodedata.category(chr(code)).startswith("M")]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)


def _places(words: Iterable[str], text: str) -> set[tuple[int, int]]:
    """Where each word stands in the text; one that holds a space may have become another in a typed text."""
    places, end = set(), 0
    for word in words:
        if (start := text.find(word, end)) >= 0:
            end = start + len(word)
            places.add((start, end))
    return places
