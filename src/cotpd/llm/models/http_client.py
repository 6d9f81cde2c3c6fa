"""An HTTP client that sends each request once, on a connection of its own, within limits of time and size."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from time import monotonic

import httpcore2
import httpx2

from cotpd.llm.call_error import Fault
from cotpd.llm.call_limit import current_limit
from cotpd.llm.models.bounded_network import BoundedNetwork
from cotpd.llm.models.route import Route

MAX_BYTES = 4 << 20
"""The largest response body; a long answer needs about a hundredth of it."""

_MAX_CONNECT_SECONDS = 20.0
_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class ExchangeError(Exception):
    """Raised if there is no complete response. The message says why; ``fault`` is the kind of the failure."""

    def __init__(self, reason: str, fault: Fault = Fault.TRANSIENT) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response with its decompressed body. The names of the headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """Posts JSON. It neither retries nor follows redirects.

    Args:
        url: The address of all requests.
        timeout: Seconds for a whole request: connection, body, response. A shorter limit of the caller applies as well
            (see `current_limit`).
        headers: Headers of all requests.

    Raises:
        UsageError: If the environment names an invalid proxy or certificate file.
        MissingExtraError: If a SOCKS proxy needs a package that is not installed.
    """

    def __init__(self, url: httpx2.URL, *, timeout: float, headers: dict[str, str]) -> None:
        logging.getLogger("httpcore2").setLevel(logging.INFO)  # debug logs hold headers, which may repeat the key
        self.route = Route(url)
        self._url = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        self._timeout = timeout
        self._headers = [
            *headers.items(),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "cotpd"),
            ("Connection", "close"),
        ]

    def post(self, content: bytes) -> HttpResponse:
        """Send a body and return the response, whatever its status.

        Raises:
            ExchangeError: If the connection fails or the response is incomplete, too large or too late.
        """
        limit = current_limit()
        began = monotonic()
        deadline = min(began + self._timeout, limit.deadline)
        timeout = {"connect": _MAX_CONNECT_SECONDS, "pool": self._timeout}
        pool = self.route.open(BoundedNetwork(deadline, limit))
        try:
            with pool, pool.stream(
                "POST", self._url, headers=self._headers, content=content, extensions={"timeout": timeout}
            ) as response:  # fmt: skip
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                body = _read(response, deadline)
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.ProxyError) as error:
            raise ExchangeError(str(error) or "the connection timed out", Fault.UNREACHABLE) from None
        except httpcore2.TimeoutException:
            raise ExchangeError(f"no complete response within {deadline - began:.3g} s") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise ExchangeError(f"the connection broke ({str(error) or type(error).__name__})") from None
        encoding = headers.get("content-encoding", "identity").strip().lower()
        return HttpResponse(response.status, headers, _decompress(body, encoding, response.status))


def _read(response: httpcore2.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise ExchangeError(f"the response exceeds {MAX_BYTES >> 20} MiB")
        if monotonic() > deadline:
            raise httpcore2.ReadTimeout
    return bytes(body)


def _decompress(body: bytes, encoding: str, status: int) -> bytes:
    """Decompress a body. Some servers compress although the request asks for ``identity``.

    An unknown compression of an answer stops the run, because every other answer would be paid for and lost as well.
    The body of an error is only its reason, so it is dropped.
    """
    if encoding in ("identity", "") or not body:
        return body
    if encoding not in _ENCODINGS:
        if not 200 <= status < 300:
            return b""
        advice = f"turn off compression in the server or proxy; supported: {', '.join(_ENCODINGS)}"
        raise ExchangeError(f"the response is compressed as {encoding[:40]!r}; {advice}", Fault.FATAL)
    try:
        decompressed = zlib.decompressobj(_ENCODINGS[encoding]).decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise ExchangeError(f"the response is not valid {encoding}") from None
    if len(decompressed) > MAX_BYTES:
        raise ExchangeError(f"the decompressed response exceeds {MAX_BYTES >> 20} MiB")
    return decompressed
