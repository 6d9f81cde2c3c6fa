"""Read the reason of an error from a response body, in the many shapes that servers use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_KEYS = ("error", "errors", "message", "msg", "detail", "error_message", "error_description", "reason", "title")
"""Keys that hold the reason, or an object or a list that holds it, the most specific first."""
_MAX_DEPTH = 6
_MAX_REASONS = 5
_MAX_HTML = 10_000
_TITLE = re.compile(r"<(title|h1)\b[^<>]*>([^<]+)", re.IGNORECASE)
_TAG = re.compile("<[^<>]*>")


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says about an error.

    Attributes:
        message: The reason as one text.
        codes: The values of ``type`` and ``code``.
        status: The number of an HTTP status in ``code``; None if there is none.
        seconds: Seconds until the server is ready, as some servers estimate them; None if it names none.
    """

    message: str
    codes: frozenset[str] = frozenset()
    status: int | None = None
    seconds: float | None = None


def error_in_object(body: object) -> ServerError | None:
    """Return the error in a parsed JSON body; None if the body names none.

    Known shapes are ``{"error": {"message": ...}}``, ``{"error": "..."}``, ``{"message": ...}``,
    ``{"detail": "..."}``, ``{"detail": [{"loc": [...], "msg": ...}]}``, ``{"errors": [...]}``, a list of these, and a
    plain string.
    """
    reasons = list(_reasons(body, _MAX_DEPTH))[:_MAX_REASONS]
    if not reasons:
        return None
    details = _innermost(body)
    codes = frozenset(str(details[name]) for name in ("type", "code") if isinstance(details.get(name), str | int))
    parameter = details.get("param")
    message = "; ".join(dict.fromkeys(reasons))
    if isinstance(parameter, str) and parameter and parameter not in message:
        message += f" (parameter: {parameter})"
    statuses = [int(code) for code in codes if re.fullmatch("[45][0-9][0-9]", code)]
    return ServerError(message, codes, next(iter(statuses), None), _seconds(body))


def error_in_text(content: bytes) -> str:
    """Return the reason in a body that is not JSON: the title of an HTML page, or the text; empty if there is none."""
    text = content[:_MAX_HTML].decode("utf-8", "replace").lstrip("\ufeff")
    if text.lstrip().startswith("<") and (titles := _TITLE.findall(text)):
        return "; ".join(dict.fromkeys(" ".join(title.split()) for _, title in titles))
    return " ".join(_TAG.sub(" ", text).split())


def _reasons(value: object, depth: int) -> Iterator[str]:
    """Yield the texts of the reasons in a value."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list) and depth:
        for each in value[:_MAX_REASONS]:
            yield from _reasons(each, depth - 1)
    elif isinstance(value, dict) and depth:
        place = ".".join(map(str, value["loc"])) if isinstance(value.get("loc"), list) else ""
        for key in _KEYS:
            if reasons := list(_reasons(value.get(key), depth - 1)):
                yield from (f"{place}: {reason}" if place else reason for reason in reasons)
                return
        if depth < _MAX_DEPTH and (name := value.get("code") or value.get("type")):
            yield str(name)


def _innermost(body: object) -> dict[str, object]:
    """Return the object that holds ``type``, ``code`` and ``param``."""
    while isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    inner = body.get("error", body.get("detail"))
    while isinstance(inner, list) and inner:
        inner = inner[0]
    return inner if isinstance(inner, dict) else body


def _seconds(body: object) -> float | None:
    """Return the ``estimated_time`` of Hugging Face."""
    seconds = body.get("estimated_time") if isinstance(body, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e6 else None
