"""The protocol of a language model, and its requests and answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from cotpd.core.errors import DataError
from cotpd.core.files import hash_file, hash_text

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image in a message, identified by the hash of its content and loaded only when it is sent.

    Attributes:
        sha256: Hash of the original content.
        media_type: Type of the bytes that ``read`` returns, for example ``image/jpeg``.
        read: Returns the bytes to send, which may be a scaled or converted version of the original.
    """

    sha256: str
    media_type: str
    read: Callable[[], bytes] = field(compare=False, repr=False)

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str) -> Self:
        """Return an image whose content is in memory."""
        return cls(hashlib.sha256(data).hexdigest(), media_type, lambda: data)

    @classmethod
    def of_file(cls, path: Path, media_type: str) -> Self:
        """Return an image that is read from a file and sent unchanged.

        ``read`` raises `DataError` if the file has changed since this call.
        """
        sha256 = hash_file(path)

        def read() -> bytes:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise DataError("the image file changed during the run; start the command again", where=str(path))
            return data

        return cls(sha256, media_type, read)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. Its images are sent before its text."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sampling parameters of a request. Requests that differ only in ``seed`` are different requests."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Convert integers to floats, because 0 and 0.0 must give the same request key."""
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "top_p", None if self.top_p is None else float(self.top_p))

    def with_tokens(self, max_tokens: int | None) -> Self:
        """Return these parameters with another token limit; None leaves it."""
        return self if max_tokens is None else replace(self, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a language model.

    Attributes:
        text: The text of the answer.
        finish_reason: ``stop``, ``length`` (cut at ``max_tokens``), ``too_long`` (the question exceeds the context of
            the model and has no answer), or any other reason that the server gives.
        prompt_tokens: Tokens of the question; 0 if the server does not report them.
        completion_tokens: Tokens of the answer; 0 if the server does not report them.
        model: Name of the model as the server reports it.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


Validator = Callable[[Answer], str | None]
"""Checks an answer: returns None if it can be used, otherwise a short reason why not."""


def accept_any(answer: Answer) -> str | None:
    """Accept every answer."""
    return None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a language model.

    Attributes:
        messages: The conversation that the model answers.
        parameters: Sampling parameters.
        schema: JSON schema that the answer must follow, if the model supports schemas.
        validate: Checks each answer, including answers from the store.
        about: Any object by which the caller recognises the answer. It is not part of the key.
    """

    messages: tuple[Message, ...]
    parameters: Parameters
    schema: Mapping[str, Any] | None = None
    validate: Validator = field(default=accept_any, compare=False, repr=False)
    about: Any = field(default=None, compare=False)

    def key(self, endpoint: str, model: str) -> str:
        """Return the SHA-256 of endpoint, model, messages, image hashes, parameters and schema."""
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
    """A model that answers requests. `ask` calls ``answer`` from up to ``max_concurrency`` threads."""

    @property
    def name(self) -> str:
        """The name of the model; part of the key under which answers are stored."""
        ...

    @property
    def endpoint(self) -> str:
        """The address without secrets; part of the key, because the same name at another address is another model."""
        ...

    @property
    def max_concurrency(self) -> int | None:
        """The maximum number of concurrent requests; None leaves the limit to the policy."""
        ...

    def answer(self, request: Request) -> Answer:
        """Answer one request.

        Raises:
            LanguageModelError: If there is no answer. For a `CallError`, its ``fault`` decides whether the request is
                repeated; any other error stops the run.
        """
        ...
