"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import logging
import os
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.models.chat_request import Dialect, to_chat
from cotpd.llm.models.completion import read_body
from cotpd.llm.models.retry_after import retry_after

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)

_SHORTEST_KEY = 8
"""Shorter ones, which local servers are given, are words like any other and no secrets."""
_LONGEST_TIMEOUT = 86_400.0


class ChatModel:
    """The model of this name at ``base_url``: each call is one attempt, without retries and redirects.

    ``base_url`` ends in ``/v1``; by default it is ``OPENAI_BASE_URL``, and OpenAI's own without that. ``api_key``: by
    default ``OPENAI_API_KEY``; local servers need none. ``timeout``: seconds for one answer, at most a day. Raises
    `UsageError` for an address, a key or a time that cannot be, and `MissingExtraError` without the openai package.
    """

    most_at_once = None

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        self.name = model
        key = (api_key or os.environ.get("OPENAI_API_KEY", "")).strip()
        self._secret = key if len(key) >= _SHORTEST_KEY else ""
        self._client = _connect(base_url, key, timeout)
        self._close = weakref.finalize(self, self._client.close)
        self._dialect = Dialect()
        self.endpoint = str(self._client.base_url.copy_with(userinfo=b"", query=None))
        """Where questions are sent, without the password that the address may hold."""

    def answer(self, request: Request) -> Answer:
        """The answer. Raises `CallError` for an endpoint that is not there, is busy or answers oddly.

        An endpoint that cannot be held to a schema is asked for any JSON object, or, if it refuses that, for text. One
        that refuses ``max_tokens`` is given ``max_completion_tokens``, one that refuses the temperature none.
        """
        while True:
            dialect = self._dialect
            body = to_chat(request, model=self.name, dialect=dialect)
            try:
                return self._answer(body)
            except CallError as error:
                learnt = dialect.after(str(error), body)
                if error.fault is not Fault.REFUSED or learnt == dialect:
                    raise
            if dialect.takes_temperature and not learnt.takes_temperature:
                logger.warning("%s takes no temperature: it answers at its own", self.name)
            self._dialect = learnt

    def close(self) -> None:
        """Close the connections; they also close when nobody has the model any more."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChatModel({self.name!r}, base_url={self.endpoint!r})"

    def _answer(self, body: dict[str, Any]) -> Answer:
        """One attempt: what came is read by us, for the SDK would pass on HTML and torn answers unchecked."""
        import openai

        try:
            sent = self._client.chat.completions.with_raw_response.create(**body)
            content, status, headers = sent.content, 200, sent.headers
        except openai.APIStatusError as error:
            content, status, headers = error.response.content, error.status_code, error.response.headers
        except openai.APIConnectionError as error:
            raise self._not_reached(error) from None
        try:
            return read_body(content, model=self.name, status=status, wait=retry_after(headers), secret=self._secret)
        except CallError as error:
            what = f"{error} ({self.endpoint})"
            raise CallError(what, error.fault, retry_after=error.retry_after, spent=error.spent) from None

    def _not_reached(self, error: openai.APIConnectionError) -> CallError:
        """To be raised without its cause: the text of that may hold the key."""
        import httpx2

        cause = error.__cause__
        what = f"{self.name} at {self.endpoint} gave no answer: {type(cause).__name__}"
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
            return CallError(f"{what}. Does it run, and is this its address?", Fault.ABSENT)
        return CallError(what, Fault.BROKEN, spent=(0, 0))


def _connect(base_url: str | None, key: str, timeout: float) -> openai.OpenAI:
    try:
        import httpx2
        import openai

        from cotpd.llm.models.http_client import BoundedClient
    except ImportError as error:
        raise MissingExtraError("an endpoint needs the openai package; run: pip install 'cotpd[llm]'") from error
    if not 0 < timeout <= _LONGEST_TIMEOUT:
        raise UsageError(f"{timeout:g} s is no time for an answer; choose more than 0, at most {_LONGEST_TIMEOUT:,.0f}")
    if not (key.isascii() and key.isprintable()):
        raise UsageError("the API key holds what no key does, such as a line or a letter beyond ASCII; copy it again")
    http = BoundedClient(timeout)
    try:  # told the times as well: the SDK would take 5 s, which is the HTTP library's default, for none at all
        client = openai.OpenAI(
            base_url=base_url, api_key=key or "none", max_retries=0, http_client=http, timeout=http.timeout
        )
        client.base_url.host.encode("idna")
    except (httpx2.InvalidURL, UnicodeError):
        advice = "write http://host:port/v1, and special characters of a password as %2F"
        raise UsageError(f"the address of the endpoint cannot be read; {advice}") from None
    return client
