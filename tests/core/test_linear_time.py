"""Hostile input takes linear time: eight times the input takes about eight times as long, and not 64 times."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from time import thread_time

import pytest

from cotpd.core.errors import DataError
from cotpd.core.overlap import comparable_words
from cotpd.core.pairs import group_by_post
from cotpd.core.records import Example, Relation, Span
from cotpd.core.splitting import best_rule
from cotpd.corpus.formats.mnre import parse
from cotpd.testing.fake_server import deterministic_reply


def group_equal_posts(size: int) -> None:
    """Merge lines of one post, each with its own relation, as MNRE has them."""
    relations = [Relation(Span(0, 1), Span(1, 2), str(number)) for number in range(size)]
    group_by_post(Example(each.label, ("a", "b"), relations=(each,)) for each in relations)


INPUTS: dict[str, tuple[Callable[[int], object], int]] = {
    "combining marks that are not in order": (lambda size: comparable_words("\u0315\u0300" * size), 6_000),
    "words that typing changes": (lambda size: best_rule([Example("a", ("x .y",) * size)]), 2_000),
    "many lines about one post": (group_equal_posts, 400),
    "a string that does not end": (lambda size: parse("['" + "\\'" * size + "\\"), 3_000),
    "a question with many openings": (
        lambda size: deterministic_reply(1, {"messages": [{"content": "<post>\n" * size + "<post" * size}]}),
        4_000,
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_input_takes_linear_time(name: str) -> None:
    read, size = INPUTS[name]
    seconds(read, 1)  # builds what later calls reuse
    assert seconds(read, 8 * size) < 32 * max(seconds(read, size), 0.003)


def seconds(read: Callable[[int], object], size: int) -> float:
    """Return the seconds of processor time, which other processes do not change."""
    gc.collect()
    gc.disable()  # its time depends on all objects of the process
    began = thread_time()
    with suppress(DataError):
        read(size)
    gc.enable()
    return thread_time() - began
