"""Tokenisation: exact offsets in any text, the words of the corpora, and linear time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.records import Example
from cotpd.core.splitting import Rule, as_typed, best_rule, rule_of_text, split_words

ANY_TEXT = st.text(
    st.characters() | st.sampled_from("\u200d\ufe0f\u0301\u2028\x85\xa0\u200f\u200b\ud83d\udc4d👩🚀 #@'1a,.:/")
)


def words(text: str, rule: Rule) -> list[str]:
    return [word.text for word in split_words(text, rule)]


@settings(max_examples=40)
@given(ANY_TEXT, st.sampled_from(Rule))
def test_offsets_are_exact_and_only_white_space_is_dropped(text: str, rule: Rule) -> None:
    found, end = split_words(text, rule), 0
    for word in found:
        assert word.text == text[word.start : word.end]
        assert text[end : word.start].strip() == ""
        assert not any(character.isspace() for character in word.text)
        end = word.end
    assert text[end:].strip() == ""


@settings(max_examples=40)
@given(ANY_TEXT, st.sampled_from(Rule))
def test_space_is_always_a_boundary(text: str, rule: Rule) -> None:
    found = words(text, rule)
    again = split_words(" ".join(found), rule)
    starts = {word.start for word in again}
    place = 0
    for word in found:
        assert place in starts
        place += len(word) + 1


def test_text_is_split_like_the_corpora() -> None:
    for text, fine, coarse in (
        ("it's #Glastonbury!!", "it ' s # Glastonbury ! !", "it ' s #Glastonbury ! !"),
        ("RT @jk_rowling: wow…", "RT @ jk_rowling : wow …", "RT @jk _ rowling : wow…"),
        ("5th of May 21, 2016", "5 th of May 21, 2016", "5th of May 21 , 2016"),
        ("$10,000 or 2.50%", "$ 10,000 or 2.50 %", "$ 10 , 000 or 2 . 50 %"),
        ("all-time w/o 3-1", "all - time w / o 3 - 1", "all-time w/o 3-1"),
        ("see (http://t.co/aB1?x=2).", "see ( http://t.co/aB1?x=2 ) .", "see ( http://t.co/aB1?x=2 ) ."),
        ("yay :) :-(", "yay :) :-(", "yay : ) : - ("),
        ("Messi🔥🔥 wins", "Messi 🔥 🔥 wins", "Messi 🔥🔥 wins"),
        ("👩\u200d🚀 ⚾\ufe0f", "👩 \u200d 🚀 ⚾ \ufe0f", "👩\u200d🚀 ⚾\ufe0f"),
        ("Cafe\u0301 हिन्दी می\u200cخواهم", "Cafe\u0301 हिन्दी می\u200cخواهم", "Cafe\u0301 हिन्दी می\u200cخواهم"),
        ("a\u2028b\x85c\xa0d\u3000e", "a b c d e", "a b c d e"),
        ("\u200b\u202eHaifa\u202c", "\u200b \u202e Haifa \u202c", "\u200b \u202e Haifa \u202c"),
        ("\ud83d \ufffd\x00", "\ud83d \ufffd \x00", "\ud83d \ufffd \x00"),
        ("", "", ""),
    ):
        assert words(text, Rule.FINE) == fine.split(" ") if fine else words(text, Rule.FINE) == [], text
        assert words(text, Rule.COARSE) == coarse.split(" ") if coarse else words(text, Rule.COARSE) == [], text


def test_time_is_linear_in_the_length_of_the_text() -> None:
    """With backtracking, any of these texts would take seconds to minutes."""
    units = ("http:,", "http:", "a", "1,", "#", "e\u0301", "👩\u200d", "a\u200c", ":-(", " ", "1.", "\ud83d")
    for rule in Rule:
        split_words("compile the pattern", rule)
        for unit in units:
            before = time.process_time()
            split_words((unit * 10_000)[:10_000], rule)
            assert time.process_time() - before < 1, f"{rule}: {unit!r}"


@pytest.mark.parametrize(
    ("name", "rule", "share"), [("twitter2017", Rule.FINE, 0.998), ("twitter2015", Rule.COARSE, 0.97)]
)
def test_words_of_the_corpora_are_recovered(shared: Path, name: str, rule: Rule, share: float) -> None:
    posts = read_posts(shared / name / "valid.txt")
    whole = [words(" ".join(post), rule) == list(post) for post in posts]
    assert len(posts) > 700
    assert sum(whole) / len(whole) >= share
    assert best_rule(Example(str(number), post) for number, post in enumerate(posts)) is rule


def test_best_rule_follows_the_corpus() -> None:
    fine = Example("1", ("#", "MUFC", "wins", "3", "-", "1", "at", "@", "jk_rowling", "'", "s"))
    coarse = Example("2", ("#MUFC", "wins", "3-1", "at", "@jk", "_", "rowling", "'", "s"))
    assert best_rule([fine]) is Rule.FINE
    assert best_rule([coarse]) is Rule.COARSE
    assert best_rule([]) is Rule.FINE
    assert best_rule([Example("3", ("New York ,", "", "\xa0"))]) is Rule.FINE


def test_typed_text_has_no_spaces_before_punctuation() -> None:
    assert as_typed(["It", "'", "s", "#", "May", "5", "th", ",", "(", "hot", ")", "!"]) == "It's #May 5th, (hot)!"


def read_posts(path: Path) -> list[tuple[str, ...]]:
    blocks = path.read_text(encoding="utf-8").split("IMGID:")[1:]
    return [tuple(line.split("\t")[0] for line in block.split("\n")[1:] if line) for block in blocks]


UNSPACED = (
    ("我爱北京2024年!", "我 爱 北 京 2024 年 !"),
    ("東京でコンサート、ライブ", "東 京 で コ ン サ ー ト 、 ラ イ ブ"),
    ("か\u3099くせい", "か\u3099 く せ い"),
    ("ｶﾞｸｾｲ", "ｶﾞ ｸ ｾ ｲ"),
    ("กีฬาที่น้ำตก", "กี ฬ า ที่ น้ำ ต ก"),
    ("ພາສາລາວ", "ພ າ ສ າ ລ າ ວ"),
    ("ភ្នំពេញ", "ភ្នំ ពេ ញ"),
    ("မန္တလေး", "မ န္တ လေး"),
    ("看 Messi 和@Leo_10在https://t.co/aB1好", "看 Messi 和 @ Leo_10 在 https://t.co/aB1 好"),
    ("𠮷野家👍🏽", "𠮷 野 家 👍 🏽"),
)


def test_scripts_without_spaces_are_split_into_letters_with_their_marks() -> None:
    for text, expected in UNSPACED:
        assert words(text, Rule.CHARACTERS) == expected.split(" "), text
        assert rule_of_text(text) is Rule.CHARACTERS, text
        for word in split_words(text, Rule.CHARACTERS):
            assert text[word.start : word.end] == word.text


def test_rule_of_a_corpus_follows_its_script() -> None:
    for text, expected in UNSPACED:
        assert best_rule([Example("a", tuple(expected.split(" ")))]) is Rule.CHARACTERS, text
        assert as_typed(["北", "京", "大", "学", "Messi"]) == "北京大学 Messi"
    english = [Example("a", ("I", "love", "Tokyo", "(", "東京", ")"))]
    assert best_rule(english) is Rule.FINE
    assert rule_of_text("한국어 문장은 띄어 씁니다") is Rule.FINE
    assert rule_of_text("") is Rule.FINE


@settings(max_examples=60)
@given(st.text(st.characters(max_codepoint=0x24F)))
def test_text_of_other_scripts_is_split_as_before(text: str) -> None:
    """Only links differ: in scripts without spaces, a link ends before the next letter."""
    if "http" not in text:
        assert words(text, Rule.CHARACTERS) == words(text, Rule.FINE)
