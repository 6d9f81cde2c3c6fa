"""`cotpd demo` of relations: from the sample to a compared student whose next commands work."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cotpd = Callable[..., Any]


def test_relations_are_learnt_compared_and_extracted(tiny_encoder: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    arguments = ("demo", "--task", "relations", "--encoder", tiny_encoder, "--out", tmp_path / "demo", "--epochs", 1)
    outcome = cotpd(*arguments)
    assert outcome.code == 0, outcome.err
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"relations-text", "relations-cotpd"}
    for part in ("Relations of 106 test posts", "CoTPD, prompt-enhanced view (text only)", "paired", "Portugal"):
        assert part in outcome.out
    proposed = [shlex.split(line) for line in outcome.out.splitlines() if line.startswith("  cotpd ")]
    assert [words[1] for words in proposed] == ["demo", "show", "evaluate", "evaluate"]
    for words in proposed[1:3]:
        assert cotpd(*words[1:]).code == 0
    again = cotpd(*arguments)
    assert again.out.count("trained already") == 2
