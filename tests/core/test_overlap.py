"""Posts that sets share are all found, quickly."""

import time

from hypothesis import given
from hypothesis import strategies as st

from cotpd.core.overlap import comparable_words, jaccard, shared_images, shingles, similar_texts
from cotpd.core.records import Example

_WORDS = st.lists(st.sampled_from("abcd"), max_size=6).map(tuple)
_POSTS = st.lists(_WORDS.map(lambda words: Example("x", words)), max_size=8)


def post(text: str, image_id: str | None = None) -> Example:
    return Example("x", tuple(text.split()), image_id=image_id)


@given(_POSTS, _POSTS, st.floats(min_value=0.05, max_value=1.0))
def test_prefix_filtering_misses_nothing(first: list[Example], second: list[Example], threshold: float) -> None:
    """A filter that is a member too short loses pairs exactly at the threshold."""
    nearest = [max((jaccard(shingles(a), shingles(b)) for a in first), default=0.0) for b in second]
    expected = {number: score for number, score in enumerate(nearest) if score >= threshold}
    found = similar_texts(first, second, threshold=threshold)
    assert {pair.second: pair.similarity for pair in found} == expected
    assert all(jaccard(shingles(first[pair.first]), shingles(second[pair.second])) == pair.similarity for pair in found)


def test_texts_are_the_same_whatever_their_case_punctuation_links_and_width() -> None:
    [pair] = similar_texts(
        [post("RT : Ｌｏｏｋ at THIS ! https://t.co/a1b2")], [post("rt look at this https://t.co/zzz")]
    )
    assert pair.similarity == 1.0


def test_posts_without_letters_are_compared_by_their_signs() -> None:
    assert comparable_words("😂 😂 !") == ["😂", "😂", "!"]
    assert [pair.first for pair in similar_texts([post("😂 😂 !"), post("🎉 ?")], [post("🎉 ?")])] == [1]
    assert similar_texts([Example("x", ())], [Example("x", ())]) == []


def test_a_name_put_into_the_same_sentence_is_similar() -> None:
    frame = "so happy that {} came to our school today and sang for every one of the children".format
    [pair] = similar_texts([post("nothing like it"), post(frame("Anna"))], [post(frame("Bert"))])
    assert (pair.first, pair.second) == (1, 0)
    assert 0.5 <= pair.similarity < 1.0


def test_an_image_is_shared_only_where_there_is_one() -> None:
    first = [post("a"), post("b", "1"), post("c", "1")]
    assert shared_images(first, [post("d"), post("e", "2"), post("f", "1")]) == [(1, 2)]


def test_thousands_of_posts_take_seconds_even_when_all_are_the_same() -> None:
    """Comparing each with each would take minutes."""
    posts = [post(f"the {n % 977} quick {n % 13} brown fox {n} jumps over {n % 101} lazy dogs") for n in range(3000)]
    started = time.perf_counter()
    assert len(similar_texts(posts, posts)) == len(posts)
    assert len(similar_texts([post("lol ok then")] * 3000, [post("lol ok then")] * 3000)) == 3000
    assert time.perf_counter() - started < 15
