"""Similar texts and shared images: the search is complete and fast."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from cotpd.core.overlap import comparable_words, jaccard, shared_images, shingles, similar_texts
from cotpd.core.records import Example

_WORDS = st.lists(st.sampled_from("abcd"), max_size=6).map(tuple)
_POSTS = st.lists(_WORDS.map(lambda words: Example("x", words)), max_size=8)


def post(text: str, image_id: str | None = None) -> Example:
    return Example("x", tuple(text.split()), image_id=image_id)


@settings(max_examples=40)
@given(_POSTS, _POSTS, st.floats(min_value=0.05, max_value=1.0))
def test_filters_miss_no_similar_pair(first: list[Example], second: list[Example], threshold: float) -> None:
    """A prefix that is one member too short would lose pairs exactly at the threshold."""
    nearest = [max((jaccard(shingles(a), shingles(b)) for a in first), default=0.0) for b in second]
    expected = {number: score for number, score in enumerate(nearest) if score >= threshold}
    found = similar_texts(first, second, threshold=threshold)
    assert {pair.second: pair.similarity for pair in found} == expected
    assert all(jaccard(shingles(first[pair.first]), shingles(second[pair.second])) == pair.similarity for pair in found)


def test_case_punctuation_links_and_width_are_ignored() -> None:
    [pair] = similar_texts(
        [post("RT : Ｌｏｏｋ at THIS ! https://t.co/a1b2")], [post("rt look at this https://t.co/zzz")]
    )
    assert pair.similarity == 1.0


def test_texts_without_letters_are_compared_by_their_symbols() -> None:
    assert comparable_words("😂 😂 !") == ["😂", "😂", "!"]
    assert [pair.first for pair in similar_texts([post("😂 😂 !"), post("🎉 ?")], [post("🎉 ?")])] == [1]
    assert similar_texts([Example("x", ())], [Example("x", ())]) == []


def test_same_sentence_with_another_name_is_similar() -> None:
    frame = "so happy that {} came to our school today and sang for every one of the children".format
    [pair] = similar_texts([post("nothing like it"), post(frame("Anna"))], [post(frame("Bert"))])
    assert (pair.first, pair.second) == (1, 0)
    assert 0.5 <= pair.similarity < 1.0


def test_missing_image_is_never_shared() -> None:
    first = [post("a"), post("b", "1"), post("c", "1")]
    assert shared_images(first, [post("d"), post("e", "2"), post("f", "1")]) == [(1, 2)]


def test_thousands_of_posts_take_seconds_even_if_all_are_equal() -> None:
    """Comparing all pairs would take minutes."""
    posts = [post(f"the {n % 977} quick {n % 13} brown fox {n} jumps over {n % 101} lazy dogs") for n in range(3000)]
    started = time.perf_counter()
    assert len(similar_texts(posts, posts)) == len(posts)
    assert len(similar_texts([post("lol ok then")] * 3000, [post("lol ok then")] * 3000)) == 3000
    assert time.perf_counter() - started < 15
