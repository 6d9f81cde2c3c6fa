"""Tokenisation of raw text into words, following the tokenisation of the published corpora.

White space separates words and is dropped. Otherwise a word is the first alternative that matches:

    fine     as in Twitter-2017: ``# MUFC``, ``@ jk_rowling``, ``it ' s``, ``5 th``, ``10,000``, ``same - sex``
        a link · an emoticon ``:) ;-( :D :/`` · a number with commas and decimals · a run of letters, digits and
        underscores that starts with a letter, with combining marks · any single character (emoji by code point)
    coarse   as in Twitter-2015: ``#MUFC``, ``@jk _ rowling``, ``it ' s``, ``5th``, ``10 , 000``, ``same-sex``, ``w/o``
        a link · a run of emoji · a run of letters, digits, combining marks and ``#@&*/…-`` · any single character
    characters  for scripts without spaces between words: ``北 京 大 学``, ``กี ฬ า``
        as fine, but each letter of such a script is a word of its own, with its combining marks and subscripts

Splitting words that were joined by spaces returns the same words, except for rare words that the corpus itself split
differently.
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
    """A tokenisation rule.

    Attributes:
        FINE: Split off every punctuation mark.
        COARSE: Keep hashtags, user names and compounds whole.
        CHARACTERS: Split off every punctuation mark, and every letter of a script without spaces.
    """

    FINE = "fine"
    COARSE = "coarse"
    CHARACTERS = "characters"


class Word(NamedTuple):
    """A word with its character offsets ``[start, end)`` in the text, in code points."""

    text: str
    start: int
    end: int


def split_words(text: str, rule: Rule = Rule.FINE) -> list[Word]:
    """Split a text into words with offsets. Only white space is dropped, and the time is linear."""
    return [Word(match[0], *match.span()) for match in _pattern(rule).finditer(text)]


def rule_of_text(text: str) -> Rule:
    """Return `Rule.CHARACTERS` for a text mostly in scripts without spaces, else `Rule.FINE`."""
    return Rule.CHARACTERS if _is_unspaced([text]) else Rule.FINE


def best_rule(examples: Iterable[Example]) -> Rule:
    """Return the rule that recovers the most words of the examples; `Rule.FINE` if there are no words.

    Each text is tried joined by spaces, which reveals words that a rule splits too much, and as a person would type
    it, which reveals words that a rule does not split. If the texts are mostly in scripts without spaces, the rule is
    `Rule.CHARACTERS`, because no other rule finds a word in the texts that people type.
    """
    examples = list(examples)
    if _is_unspaced(example.text for example in examples):
        return Rule.CHARACTERS
    rules = (Rule.FINE, Rule.COARSE)
    num_correct = dict.fromkeys(rules, 0)
    for example in examples:
        for text in (example.text, as_typed(example.words)):
            gold = _word_offsets(example.words, text)
            for rule in rules:
                num_correct[rule] += len(gold.intersection((start, end) for _, start, end in split_words(text, rule)))
    return max(rules, key=num_correct.__getitem__)


def as_typed(words: Iterable[str]) -> str:
    """Join words the way a person would type them, for example without a space before a comma or after ``#``."""
    text = " ".join(words)
    for pattern, replacement in _TYPED:
        text = re.sub(pattern, replacement, text)
    return _unspaced_pattern().sub("", text) if _is_unspaced([text]) else text


_TYPED = (
    (r" ([.,!?:;)\]%…])", r"\1"),
    (r"([#@(\[$]) ", r"\1"),
    (r"(\w) (['’]) (\w)", r"\1\2\3"),
    (r"(\d) (st|nd|rd|th|am|pm)\b", r"\1\2"),
)
_LINK = r"https?:(?:\S*[^\s.,;:!?)\]}'\"’”])?"
_PLAIN_LINK = r"https?:(?:[!-~]*[A-Za-z0-9/])?"
_EMOTICON = r"[:;]-?[()DOP/](?!\w)"
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_JOINER = r"[\u200c\u200d](?=\w)"
_SYMBOLS = r"\u2190-\u2bff\ufe0e\ufe0f\U0001f000-\U0001faff"
_EMOJI = rf"[{_SYMBOLS}][{_SYMBOLS}\u200d\u20e3\U000e0020-\U000e007f]*"


_UNSPACED = (
    "\u0e01-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17d3\u17dc\u1950-\u19df\u1a20-\u1a7f"  # Thai to Tai Tham
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3035\u3038-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9fe\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9d"  # Han, Myanmar, half-width kana
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
"""The letters and marks of scripts that put no spaces between words, as the inside of a character class."""
_ATTACHED = "\u0e33\u0eb3\uff9e\uff9f"
"""Letters that belong to the letter before them: vowels of Thai and Lao, half-width voicing marks of Japanese."""
_STACKERS = "\u1039\u17d2\u1a60"
"""Marks of Myanmar, Khmer and Tai Tham that put the next letter below the one before them."""


@cache
def _unspaced_pattern() -> re.Pattern[str]:
    """Match a space between two letters of scripts without spaces."""
    return re.compile(rf"(?<=[{_UNSPACED}{_ATTACHED}]) (?=[{_UNSPACED}])")


def _is_unspaced(texts: Iterable[str]) -> bool:
    """Return True if texts have more letters of scripts without spaces than words of other scripts, except links."""
    num_letters = num_words = 0
    for text in texts:
        plain = re.sub(_PLAIN_LINK, " ", text)
        num_letters += 0 if text.isascii() else len(re.findall(f"[{_UNSPACED}]", plain))
        num_words += len(re.findall(rf"(?:(?![{_UNSPACED}])[^\W\d_])+", plain))
    return num_letters > num_words


@cache
def _pattern(rule: Rule) -> re.Pattern[str]:
    marks = _combining_marks()
    if rule is Rule.FINE:
        return re.compile(rf"{_LINK}|{_EMOTICON}|{_NUMBER}|[^\W\d](?:[\w{marks}]|{_JOINER})*|\S")
    if rule is Rule.CHARACTERS:
        cluster = rf"[{_UNSPACED}](?:[{_STACKERS}][{_UNSPACED}]|[{marks}{_ATTACHED}]|[\u200c\u200d](?=[{_UNSPACED}]))*+"
        other = rf"(?![{_UNSPACED}])(?:[\w{marks}]|{_JOINER})"
        return re.compile(rf"{_PLAIN_LINK}|{_EMOTICON}|{_NUMBER}|{cluster}|(?=[^\W\d])(?:{other})+|\S")
    return re.compile(rf"{_LINK}|{_EMOJI}|(?:[^\W_]|[#@&*/…{marks}-]|{_JOINER})+|\S")


def _combining_marks() -> str:
    """Return all combining marks as the inside of a character class, since ``\\w`` of `re` does not match them."""
    codes = chain(range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    marks = [code for code in codes if unicodedata.category(chr(code)).startswith("M")]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(marks), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)


def _word_offsets(words: Iterable[str], text: str) -> set[tuple[int, int]]:
    """Return the offsets of each word in a text that differs from the words in its spaces only.

    A word with a space in it may be missing from a typed text.
    """
    places = [place for place, character in enumerate(text) if character != " "]
    offsets, first = set(), 0
    for word in words:
        if length := len(word.replace(" ", "")):
            start, end = places[first], places[first + length - 1] + 1
            first += length
            if text[start:end] == word:
                offsets.add((start, end))
    return offsets
