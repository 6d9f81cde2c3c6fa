"""A `Request` as the JSON object that OpenAI-compatible endpoints, local engines and batch files take."""

from __future__ import annotations

import base64
import re
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from cotpd.llm.language_model import Image, Message, Request

_NEW_LENGTH = "max_completion_tokens"
_UNSUPPORTED = re.compile("unsupported|not support|deprecated|instead", re.IGNORECASE)
"""Where a refusal blames a parameter, not its value: one that is too large must be told to whoever chose it."""


class Structure(Enum):
    """How strictly an endpoint can be held to a schema."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    TEXT = "text"

    @property
    def looser(self) -> Structure:
        """The next one that more endpoints know."""
        return Structure.OBJECT if self is Structure.SCHEMA else Structure.TEXT


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an endpoint takes. ``length`` is its name for the most tokens of an answer."""

    structure: Structure = Structure.SCHEMA
    length: str = "max_tokens"
    takes_temperature: bool = True

    def after(self, complaint: str, body: dict[str, Any]) -> Dialect:
        """The dialect without what a refusal of ``body`` blames; the same one where it blames nothing of the kind."""
        if "response_format" in body and any(word in complaint for word in ("response_format", "json_", "schema")):
            return replace(self, structure=self.structure.looser)
        if not _UNSUPPORTED.search(complaint):
            return self
        if "max_tokens" in body and _NEW_LENGTH in complaint:
            return replace(self, length=_NEW_LENGTH)
        if "temperature" in body and "temperature" in complaint:
            return replace(self, takes_temperature=False)
        return self


_COMMON = Dialect()


def to_chat(request: Request, *, model: str, dialect: Dialect = _COMMON) -> dict[str, Any]:
    """The body of a chat completion; images are read now and embedded."""
    parameters = {name: value for name, value in asdict(request.parameters).items() if value is not None}
    parameters[dialect.length] = parameters.pop("max_tokens")
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
    pictures = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in message.images]
    return {"role": message.role, "content": [*pictures, {"type": "text", "text": message.content}]}


def _data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(image.read()).decode()}"
