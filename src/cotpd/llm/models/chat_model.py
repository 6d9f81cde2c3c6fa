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

_MIN_SECRET_LENGTH = 8
"""Shorter keys are placeholders for local servers. Masking them would change ordinary words in messages."""
_MAX_TIMEOUT = 86_400.0


class ChatModel:
    """A model behind an OpenAI-compatible endpoint.

    Each call of `answer` is one attempt: this class neither retries nor follows redirects. `ask` does the retries.

    Args:
        model: Name of the model at the endpoint.
        base_url: Address of the endpoint, usually ending in ``/v1``. Defaults to the environment variable
            ``OPENAI_BASE_URL``, then to OpenAI.
        api_key: Defaults to the environment variable ``OPENAI_API_KEY``. Local servers need no key.
        timeout: Seconds to wait for one answer; at most 86,400.

    Raises:
        UsageError: If the address, the key or the timeout is invalid.
        MissingExtraError: If the openai package is not installed.
    """

    most_at_once = None

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        self.name = model
        key = (api_key or os.environ.get("OPENAI_API_KEY", "")).strip()
        self._secret = key if len(key) >= _MIN_SECRET_LENGTH else ""
        self._client = _connect(base_url, key, timeout)
        self._close = weakref.finalize(self, self._client.close)
        self._dialect = Dialect()
        self.endpoint = str(self._client.base_url.copy_with(userinfo=b"", query=None))
        """The address without user name, password and query."""

    def answer(self, request: Request) -> Answer:
        """Answer one request.

        If the endpoint refuses a parameter, the request is sent again without it, and later requests omit it as well:
        a JSON schema is replaced by any JSON object and then by text, ``max_tokens`` by ``max_completion_tokens``, and
        the temperature is left to the endpoint.

        Raises:
            CallError: If the endpoint is unreachable, busy, refuses the request or sends an invalid answer.
        """
        while True:
            dialect = self._dialect
            body = to_chat(request, model=self.name, dialect=dialect)
            try:
                return self._answer(body)
            except CallError as error:
                adapted = dialect.adapted_to(str(error), body)
                if error.fault is not Fault.REFUSED or adapted == dialect:
                    raise
            if dialect.takes_temperature and not adapted.takes_temperature:
                logger.warning("%s does not accept a temperature; its default temperature is used", self.name)
            self._dialect = adapted

    def close(self) -> None:
        """Close the connections. They also close when this object is garbage-collected."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChatModel({self.name!r}, base_url={self.endpoint!r})"

    def _answer(self, body: dict[str, Any]) -> Answer:
        """Send one request and parse the raw response, because the SDK does not detect HTML and truncated bodies."""
        import openai

        try:
            sent = self._client.chat.completions.with_raw_response.create(**body)
            content, status, headers = sent.content, 200, sent.headers
        except openai.APIStatusError as error:
            content, status, headers = error.response.content, error.status_code, error.response.headers
        except openai.APIConnectionError as error:
            raise self._connection_error(error) from None
        try:
            return read_body(content, model=self.name, status=status, wait=retry_after(headers), secret=self._secret)
        except CallError as error:
            message = f"{error} ({self.endpoint})"
            raise CallError(message, error.fault, retry_after=error.retry_after, spent=error.spent) from None

    def _connection_error(self, error: openai.APIConnectionError) -> CallError:
        """Return the error to raise without a cause, because the text of the cause may contain the key."""
        import httpx2

        cause = error.__cause__
        message = f"{self.name} at {self.endpoint} gave no answer: {type(cause).__name__}"
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
            return CallError(
                f"{message}; check that the server is running and that the address is right", Fault.UNREACHABLE
            )
        return CallError(message, Fault.TRANSIENT, spent=(0, 0))


def _connect(base_url: str | None, key: str, timeout: float) -> openai.OpenAI:
    try:
        import httpx2
        import openai

        from cotpd.llm.models.http_client import BoundedClient
    except ImportError as error:
        raise MissingExtraError("ChatModel needs the openai package; run: pip install 'cotpd[llm]'") from error
    if not 0 < timeout <= _MAX_TIMEOUT:
        raise UsageError(f"timeout must be above 0 and at most {_MAX_TIMEOUT:,.0f} seconds, got {timeout:g}")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key contains a line break, a control character or a non-ASCII character; copy it again"
        )
    http = BoundedClient(timeout)
    try:  # timeout is passed twice: the SDK mistakes 5 s, the default of the HTTP library, for "not set"
        client = openai.OpenAI(
            base_url=base_url, api_key=key or "none", max_retries=0, http_client=http, timeout=http.timeout
        )
        client.base_url.host.encode("idna")
    except (httpx2.InvalidURL, UnicodeError):
        advice = "write http://host:port/v1 and percent-encode special characters of a password, for example / as %2F"
        raise UsageError(f"the endpoint address is not a valid URL; {advice}") from None
    return client
