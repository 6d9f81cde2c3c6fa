"""The command that checks the environment."""

import json
from collections.abc import Callable
from typing import Any

Cotpd = Callable[..., Any]


def test_the_checks_are_printed_as_text_or_json(cotpd: Cotpd) -> None:
    text = cotpd("doctor")
    assert (text.code, text.err) == (0, "")
    assert "ok            Python: 3" in text.out
    values = json.loads(cotpd("doctor", "--json").out)
    assert values["is_broken"] is False
    assert {"name", "status", "detail", "advice"} == set(values["checks"][0])


def test_a_broken_environment_ends_with_exit_code_6(cotpd: Cotpd) -> None:
    outcome = cotpd("doctor", "--base-url", "http://127.0.0.1:9/v1")
    assert (outcome.code, outcome.err.count("\n")) == (6, 1)
    assert "error: to be repaired: language model" in outcome.err
    assert "broken        language model: 127.0.0.1: ConnectionRefusedError" in outcome.out
