"""A chat completion as servers send it, checked and read as an `Answer`, or as the fault that it tells."""

from __future__ import annotations

import json
import re
from typing import Any

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer

_TOO_LONG = {"exceed_context_size_error", "context_length_exceeded", "string_above_max_length"}
_FILTERED = {"content_filter", "content_policy_violation"}
_SPENT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
_BUSY_STATUS = {429, 503, 529}
_BROKEN_STATUS = {408, 409, 425}
_REFUSED_STATUS = {400, 413, 415, 418, 422, 451}
_MOST_TOKENS = 10**9
_STATUS = re.compile("[45][0-9][0-9]")
_LONGEST_MESSAGE = 200
"""Letters of what a server says of itself: a name, or why it failed."""


def read_body(content: bytes, *, model: str, status: int = 200, wait: float | None = None, secret: str = "") -> Answer:
    """The answer in what a server sent. Raises `CallError`, in which the ``secret`` that a server repeats is masked.

    ``wait``: the seconds that it asks to wait.
    """
    try:
        body = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        if status != 200:
            raise _failed(f"{model} answered with status {status}", status, wait) from None
        raise _odd(model, "what it sent is no JSON; does the address end in /v1?") from None
    if status != 200 and not (isinstance(body, dict) and body.get("error")):
        raise _failed(f"{model} answered with status {status}", status, wait)
    return read_completion(body, model=model, status=status, wait=wait, secret=secret)


def read_completion(
    body: object, *, model: str, status: int = 200, wait: float | None = None, secret: str = ""
) -> Answer:
    """The answer in a ``chat.completion`` object.

    A question too long for the context is an answer ``too_long``, a filtered one ``content_filter``. Raises
    `CallError` for anything else: an error object, also in place of a whole answer, no choices, a message that is no
    text.
    """
    if not isinstance(body, dict):
        raise _odd(model, f"a JSON object was expected, found {type(body).__name__}")
    try:
        return _read_object(body, model, status, wait, secret)
    except CallError as error:
        error.spent = _spent(body, error)
        raise


def _read_object(body: dict[str, Any], model: str, status: int, wait: float | None, secret: str) -> Answer:
    if body.get("error"):
        return _read_error(body["error"], model, status, wait, secret)
    choice = _first_choice(body, model)
    if choice.get("error") or choice.get("finish_reason") == "error":
        return _read_error(choice.get("error") or "the answer broke off", model, status, wait, secret)
    message = _message(choice, model)
    text = _spoken(message.get("content"), model)
    refused = not text and bool(_text(message.get("refusal")))
    return Answer(
        _whole(text or _text(message.get("refusal"))),
        finish_reason="refusal" if refused else _text(choice.get("finish_reason")),
        prompt_tokens=_count(body.get("usage"), "prompt_tokens"),
        completion_tokens=_count(body.get("usage"), "completion_tokens"),
        model=told(_text(body.get("model"))) or model,
    )


def told(text: str) -> str:
    """What a server says of itself: on one line, not at length, and without halves of characters."""
    return _whole(" ".join(text.split())[:_LONGEST_MESSAGE])


def _read_error(error: object, model: str, status: int, wait: float | None, secret: str) -> Answer:
    marks = {_text(error.get("type")), _text(error.get("code"))} if isinstance(error, dict) else set()
    for reason, known in (("too_long", _TOO_LONG), ("content_filter", _FILTERED)):
        if known & marks:
            return Answer("", finish_reason=reason, model=model)
    message = str(error.get("message") if isinstance(error, dict) else error)
    message = message.replace(secret, "***") if secret else message
    what = f"{model} answered with an error: {told(message)}"
    if _SPENT & marks:
        raise CallError(f"{what}; fill up the account, then run again", Fault.FINAL)
    code = str(error.get("code")) if isinstance(error, dict) else ""
    raise _failed(what, int(code) if status == 200 and _STATUS.fullmatch(code) else status, wait)


def _failed(what: str, status: int, wait: float | None) -> CallError:
    """What a status means. A 200 that holds an error means that it failed this once."""
    if status in _BUSY_STATUS:
        return CallError(what, Fault.BUSY, retry_after=wait)
    if status == 200 or status >= 500 or status in _BROKEN_STATUS:
        return CallError(what, Fault.BROKEN, retry_after=wait)
    if status in _REFUSED_STATUS:
        return CallError(what, Fault.REFUSED)
    told = "" if str(status) in what else f" (status {status})"
    return CallError(f"{what}{told}; check the address, the key, the account and the model's name", Fault.FINAL)


def _first_choice(body: dict[str, Any], model: str) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _odd(model, "it holds no choices")
    if not isinstance(choices[0], dict):
        raise _odd(model, "its first choice holds no message")
    return choices[0]


def _message(choice: dict[str, Any], model: str) -> dict[str, Any]:
    if not isinstance(choice.get("message"), dict):
        raise _odd(model, "its first choice holds no message")
    message: dict[str, Any] = choice["message"]
    return message


def _spoken(content: object, model: str) -> str:
    """The text of a message, which some servers send in parts; thoughts among them are left out."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise _odd(model, f"the message is no text but {type(content).__name__}")
    return "".join(_text(part.get("text")) for part in content if part.get("type") == "text")


def _whole(text: str) -> str:
    """Halves of characters, which no file holds, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _spent(body: dict[str, Any], error: CallError) -> tuple[int, int] | None:
    """What a failed attempt is billed for: as the server tells, else perhaps something where it had begun to answer."""
    usage = body.get("usage")
    tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    is_told_free = isinstance(usage, dict) and usage.get("prompt_tokens") == usage.get("completion_tokens") == 0
    is_unread = bool(body.get("error")) or error.fault is not Fault.BROKEN
    return None if not any(tokens) and (is_told_free or is_unread) else tokens


def _count(usage: object, key: str) -> int:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0


def _odd(model: str, what: str) -> CallError:
    advice = "check the endpoint and the model's name"
    return CallError(f"{model} sent no chat completion: {what}; {advice}", Fault.BROKEN, spent=(0, 0))
