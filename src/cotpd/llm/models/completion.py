"""Parse the chat completion that a server sends into an `Answer`, or raise a classified `CallError`."""

from __future__ import annotations

import json
import re
from typing import Any

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer

_TOO_LONG_CODES = {"exceed_context_size_error", "context_length_exceeded", "string_above_max_length"}
_FILTERED_CODES = {"content_filter", "content_policy_violation"}
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
_BUSY_STATUS = {429, 503, 529}
_TRANSIENT_STATUS = {408, 409, 425}
_REFUSED_STATUS = {400, 413, 415, 418, 422, 451}
_MAX_TOKENS = 10**9
_ERROR_STATUS = re.compile("[45][0-9][0-9]")
_MAX_SERVER_TEXT = 200
"""Characters that are kept of a model name or an error message of a server."""


def read_body(content: bytes, *, model: str, status: int = 200, wait: float | None = None, secret: str = "") -> Answer:
    """Parse the body of a response.

    Args:
        content: The body as it was received.
        model: Name of the model, for messages.
        status: HTTP status of the response.
        wait: Seconds that the server asks to wait.
        secret: API key, which is masked in messages because some servers repeat it.

    Raises:
        CallError: If the body holds no answer.
    """
    try:
        body = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        if status != 200:
            raise _failed(f"{model} answered with status {status}", status, wait) from None
        raise _malformed(model, "the body is not JSON; does the address end in /v1?") from None
    if status != 200 and not (isinstance(body, dict) and body.get("error")):
        raise _failed(f"{model} answered with status {status}", status, wait)
    return read_completion(body, model=model, status=status, wait=wait, secret=secret)


def read_completion(
    body: object, *, model: str, status: int = 200, wait: float | None = None, secret: str = ""
) -> Answer:
    """Parse a ``chat.completion`` object; see `read_body` for the arguments.

    A question that exceeds the context of the model gives an answer with the finish reason ``too_long``, and a filtered
    question one with ``content_filter``.

    Raises:
        CallError: For any other error object, for an incomplete answer, and for a malformed completion.
    """
    if not isinstance(body, dict):
        raise _malformed(model, f"expected a JSON object, got {type(body).__name__}")
    try:
        return _read_object(body, model, status, wait, secret)
    except CallError as error:
        error.spent = _billed_tokens(body, error)
        raise


def _read_object(body: dict[str, Any], model: str, status: int, wait: float | None, secret: str) -> Answer:
    if body.get("error"):
        return _read_error(body["error"], model, status, wait, secret)
    choice = _first_choice(body, model)
    if choice.get("error") or choice.get("finish_reason") == "error":
        return _read_error(choice.get("error") or "the answer is incomplete", model, status, wait, secret)
    message = _message(choice, model)
    text = _message_text(message.get("content"), model)
    is_refusal = not text and bool(_string(message.get("refusal")))
    return Answer(
        _replace_lone_surrogates(text or _string(message.get("refusal"))),
        finish_reason="refusal" if is_refusal else _string(choice.get("finish_reason")),
        prompt_tokens=_count(body.get("usage"), "prompt_tokens"),
        completion_tokens=_count(body.get("usage"), "completion_tokens"),
        model=clean_server_text(_string(body.get("model"))) or model,
    )


def clean_server_text(text: str) -> str:
    """Return a text of a server on one line, cut at 200 characters, with U+FFFD for lone surrogates."""
    return _replace_lone_surrogates(" ".join(text.split())[:_MAX_SERVER_TEXT])


def _read_error(error: object, model: str, status: int, wait: float | None, secret: str) -> Answer:
    codes = {_string(error.get("type")), _string(error.get("code"))} if isinstance(error, dict) else set()
    for reason, known in (("too_long", _TOO_LONG_CODES), ("content_filter", _FILTERED_CODES)):
        if known & codes:
            return Answer("", finish_reason=reason, model=model)
    message = str(error.get("message") if isinstance(error, dict) else error)
    message = message.replace(secret, "***") if secret else message
    text = f"{model} answered with an error: {clean_server_text(message)}"
    if _QUOTA_CODES & codes:
        raise CallError(f"{text}; top up the account, then run the command again", Fault.FATAL)
    code = str(error.get("code")) if isinstance(error, dict) else ""
    raise _failed(text, int(code) if status == 200 and _ERROR_STATUS.fullmatch(code) else status, wait)


def _failed(message: str, status: int, wait: float | None) -> CallError:
    """Classify a failure by its status. Status 200 with an error object is a transient failure."""
    if status in _BUSY_STATUS:
        return CallError(message, Fault.BUSY, retry_after=wait)
    if status == 200 or status >= 500 or status in _TRANSIENT_STATUS:
        return CallError(message, Fault.TRANSIENT, retry_after=wait)
    if status in _REFUSED_STATUS:
        return CallError(message, Fault.REFUSED)
    suffix = "" if str(status) in message else f" (status {status})"
    return CallError(f"{message}{suffix}; check the address, the API key, the account and the model name", Fault.FATAL)


def _first_choice(body: dict[str, Any], model: str) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _malformed(model, "it has no choices")
    if not isinstance(choices[0], dict):
        raise _malformed(model, "its first choice has no message")
    return choices[0]


def _message(choice: dict[str, Any], model: str) -> dict[str, Any]:
    if not isinstance(choice.get("message"), dict):
        raise _malformed(model, "its first choice has no message")
    message: dict[str, Any] = choice["message"]
    return message


def _message_text(content: object, model: str) -> str:
    """Return the text of a message, joined if a server sends it in parts. Parts with reasoning are omitted."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise _malformed(model, f"expected a message of type str, got {type(content).__name__}")
    return "".join(_string(part.get("text")) for part in content if part.get("type") == "text")


def _replace_lone_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, with U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _billed_tokens(body: dict[str, Any], error: CallError) -> tuple[int, int] | None:
    """Return the tokens billed for a failed attempt; see `CallError.spent`.

    If the server reports no tokens, the attempt may be billed only if the model had begun to answer.
    """
    usage = body.get("usage")
    tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    is_reported_free = isinstance(usage, dict) and usage.get("prompt_tokens") == usage.get("completion_tokens") == 0
    is_unanswered = bool(body.get("error")) or error.fault is not Fault.TRANSIENT
    return None if not any(tokens) and (is_reported_free or is_unanswered) else tokens


def _count(usage: object, key: str) -> int:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value <= _MAX_TOKENS else 0


def _malformed(model: str, what: str) -> CallError:
    advice = "check the address and the model name"
    return CallError(f"{model} sent no valid chat completion: {what}; {advice}", Fault.TRANSIENT, spent=(0, 0))
