"""Network connections that end at a deadline or when their call is cancelled."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import httpcore2

from cotpd.llm.call_limit import CallLimit

_PIECE = 64 << 10
"""Bytes that are written at once, so that a server that reads slowly cannot delay the deadline."""


class BoundedNetwork(httpcore2.NetworkBackend):
    """Opens the connections of one request.

    The time-outs of HTTP libraries restart with every byte. Here each read and write gets only the time that is left
    of the whole request, so a server that sends one byte at a time, or one interim response (1xx) after another, holds
    neither the thread nor the socket for longer.

    Args:
        deadline: Monotonic time at which every read and write fails.
        limit: Breaks the connection when it is cancelled.
    """

    def __init__(self, deadline: float, limit: CallLimit) -> None:
        self._deadline, self._limit = deadline, limit
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Open a connection. Raises `httpcore2.ConnectError` or `httpcore2.ConnectTimeout`."""
        left = max(0.001, self._deadline - monotonic())
        timeout = left if timeout is None else min(timeout, left)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _BoundedStream(stream, self._deadline, self._limit)


class _BoundedStream(httpcore2.NetworkStream):
    """A connection with a deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float, limit: CallLimit) -> None:
        self._stream, self._deadline, self._limit = stream, deadline, limit
        self._is_unused = True
        self._limit.register(self._abort)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes. Raises `httpcore2.ReadTimeout` at the deadline."""
        return self._stream.read(max_bytes, self._seconds_left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes.

        Raises:
            httpcore2.WriteTimeout: At the deadline.
            httpcore2.ReadError: If the server sent something before the first byte. That cannot be the answer.
        """
        if self._is_unused and self._stream.get_extra_info("is_readable"):
            raise httpcore2.ReadError("the server sent or closed the connection before it got the request")
        self._is_unused = False
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._seconds_left(httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Return this connection with encryption."""
        seconds = self._seconds_left(httpcore2.ConnectTimeout)
        stream = _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline, self._limit
        )
        stream._is_unused = False  # session tickets may arrive before the request is sent
        return stream

    def close(self) -> None:
        """Close the connection."""
        self._limit.register(None)
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """Return a property of the connection, for example its socket."""
        return self._stream.get_extra_info(info)

    def _seconds_left(self, error: type[httpcore2.TimeoutException]) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise error("the deadline of the request has passed")
        return left

    def _abort(self) -> None:
        """Break the connection, which wakes the thread that waits for it."""
        with suppress(OSError):
            socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
