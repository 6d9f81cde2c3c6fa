"""Each request has a connection of its own, which ends with the attempt: no mixed-up answers, no leaked thread."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from cotpd.core.errors import LanguageModelError
from cotpd.llm.asking.ask import Failure, ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.call_limit import CallLimit
from cotpd.llm.language_model import Answer, Message, Parameters, Request
from cotpd.llm.models.bounded_network import BoundedNetwork
from cotpd.llm.models.chat_model import ChatModel

Talk = Callable[[socket.socket], None]


def question(number: int) -> Request:
    return Request((Message("user", f"question {number}"),), Parameters(9), about=number)


def response(text: str) -> bytes:
    body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def receive(connection: socket.socket) -> str | None:
    """Return the question in the next request; None if there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := connection.recv(1 << 16)):
            return None
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return str(json.loads(body)["messages"][-1]["content"])


@contextmanager
def serve(talk: Talk) -> Iterator[tuple[str, list[socket.socket]]]:
    """Run ``talk`` for each connection in a thread; yield the address and the list of connections."""
    listener, connections, threads = socket.create_server(("127.0.0.1", 0), backlog=64), [], []

    def run(connection: socket.socket) -> None:
        with suppress(OSError):
            talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connections.append(listener.accept()[0])
                threads.append(threading.Thread(target=run, args=(connections[-1],), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", connections
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (acceptor, *threads):
            thread.join(5)
        for connection in connections:
            connection.close()


def at_once(connection: socket.socket, text: str) -> None:
    connection.sendall(response(text) + response(f"surplus after {text}"))


def late(connection: socket.socket, text: str) -> None:
    connection.sendall(response(text))
    select.select([connection], [], [], 0.02)
    connection.sendall(response(f"surplus after {text}"))


def split(connection: socket.socket, text: str) -> None:
    both = response(text) + response(f"surplus after {text}")
    cut = len(response(text)) + 30
    connection.sendall(both[:cut])
    select.select([connection], [], [], 0.01)
    connection.sendall(both[cut:])


def unasked_error(connection: socket.socket, text: str) -> None:
    connection.sendall(response(text) + b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!")


@pytest.mark.parametrize("reply", [at_once, late, split, unasked_error])
def test_a_second_response_is_never_the_answer_to_another_question(reply: Callable[[socket.socket, str], None]) -> None:
    def talk(connection: socket.socket) -> None:
        while (text := receive(connection)) is not None:
            reply(connection, f"answer to {text}")

    with serve(talk) as (url, connections):
        model = ChatModel("small", base_url=url, timeout=10)
        alone = [model.answer(question(number)).text for number in range(6)]
        assert alone == [f"answer to question {number}" for number in range(6)]
        together = {each.about: end for each, end in ask(map(question, range(30)), model, policy=Policy(concurrency=4))}
        assert {number: end.text for number, end in together.items() if isinstance(end, Answer)} == {
            number: f"answer to question {number}" for number in range(30)
        }
        assert len(connections) == 36


def test_a_response_before_the_request_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = BoundedNetwork.connect_tcp

    def connect_and_wait(*arguments: Any, **settings: Any) -> Any:
        stream = connect(*arguments, **settings)
        select.select([stream.get_extra_info("socket")], [], [], 5)
        return stream

    monkeypatch.setattr(BoundedNetwork, "connect_tcp", connect_and_wait)
    with serve(lambda connection: connection.sendall(response("pipelined"))) as (url, _):
        model = ChatModel("small", base_url=url, timeout=10)
        with pytest.raises(CallError, match="before it got the request") as raised:
            model.answer(question(1))
    assert raised.value.fault is Fault.TRANSIENT


def drip(prefix: bytes, piece: bytes) -> Talk:
    """Send a prefix, then a piece every few milliseconds, for ever."""

    def talk(connection: socket.socket) -> None:
        receive(connection)
        connection.sendall(prefix)
        while not select.select([connection], [], [], 0.005)[0]:
            connection.sendall(piece)

    return talk


DRIPS = {
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "interim responses": drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "headers": drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "silence": drip(b"", b""),
}


THREADS_BEFORE: set[threading.Thread] = set()
"""The threads of earlier tests, some of whose models never answer."""


@pytest.fixture(autouse=True)
def _remember_threads() -> None:
    THREADS_BEFORE.clear()
    THREADS_BEFORE.update(threading.enumerate())


def asking_threads() -> list[threading.Thread]:
    threads = set(threading.enumerate()) - THREADS_BEFORE
    return [thread for thread in threads if thread.name.startswith("asking-")]


def wait_for_release(num_files: int) -> tuple[int, int]:
    """Return the number of asking threads and of surplus files, as soon as both are 0 or after two seconds."""
    deadline, left = monotonic() + 2, (1, 1)
    while any(left) and monotonic() < deadline:
        for thread in asking_threads():
            thread.join(0.05)
        left = len(asking_threads()), max(0, len(os.listdir("/proc/self/fd")) - num_files)
    return left


@pytest.mark.parametrize("name", DRIPS)
def test_an_attempt_ends_at_its_deadline_whatever_the_server_sends(name: str) -> None:
    with serve(DRIPS[name]) as (url, _):
        began = monotonic()
        with pytest.raises(CallError, match=r"no complete response within 0\.1 s"):
            ChatModel("small", base_url=url, timeout=0.1).answer(question(1))
        assert monotonic() - began < 1


@pytest.mark.parametrize("name", DRIPS)
def test_an_attempt_that_is_given_up_releases_its_thread_and_socket(name: str) -> None:
    """The model itself would wait for a minute."""
    with serve(DRIPS[name]) as (url, connections):
        model = ChatModel("small", base_url=url, timeout=60)
        policy = Policy(concurrency=4, attempts=1, answer_timeout=0.1, delay=0.0, pause=0.0, breaker=99)
        before = len(os.listdir("/proc/self/fd"))
        ends = [end for _, end in ask(map(question, range(4)), model, policy=policy)]
        assert [isinstance(end, Failure) and "gave no answer" in end.reason for end in ends] == [True] * 4
        assert wait_for_release(before + len(connections)) == (0, 0)


def test_a_run_that_is_stopped_releases_its_threads_and_sockets() -> None:
    def talk(connection: socket.socket) -> None:
        text = receive(connection)
        if text == "question 0":
            return connection.sendall(response("fine"))
        DRIPS["body"](connection)

    with serve(talk) as (url, connections):
        model = ChatModel("small", base_url=url, timeout=60)
        before = len(os.listdir("/proc/self/fd"))
        run = ask(map(question, range(4)), model, policy=Policy(concurrency=4, drain=0.05))
        assert next(run)[0].about == 0
        run.close()  # type: ignore[attr-defined]
        assert wait_for_release(before + len(connections)) == (0, 0)


def test_a_cancelled_call_opens_no_lasting_connection() -> None:
    """The call may be cancelled before its thread has connected."""
    limit = CallLimit()
    limit.cancel()
    with (
        serve(DRIPS["silence"]) as (url, _),
        limit.applied(),
        pytest.raises(LanguageModelError, match="gave no answer"),
    ):
        ChatModel("small", base_url=url, timeout=60).answer(question(1))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a self-signed certificate for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path) + ".key")
    subprocess.run(["openssl", "req", "-x509", *key, *subject, "-out", path], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.key").read_bytes())
    return path


def encrypted(talk: Talk, certificate: Path) -> Talk:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk_encrypted(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection.dup(), server_side=True) as tls:
            talk(tls)

    return talk_encrypted


def answer_once(connection: socket.socket) -> None:
    connection.sendall(response(f"answer to {receive(connection)}"))


def test_an_encrypted_endpoint_answers_if_its_certificate_is_known(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(encrypted(answer_once, certificate)) as (url, _):
        address = url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(CallError, match=r"certificate verify failed: self.signed certificate") as raised:
            ChatModel("small", base_url=address).answer(question(1))
        assert raised.value.fault is Fault.UNREACHABLE
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ChatModel("small", base_url=address).answer(question(1)).text == "answer to question 1"


@pytest.mark.parametrize("name", ["body", "silence"])
def test_an_encrypted_attempt_that_is_given_up_releases_its_thread(
    name: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(encrypted(DRIPS[name], certificate)) as (url, _):
        model = ChatModel("small", base_url=url.replace("http://127.0.0.1", "https://localhost"), timeout=60)
        policy = Policy(concurrency=4, attempts=1, answer_timeout=0.3, delay=0.0, pause=0.0, breaker=99, drain=0.0)
        ends = [end for _, end in ask(map(question, range(4)), model, policy=policy)]
        assert all(isinstance(end, Failure) for end in ends)
        assert wait_for_release(10_000) == (0, 0)


def test_an_encrypted_endpoint_is_reached_through_a_proxy(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets a CONNECT request and must not see the key."""
    seen = []
    endpoint = encrypted(answer_once, certificate)

    def proxy(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        seen.append(head)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        endpoint(connection)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(proxy) as (url, _):
        monkeypatch.setenv("HTTPS_PROXY", url.removesuffix("/v1"))
        monkeypatch.setattr("cotpd.llm.models.route._is_loopback", lambda host: False)
        model = ChatModel("small", base_url="https://localhost/v1", api_key="sk-0123456789")
        assert model.answer(question(1)).text == "answer to question 1"
    assert seen[0].startswith(b"CONNECT localhost:443")
    assert b"sk-0123456789" not in seen[0]
