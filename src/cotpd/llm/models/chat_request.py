"""Convert a `Request` to the JSON body of a chat completion, for endpoints, local engines and batch files."""

from __future__ import annotations

import base64
import re
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from cotpd.llm.language_model import Image, Message, Request

_NEW_MAX_TOKENS = "max_completion_tokens"
_UNSUPPORTED = re.compile("unsupported|not support|deprecated|instead", re.IGNORECASE)
"""Marks an error message that rejects a parameter as such. A message that rejects only its value goes to the user."""


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
        takes_temperature: Whether the endpoint accepts a temperature.
    """

    structure: Structure = Structure.SCHEMA
    max_tokens_name: str = "max_tokens"
    takes_temperature: bool = True

    def adapted_to(self, message: str, body: dict[str, Any]) -> Dialect:
        """Return a dialect without the parameter that an error message rejects; an equal one if it names none.

        Args:
            message: The error message with which the endpoint refused the request.
            body: The refused request.
        """
        if "response_format" in body and any(word in message for word in ("response_format", "json_", "schema")):
            return replace(self, structure=self.structure.looser)
        if not _UNSUPPORTED.search(message):
            return self
        if "max_tokens" in body and _NEW_MAX_TOKENS in message:
            return replace(self, max_tokens_name=_NEW_MAX_TOKENS)
        if "temperature" in body and "temperature" in message:
            return replace(self, takes_temperature=False)
        return self


_DEFAULT_DIALECT = Dialect()


def to_chat(request: Request, *, model: str, dialect: Dialect = _DEFAULT_DIALECT) -> dict[str, Any]:
    """Return the body of a chat completion. Images are loaded and embedded as base64."""
    parameters = {name: value for name, value in asdict(request.parameters).items() if value is not None}
    parameters[dialect.max_tokens_name] = parameters.pop("max_tokens")
    if not dialect.takes_temperature:
        del parameters["temperature"]
    body = {"model": model, "messages": [_message(each) for each in request.messages], **parameters}
    if request.schema is None or dialect.structure is Structure.TEXT:
        return body
    if dialect.structure is Structure.OBJECT:
        return body | {"response_format": {"type": "json_object"}}
    schema = {"name": "answer", "schema": dict(request.schema), "strict": True}
    return body | {"response_format": {"type": "json_schema", "json_schema": schema}}


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    images = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in message.images]
    return {"role": message.role, "content": [*images, {"type": "text", "text": message.content}]}


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.read()).decode()}"
