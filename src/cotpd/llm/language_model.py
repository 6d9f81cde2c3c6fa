"""What the library asks of a language model: a request in, one answer out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from cotpd.core.errors import DataError
from cotpd.core.files import hash_file, hash_text

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a message: known by the hash of its content, read only when it is sent.

    ``read`` gives the bytes to send, as ``media_type``; it may scale or convert what ``sha256`` identifies.
    """

    sha256: str
    media_type: str
    read: Callable[[], bytes] = field(compare=False, repr=False)

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str) -> Self:
        """A picture in memory."""
        return cls(hashlib.sha256(data).hexdigest(), media_type, lambda: data)

    @classmethod
    def of_file(cls, path: Path, media_type: str) -> Self:
        """A file, sent as it is. Sending raises `DataError` when it has changed in between."""
        sha256 = hash_file(path)

        def read() -> bytes:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise DataError("the picture changed while it was asked about; run again", where=str(path))
            return data

        return cls(sha256, media_type, read)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; its images stand before its text."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a model is to answer. Two requests that differ in ``seed`` alone are two requests."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """0 and 0.0 are one temperature, and so one request."""
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "top_p", None if self.top_p is None else float(self.top_p))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a language model said.

    ``finish_reason``: ``stop``, ``length`` (cut at ``max_tokens``), ``too_long`` (the question did not fit the
    model's context and was not answered) or what else the server says. Tokens are 0 where the server tells none.
    ``model``: who answered, by its own account.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


Validator = Callable[[Answer], str | None]
"""Judges an answer: None when it can be used, else why not, in a few words."""


def any_answer(answer: Answer) -> str | None:
    """The validator that takes every answer."""
    return None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a language model.

    ``schema``: the JSON schema that the answer is to follow, where the model can be held to one. ``validate`` judges
    each answer, also one that a store has kept. ``about``: whatever the asker needs to know an answer by.
    """

    messages: tuple[Message, ...]
    parameters: Parameters
    schema: Mapping[str, Any] | None = None
    validate: Validator = field(default=any_answer, compare=False, repr=False)
    about: Any = field(default=None, compare=False)

    def key(self, endpoint: str, model: str) -> str:
        """The SHA-256 of all that decides the answer: endpoint, model, messages, images, parameters and schema."""
        content = {
            "endpoint": endpoint,
            "model": model,
            "messages": [
                {"role": each.role, "content": each.content, "images": [image.sha256 for image in each.images]}
                for each in self.messages
            ],
            "parameters": asdict(self.parameters),
            "schema": self.schema and dict(self.schema),
        }
        return hash_text(json.dumps(content, sort_keys=True, separators=(",", ":")))


class LanguageModel(Protocol):
    """A provider of knowledge. `ask` may call ``answer`` from several threads at once, up to ``most_at_once``."""

    @property
    def name(self) -> str:
        """The name under which its answers are kept."""
        ...

    @property
    def endpoint(self) -> str:
        """Where it is asked, without secrets: the same name elsewhere is another model."""
        ...

    @property
    def most_at_once(self) -> int | None:
        """The most requests it can be asked at once; None: as many as the policy allows."""
        ...

    def answer(self, request: Request) -> Answer:
        """The answer. Raises `LanguageModelError` if there is none; a `CallError` says whether to ask again."""
        ...
