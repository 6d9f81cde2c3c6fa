"""A `Request` as the JSON object that OpenAI-compatible endpoints, local engines and batch files take."""

from __future__ import annotations

import base64
from dataclasses import asdict
from enum import Enum
from typing import Any

from cotpd.llm.language_model import Image, Message, Request


class Structure(Enum):
    """How strictly an endpoint can be held to a schema."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    TEXT = "text"

    @property
    def looser(self) -> Structure:
        """The next one that more endpoints know."""
        return Structure.OBJECT if self is Structure.SCHEMA else Structure.TEXT


def to_chat(request: Request, *, model: str, structure: Structure = Structure.SCHEMA) -> dict[str, Any]:
    """The body of a chat completion; images are read now and embedded."""
    parameters = {name: value for name, value in asdict(request.parameters).items() if value is not None}
    body = {"model": model, "messages": [_message(each) for each in request.messages], **parameters}
    if request.schema is None or structure is Structure.TEXT:
        return body
    if structure is Structure.OBJECT:
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
