"""Parse the chat completion that a server sends into an `Answer`, or raise a classified `CallError`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer
from cotpd.llm.models.redaction import Redaction
from cotpd.llm.models.retry_after import wait_in_message
from cotpd.llm.models.server_error import ServerError, error_in_object, error_in_text

_TOO_LONG_CODES = {"exceed_context_size_error", "context_length_exceeded", "string_above_max_length"}
_FILTERED_CODES = {"content_filter", "content_policy_violation"}
_QUOTA_CODES = {
    "billing_hard_limit_reached",
    "billing_not_active",
    "credits_exhausted",
    "exceeded_current_quota_error",
    "insufficient_balance",
    "insufficient_funds",
    "insufficient_quota",
    "insufficient_user_quota",
    "quota_exhausted",
}
_BUSY_STATUS = {429, 503, 529}
_TRANSIENT_STATUS = {408, 409, 425}
_REFUSED_STATUS = {400, 413, 415, 418, 422, 451}
_LOADING_STATUS = {200, 425, 500, 502, 503, 529}
_LOADING = re.compile(
    r"\bloading\b|\bwarming up\b|\bnot (?:yet )?(?:ready|loaded)\b|\b(?:is|are) (?:still |currently )?"
    r"(?:starting|initiali[sz]ing|being (?:loaded|deployed|downloaded|scaled))\b|\bscal(?:ing|ed) (?:up|to zero)\b",
    re.IGNORECASE,
)
_NOT_LOADING = re.compile(
    r"\berror (?:while |when |in )?loading\b|\b(?:fail\w*|unable|could not|cannot|can't)\b.{0,30}\b(?:load|start)|"
    r"out of memory",
    re.IGNORECASE,
)
"""Marks a message about a model that will never be loaded."""
_MAX_TOKENS = 10**9
_MAX_NAME = 200
"""Characters that are kept of a model name of a server."""
_MAX_MESSAGE = 300
"""Characters that are kept of an error message of a server."""


@dataclass(frozen=True, slots=True)
class ResponseContext:
    """What is known about a response besides its body.

    Attributes:
        model: Name of the model, for messages.
        status: HTTP status.
        wait: Seconds that the headers ask to wait; None if they name no time.
        redact: Masks secrets, because some servers repeat them.
    """

    model: str
    status: int = 200
    wait: float | None = None
    redact: Callable[[str], str] = field(default_factory=Redaction)


def read_body(content: bytes, context: ResponseContext) -> Answer:
    """Parse the body of a response.

    Raises:
        CallError: If the body holds no answer.
    """
    content = content.rstrip().removesuffix(b"data: [DONE]")
    try:
        body = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        if context.status != 200:
            raise _failed(context, ServerError(error_in_text(content))) from None
        if content.startswith((b"data:", b"event:")):
            raise _malformed(context, 'the server streams it although the request says "stream": false') from None
        raise _malformed(context, "the body is not JSON; check that the address ends in /v1") from None
    if context.status != 200:
        return _read_error(error_in_object(body) or ServerError(""), context)
    return read_completion(body, context)


def read_completion(body: object, context: ResponseContext) -> Answer:
    """Parse a ``chat.completion`` object.

    A question that exceeds the context of the model gives an answer with the finish reason ``too_long``, and a filtered
    question one with ``content_filter``.

    Raises:
        CallError: For any other error object, for an incomplete answer, and for a malformed completion.
    """
    if not isinstance(body, dict):
        raise _malformed(context, f"expected a JSON object, got {type(body).__name__}", body)
    try:
        return _read_object(body, context)
    except CallError as error:
        error.spent = _billed_tokens(body, error)
        raise


def _read_object(body: dict[str, Any], context: ResponseContext) -> Answer:
    if body.get("error") or body.get("object") == "error":
        return _read_error(error_in_object(body) or ServerError("no reason is given"), context)
    choice = _first_choice(body, context)
    if choice.get("error") or choice.get("finish_reason") == "error":
        return _read_error(error_in_object(choice.get("error")) or ServerError("the answer is incomplete"), context)
    message = _message(choice, context)
    text = _message_text(message.get("content"), context)
    is_refusal = not text and bool(_string(message.get("refusal")))
    return Answer(
        context.redact(_replace_lone_surrogates(text or _string(message.get("refusal")))),
        finish_reason="refusal"
        if is_refusal
        else clean_server_text(context.redact(_string(choice.get("finish_reason")))),
        prompt_tokens=_count(body.get("usage"), "prompt_tokens"),
        completion_tokens=_count(body.get("usage"), "completion_tokens"),
        model=clean_server_text(context.redact(_string(body.get("model")))) or context.model,
    )


def clean_server_text(text: str, length: int = _MAX_NAME) -> str:
    """Return a text of a server on one line, cut at ``length`` characters, with U+FFFD for lone surrogates."""
    return _replace_lone_surrogates(" ".join(text.split())[:length])


def _read_error(error: ServerError, context: ResponseContext) -> Answer:
    for reason, known in (("too_long", _TOO_LONG_CODES), ("content_filter", _FILTERED_CODES)):
        if known & error.codes:
            return Answer("", finish_reason=reason, model=context.model)
    raise _failed(context, error)


def _failed(context: ResponseContext, error: ServerError) -> CallError:
    """Classify a failure by its codes, its message and its status. Status 200 is a transient failure."""
    status = error.status if context.status == 200 and error.status else context.status
    reason = clean_server_text(context.redact(error.message), _MAX_MESSAGE)
    text = f"{context.model} answered with "
    text += f"an error: {reason}" if reason else f"status {status}"
    if _QUOTA_CODES & error.codes:
        return CallError(f"{text}; top up the account, then run the command again", Fault.FATAL)
    if reason and context.status != 200 and str(status) not in reason:
        text += f" (status {status})"
    wait = context.wait
    if status in _LOADING_STATUS and _LOADING.search(reason) and not _NOT_LOADING.search(reason):
        return CallError(text, Fault.LOADING, retry_after=error.seconds if wait is None else wait)
    if status in _BUSY_STATUS:
        return CallError(text, Fault.BUSY, retry_after=wait_in_message(reason) if wait is None else wait)
    if status == 200 or status >= 500 or status in _TRANSIENT_STATUS:
        return CallError(text, Fault.TRANSIENT, retry_after=wait)
    if status in _REFUSED_STATUS:
        return CallError(text, Fault.REFUSED)
    return CallError(f"{text}; check the address, the API key, the account and the model name", Fault.FATAL)


def _first_choice(body: dict[str, Any], context: ResponseContext) -> dict[str, Any]:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _malformed(context, "it has no choices", body)
    if not isinstance(choices[0], dict):
        raise _malformed(context, "its first choice has no message")
    return choices[0]


def _message(choice: dict[str, Any], context: ResponseContext) -> dict[str, Any]:
    if not isinstance(choice.get("message"), dict):
        raise _malformed(context, "its first choice has no message")
    message: dict[str, Any] = choice["message"]
    return message


def _message_text(content: object, context: ResponseContext) -> str:
    """Return the text of a message, joined if a server sends it in parts. Parts with reasoning are omitted."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise _malformed(context, f"expected a message of type str, got {type(content).__name__}")
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


def _malformed(context: ResponseContext, what: str, body: object = None) -> CallError:
    """Return the error for a body that is not a completion, with the reason that it gives."""
    error = error_in_object(body)
    reason = clean_server_text(context.redact(error.message), _MAX_MESSAGE) if error else ""
    said = f" (the server says: {reason})" if reason else ""
    advice = "check the address and the model name"
    return CallError(
        f"{context.model} sent no valid chat completion: {what}{said}; {advice}", Fault.TRANSIENT, spent=(0, 0)
    )
