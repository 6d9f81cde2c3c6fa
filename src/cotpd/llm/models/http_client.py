"""An HTTP client that reads every answer whole, within a size and a time, and follows nobody elsewhere."""

from __future__ import annotations

import zlib
from contextlib import closing
from time import monotonic
from typing import Any

import httpx2

MAX_BYTES = 4 << 20
"""The longest body that is read: a long answer takes a hundredth of it."""

_ENCODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_CONNECTIONS = 1_000


class BoundedClient(httpx2.Client):
    """Answers longer than `MAX_BYTES`, also when unpacked, and those that take longer than ``timeout`` are errors.

    The library's own time-outs count from byte to byte: a body sent a byte at a time would take for ever.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 20.0)),
            headers={"Accept-Encoding": "identity"},
            limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            follow_redirects=False,
        )
        self._seconds = timeout

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The response with its body read."""
        deadline = monotonic() + self._seconds
        response = super().send(request, **options | {"stream": True, "follow_redirects": False})
        with closing(response):
            body = _unpacked(_read(response, deadline), response)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


def _read(response: httpx2.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise httpx2.ReadError(f"more than {MAX_BYTES >> 20} MiB", request=response.request)
        if monotonic() > deadline:
            raise httpx2.ReadTimeout("the body came too slowly", request=response.request)
    return bytes(body)


def _unpacked(body: bytes, response: httpx2.Response) -> bytes:
    """The body without the one compression that a server may add unasked."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding not in _ENCODINGS:
        raise httpx2.DecodingError(f"packed as {encoding[:40]}", request=response.request)
    try:
        unpacked = zlib.decompressobj(_ENCODINGS[encoding]).decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise httpx2.DecodingError("not packed as it says", request=response.request) from error
    if len(unpacked) > MAX_BYTES:
        raise httpx2.ReadError(f"more than {MAX_BYTES >> 20} MiB when unpacked", request=response.request)
    return unpacked
