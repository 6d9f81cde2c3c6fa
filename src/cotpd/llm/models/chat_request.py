"""Convert a `Request` to the JSON body of a chat completion, for endpoints, local engines and batch files."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from cotpd.llm.language_model import Image, Message, Request

_NEW_MAX_TOKENS = "max_completion_tokens"
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:be )?(?:support|permit|allow|accept)|deprecated|instead|extra|unexpected|unknown|"
    r"unrecogni|forbidden",
    re.IGNORECASE,
)
"""Marks an error message that rejects a parameter as such. A message that rejects only its value goes to the user."""
_NO_SYSTEM = re.compile(
    r"system (?:role|message|prompt|instruction)|developer (?:role|message|instruction)|roles must alternate",
    re.IGNORECASE,
)
_OPTIONAL = ("temperature", "top_p", "seed", "stream")
"""Parameters that are omitted if the endpoint refuses a request and names one of them."""
_NAMED = re.compile(r"\(parameter: ([^()\s]+)\)|\bbody\.(\w+)")
"""The place where an error message points to one parameter; see `server_error`."""


class Structure(Enum):
    """The strictest answer format that an endpoint supports."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    TEXT = "text"

    @property
    def looser(self) -> Structure:
        """The next format, which more endpoints support."""
        return Structure.OBJECT if self is Structure.SCHEMA else Structure.TEXT


@dataclass(frozen=True, slots=True)
class Dialect:
    """The request parameters that an endpoint accepts.

    Attributes:
        structure: The strictest answer format.
        max_tokens_name: Name of the parameter for the maximum number of tokens in an answer.
        omitted: Parameters that the endpoint does not accept.
        takes_system: Whether the endpoint accepts system messages. Otherwise they begin the next message.
    """

    structure: Structure = Structure.SCHEMA
    max_tokens_name: str = "max_tokens"
    omitted: frozenset[str] = frozenset()
    takes_system: bool = True

    def adapted_to(self, message: str, body: dict[str, Any]) -> Dialect:
        """Return a dialect without the parameter that an error message names; an equal one if it names none.

        Args:
            message: The error message with which the endpoint refused the request.
            body: The refused request.
        """
        if "response_format" in body and any(word in message for word in ("response_format", "json_", "schema")):
            return replace(self, structure=self.structure.looser)
        if "max_tokens" in body and _names("max_tokens", message) and _UNSUPPORTED.search(message):
            return replace(self, max_tokens_name=_NEW_MAX_TOKENS)
        if any(each["role"] == "system" for each in body["messages"]) and _NO_SYSTEM.search(message):
            return replace(self, takes_system=False)
        named = [name for name in _OPTIONAL if name in body and _names(name, message)]
        return replace(self, omitted=self.omitted | {min(named, key=message.lower().find)}) if named else self


def _names(name: str, message: str) -> bool:
    """Return True if a message names a parameter. If it points to a parameter, other words do not count."""
    pointed = {place for match in _NAMED.finditer(message) for place in match.groups() if place}
    pattern = rf"(?<!\w){name.replace('_', '[_-]?')}(?!\w)"
    return any(re.search(pattern, text, re.IGNORECASE) for text in pointed or [message])


_DEFAULT_DIALECT = Dialect()


def to_chat(request: Request, *, model: str, dialect: Dialect = _DEFAULT_DIALECT) -> dict[str, Any]:
    """Return the body of a chat completion. Images are loaded and embedded as base64."""
    parameters = {
        name: value
        for name, value in asdict(request.parameters).items()
        if value is not None and name not in dialect.omitted
    }
    parameters[dialect.max_tokens_name] = parameters.pop("max_tokens")
    messages = request.messages if dialect.takes_system else _without_system(request.messages)
    body = {"model": model, "messages": [_message(each) for each in messages], **parameters}
    if request.schema is None or dialect.structure is Structure.TEXT:
        return body
    if dialect.structure is Structure.OBJECT:
        return body | {"response_format": {"type": "json_object"}}
    schema = {"name": "answer", "schema": dict(request.schema), "strict": True}
    return body | {"response_format": {"type": "json_schema", "json_schema": schema}}


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """Put the text of each system message at the beginning of the message after it."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == "system":
            before = merged.pop()
            message = replace(message, content=f"{before.content}\n\n{message.content}")
        merged.append(message)
    return merged


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    images = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in message.images]
    return {"role": message.role, "content": [*images, {"type": "text", "text": message.content}]}


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.read()).decode()}"
