"""A chat completion as servers send it, checked and read as an `Answer`."""

from __future__ import annotations

from typing import Any

from cotpd.core.errors import LanguageModelError
from cotpd.llm.language_model import Answer

_TOO_LONG = frozenset({"exceed_context_size_error", "context_length_exceeded"})


def read_completion(body: object, *, model: str) -> Answer:
    """The answer in a ``chat.completion`` object; a question too long for the context is an answer ``too_long``.

    Raises `LanguageModelError` for anything else: an error object, no choices, a message that is no text.
    """
    if not isinstance(body, dict):
        raise _odd(model, f"a JSON object was expected, found {type(body).__name__}")
    if body.get("error"):
        return _read_error(body["error"], model)
    choice = _first_choice(body, model)
    text = choice["message"].get("content")
    if text is not None and not isinstance(text, str):
        raise _odd(model, f"the message is no text but {type(text).__name__}")
    return Answer(
        text or "",
        finish_reason=_text(choice.get("finish_reason")),
        prompt_tokens=_count(body.get("usage"), "prompt_tokens"),
        completion_tokens=_count(body.get("usage"), "completion_tokens"),
        model=_text(body.get("model")) or model,
    )


def _read_error(error: object, model: str) -> Answer:
    if isinstance(error, dict) and _TOO_LONG & {_text(error.get("type")), _text(error.get("code"))}:
        return Answer("", finish_reason="too_long", model=model)
    message = error.get("message") if isinstance(error, dict) else error
    raise LanguageModelError(f"{model} answered with an error: {str(message)[:200]}")


def _first_choice(body: dict[str, Any], model: str) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _odd(model, "it holds no choices")
    if not isinstance(choices[0], dict) or not isinstance(choices[0].get("message"), dict):
        raise _odd(model, "its first choice holds no message")
    return choices[0]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(usage: object, key: str) -> int:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0


def _odd(model: str, what: str) -> LanguageModelError:
    return LanguageModelError(f"{model} sent no chat completion: {what}; check the endpoint and the model's name")
