"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cotpd.core.errors import LanguageModelError, MissingExtraError
from cotpd.llm.chat_request import to_chat
from cotpd.llm.completion import read_completion
from cotpd.llm.language_model import Answer, Request

if TYPE_CHECKING:
    import openai


class ChatModel:
    """The model of this name at ``base_url``, asked once a question: no retries, no redirects, temperature 0.

    ``base_url`` ends in ``/v1``; by default it is ``OPENAI_BASE_URL``, and OpenAI's own without that. ``api_key``: by
    default ``OPENAI_API_KEY``; local servers need none. ``timeout``: seconds for one answer. Raises
    `MissingExtraError` without the openai package.
    """

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        self._model = model
        self._key = api_key or os.environ.get("OPENAI_API_KEY", "")
        self._client = _connect(base_url, self._key, timeout)

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._model

    @property
    def base_url(self) -> str:
        """Where questions are sent."""
        return str(self._client.base_url)

    @property
    def endpoint(self) -> str:
        """`base_url`, without the user's name and password."""
        return str(self._client.base_url.copy_with(userinfo=b""))

    @property
    def most_at_once(self) -> None:
        """As many as the policy allows."""
        return None

    def answer(self, request: Request) -> Answer:
        """The answer. Raises `LanguageModelError` for an endpoint that is not there or answers oddly."""
        return read_completion(self._ask(request), model=self._model)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChatModel({self._model!r}, base_url={self.base_url!r})"

    def _ask(self, request: Request) -> object:
        """The JSON value that the endpoint sends: the SDK would pass on HTML and torn answers unchecked."""
        import openai

        try:
            response = self._client.chat.completions.with_raw_response.create(**to_chat(request, model=self._model))
        except openai.APIStatusError as error:
            return self._read_failure(error.status_code, error.response.content)
        except openai.OpenAIError as error:
            raise self._failure(f"{error} Does it run, and is this its address?") from None
        return self._read(response.content)

    def _read(self, content: bytes) -> object:
        try:
            return json.loads(self._masked(content.decode("utf-8-sig")))
        except (ValueError, RecursionError):
            raise self._failure("what it sent is no JSON; does the address end in /v1?") from None

    def _read_failure(self, status: int, content: bytes) -> object:
        try:
            body = self._read(content)
        except LanguageModelError:
            body = None
        if isinstance(body, dict) and body.get("error"):
            return body
        raise self._failure(f"it ended with status {status}; check the address and the model's name")

    def _failure(self, what: str) -> LanguageModelError:
        """To be raised without its cause: the text of that may hold the key."""
        return LanguageModelError(f"{self._model} at {self.base_url} gave no answer: {self._masked(what)}")

    def _masked(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _connect(base_url: str | None, key: str, timeout: float) -> openai.OpenAI:
    try:
        import openai
    except ImportError as error:
        raise MissingExtraError("an endpoint needs the openai package; run: pip install 'cotpd[llm]'") from error
    plain = openai.DefaultHttpxClient(follow_redirects=False, timeout=timeout)
    return openai.OpenAI(base_url=base_url, api_key=key or "none", max_retries=0, http_client=plain)
