"""A language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import logging
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cotpd.core.errors import MissingExtraError, UsageError
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.models.chat_request import Dialect, to_chat
from cotpd.llm.models.completion import ResponseContext, clean_server_text, read_body
from cotpd.llm.models.redaction import Redaction
from cotpd.llm.models.retry_after import rate_limit_reset, retry_after

if TYPE_CHECKING:
    import httpx2

    from cotpd.llm.models.http_client import ExchangeError, HttpResponse

logger = logging.getLogger(__name__)

_OPENAI = "https://api.openai.com/v1"
_MAX_TIMEOUT = 86_400.0


class ChatModel:
    """A model behind an OpenAI-compatible endpoint.

    Each call of `answer` is one attempt: this class neither retries nor follows redirects. `ask` does the retries. Each
    request uses its own connection, so no response is ever taken for the answer to another question.

    Args:
        model: Name of the model at the endpoint.
        base_url: Address of the endpoint, usually ending in ``/v1``. A query such as ``?api-version=2024-10-21`` is
            sent with every request. Defaults to the environment variable ``OPENAI_BASE_URL``, then to OpenAI.
        api_key: Defaults to the environment variable ``OPENAI_API_KEY``. Local servers need no key.
        timeout: Seconds to wait for one answer; at most 86,400.

    Raises:
        UsageError: If the address, the key, the timeout, or a proxy or certificate file of the environment is invalid.
        MissingExtraError: If a package is not installed: httpx2, or socksio for a SOCKS proxy.
    """

    max_concurrency = None

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        if not 0 < timeout <= _MAX_TIMEOUT:
            raise UsageError(f"timeout must be above 0 and at most {_MAX_TIMEOUT:,.0f} seconds, got {timeout:g}")
        self.name = model
        key = _read_key(api_key)
        url = _read_address(base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI)
        self.endpoint = str(url.copy_with(userinfo=b"", query=None))
        """The address without user name, password and query."""
        self._redact = Redaction([key, url.password, *(v for name, v in url.params.items() if name != "api-version")])
        self._dialect = Dialect()
        self._client = _client(url, key, timeout)

    def answer(self, request: Request) -> Answer:
        """Answer one request.

        If the endpoint refuses a request and names a parameter, the request is sent again without it. If that helps,
        later requests omit it as well: a JSON schema is replaced by any JSON object and then by text, ``max_tokens``
        by ``max_completion_tokens``; temperature, ``top_p``, seed and ``stream`` are left to the endpoint; system
        messages become part of the question.

        Raises:
            CallError: If the endpoint is unreachable, busy, refuses the request or sends an invalid answer.
        """
        dialect = self._dialect
        while True:
            body = to_chat(request, model=self.name, dialect=dialect)
            try:
                answer = self._send(body if "stream" in dialect.omitted else body | {"stream": False})
            except CallError as error:
                adapted = dialect.adapted_to(str(error), body | {"stream": False})
                if error.fault is not Fault.REFUSED or adapted == dialect:
                    raise
                dialect = adapted
            else:
                self._learn(dialect)
                return answer

    def close(self) -> None:
        """Do nothing: each request closes its connection. Other models need this method."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChatModel({self.name!r}, base_url={self.endpoint!r})"

    def _learn(self, dialect: Dialect) -> None:
        """Use a dialect for all later requests, because the endpoint answered in it."""
        if dialect == self._dialect:
            return
        for name in sorted(dialect.omitted - self._dialect.omitted - {"stream"}):
            logger.warning("%s does not accept our %s; its own default is used", self.name, name)
        if self._dialect.takes_system and not dialect.takes_system:
            logger.warning(
                "%s does not accept system messages; they are sent at the beginning of the question", self.name
            )
        self._dialect = dialect

    def _send(self, body: dict[str, Any]) -> Answer:
        """Send one request and parse the response."""
        from cotpd.llm.models.http_client import ExchangeError

        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            response = self._client.post(content)
        except ExchangeError as error:
            raise self._exchange_error(error) from None
        wait = retry_after(response.headers)
        if wait is None and response.status == 429:
            wait = rate_limit_reset(response.headers)
        try:
            status = 200 if 200 <= response.status < 300 else response.status
            return read_body(response.body, ResponseContext(self.name, status, wait, self._redact))
        except CallError as error:
            message = f"{error}{self._redirect(response)} ({self.endpoint})"
            raise CallError(message, error.fault, retry_after=error.retry_after, spent=error.spent) from None

    def _exchange_error(self, error: ExchangeError) -> CallError:
        """Return the error for a request without a complete response. It has no cause, which might hold the key."""
        proxy = self._client.route.proxy
        way = f" through {proxy}" if proxy else ""
        reason = clean_server_text(self._redact(str(error)))
        message = f"{self.name} at {self.endpoint}{way} gave no answer: {reason}"
        if error.fault is not Fault.UNREACHABLE:
            return CallError(message, error.fault, spent=(0, 0))
        advice = "check the proxy, or list the host in NO_PROXY" if proxy else "check that the server is running"
        return CallError(f"{message}; {advice} and that the address is right", Fault.UNREACHABLE)

    def _redirect(self, response: HttpResponse) -> str:
        """Return the part of a message that says where a redirect leads; empty for other responses."""
        target = response.headers.get("location", "").partition("?")[0]
        is_redirect = 300 <= response.status < 400 and target and "@" not in target
        return f"; it redirects to {clean_server_text(self._redact(target))}" if is_redirect else ""


def _read_key(api_key: str | None) -> str:
    key = (api_key or os.environ.get("OPENAI_API_KEY", "")).strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key contains a line break, a control character or a non-ASCII character; copy it again"
        )
    return key


def _read_address(address: str) -> httpx2.URL:
    """Return the address with a path that ends in a slash. Errors do not show it, because it may hold a password."""
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtraError("ChatModel needs the httpx2 package; run: pip install 'cotpd[llm]'") from error
    try:
        url = httpx2.URL(address)
        url.host.encode("idna")
        if not url.raw_path.partition(b"?")[0].endswith(b"/"):
            url = _with_path(url, b"/")
    except (httpx2.InvalidURL, UnicodeError):
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host:
        advice = "write http://host:port/v1 and percent-encode special characters of a password, for example / as %2F"
        raise UsageError(f"the endpoint address is not a valid URL; {advice}")
    return url


def _client(url: httpx2.URL, key: str, timeout: float) -> Any:
    """Return the client of an endpoint.

    A user name and password in the address replace the key. Azure, whose addresses name an ``api-version``, reads keys
    from a header of its own.
    """
    import base64

    from cotpd.llm.models.http_client import HttpClient

    headers = {"Authorization": f"Bearer {key or 'none'}"}
    if url.userinfo:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}"
    if key and "api-version" in url.params:
        headers["api-key"] = key
    return HttpClient(_with_path(url, b"chat/completions"), timeout=timeout, headers=headers)


def _with_path(url: httpx2.URL, part: bytes) -> httpx2.URL:
    """Return an address with a part added to its path, before the query."""
    path, mark, query = url.raw_path.partition(b"?")
    return url.copy_with(raw_path=path + part + mark + query)
