"""An HTTP client that limits the size and the total time of a response and follows no redirects."""

from __future__ import annotations

import zlib
from contextlib import closing
from time import monotonic
from typing import Any

import httpx2

MAX_BYTES = 4 << 20
"""The largest response body; a long answer needs about a hundredth of it."""

_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_MAX_CONNECTIONS = 1_000


class BoundedClient(httpx2.Client):
    """A client that fails if a response exceeds `MAX_BYTES`, compressed or decompressed, or takes too long.

    The time-outs of httpx restart with every byte, so a body that arrives one byte at a time would never time out.

    Args:
        timeout: Seconds for a whole response.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 20.0)),
            headers={"Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS),
            follow_redirects=False,
        )
        self._max_seconds = timeout

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and return the response with its body loaded and decompressed."""
        deadline = monotonic() + self._max_seconds
        response = super().send(request, **options | {"stream": True, "follow_redirects": False})
        with closing(response):
            body = _decompress(_read(response, deadline), response)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


def _read(response: httpx2.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise httpx2.ReadError(f"the body exceeds {MAX_BYTES >> 20} MiB", request=response.request)
        if monotonic() > deadline:
            raise httpx2.ReadTimeout("the body did not arrive in time", request=response.request)
    return bytes(body)


def _decompress(body: bytes, response: httpx2.Response) -> bytes:
    """Decompress a body. Some servers compress although the request asks for ``identity``."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in _ENCODINGS:
        raise httpx2.DecodingError(f"unsupported content encoding {encoding[:40]!r}", request=response.request)
    try:
        decompressed = zlib.decompressobj(_ENCODINGS[encoding]).decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise httpx2.DecodingError(f"the body is not valid {encoding}", request=response.request) from error
    if len(decompressed) > MAX_BYTES:
        raise httpx2.ReadError(f"the decompressed body exceeds {MAX_BYTES >> 20} MiB", request=response.request)
    return decompressed
