"""`cotpd demo` prints the scores of both runs, and suggests commands that work."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cotpd.corpus.corpus import Corpus

Cotpd = Callable[..., Any]


@pytest.fixture(autouse=True)
def _few_examples(monkeypatch: pytest.MonkeyPatch, sample: Corpus) -> None:
    """Let the demonstration read a few examples of the sample, all with entities and relations."""
    train, dev, test = ([each for each in split if each.relations] for split in (sample.train, sample.dev, sample.test))
    few = replace(sample, train=tuple(train[:24]), dev=tuple(dev[:8]), test=tuple(test[:8]))
    monkeypatch.setattr(Corpus, "sample", lambda: few)


@pytest.mark.slow
def test_the_demonstration_of_relations_suggests_commands_that_work(
    tiny_encoder: Path, tmp_path: Path, cotpd: Cotpd
) -> None:
    arguments = ("demo", "--task", "relations", "--encoder", tiny_encoder, "--out", tmp_path / "demo", "--epochs", 1)
    outcome = cotpd(*arguments)
    assert outcome.code == 0, outcome.err
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"relations-text", "relations-cotpd"}
    for part in ("Relations of 8 test examples", "CoTPD, prompt-enhanced view (text only)", "paired", "Portugal"):
        assert part in outcome.out
    suggested = [shlex.split(line) for line in outcome.out.splitlines() if line.startswith("  cotpd ")]
    assert [words[1] for words in suggested] == ["demo", "show", "evaluate", "evaluate"]
    for words in suggested[1:3]:
        assert cotpd(*words[1:]).code == 0
    assert cotpd(*arguments).out.count("already trained") == 2
