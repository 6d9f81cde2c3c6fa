"""A fake OpenAI-compatible server on loopback, with deterministic answers and optional faults, for tests and dry runs.

Start it from a shell with
``python -m cotpd.testing.fake_server --port 8000 --latency 1 --faults 429,500,html --every 10``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from cotpd.core.files import hash_text

Question = dict[str, Any]
"""The JSON body of a request, with the keys ``path``, ``authorization`` and ``headers`` (lower case) added."""

_POST = re.compile(r"<post[^<>]{0,99}>\n")
_MAX_REQUEST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of the server to one question.

    Attributes:
        text: Text of the answer.
        finish_reason: Finish reason of the answer.
        body: Raw body that is sent instead of a completion.
        status: HTTP status.
        headers: Additional headers.
        latency: Seconds before the response.
        ending: How the body is sent: ``whole``, ``reset`` (the connection breaks in the middle), ``trickle`` (one byte
            at a time) or ``hang`` (nothing is sent).
    """

    text: str = ""
    finish_reason: str = "stop"
    body: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    ending: Literal["whole", "reset", "trickle", "hang"] = "whole"


Script = Callable[[int, Question], Reply | str]
"""Returns the reply to a question, given its number (from 1, in order of arrival) and its body."""

FAULTS: dict[str, Reply] = {
    "401": Reply(status=401, body=b'{"error": {"message": "no such key", "code": "invalid_api_key"}}'),
    "429": Reply(status=429, headers={"Retry-After": "1"}, body=b'{"error": {"message": "slow down"}}'),
    "500": Reply(status=500, body=b'{"error": {"message": "out of luck"}}'),
    "529": Reply(status=529, body=b"overloaded"),
    "quota": Reply(status=429, body=b'{"error": {"message": "spent", "code": "insufficient_quota"}}'),
    "html": Reply(body=b"<!doctype html><h1>Welcome</h1>", headers={"Content-Type": "text/html"}),
    "empty": Reply(text=""),
    "torn": Reply(body=b'{"choices": [{"message": {"content": "It te'),
    "reset": Reply(text="never whole", ending="reset"),
    "trickle": Reply(text="one byte at a time", ending="trickle"),
    "hang": Reply(ending="hang"),
}
"""Faulty replies by name."""


def deterministic_reply(number: int, question: Question) -> str:
    """Return an answer that depends only on the question and names the capitalized words of the post."""
    last = question["messages"][-1]["content"]
    text = last if isinstance(last, str) else last[-1]["text"]
    opened, closed = _POST.search(text), text.rfind("\n</post")
    post = text[opened.end() : closed] if opened and closed >= opened.end() else text
    names = list(dict.fromkeys(word for word in post.split() if word[:1].isupper() and word.isalnum()))[:4]
    lines = [f"{name}: work, as question {hash_text(text, name)[:8]} has it" for name in names]
    return "\n".join(lines) or f"none: only ordinary words ({hash_text(text)[:8]})"


def every(step: int, faults: list[Reply], *, latency: float = 0.0) -> Script:
    """Return a script that replies to every ``step``-th question with the next of ``faults``."""

    def script(number: int, question: Question) -> Reply | str:
        if faults and number % step == 0:
            return faults[number // step % len(faults)]
        return Reply(deterministic_reply(number, question), latency=latency)

    return script


class FakeServer:
    """A server that runs for the duration of a ``with`` block.

    Args:
        script: Returns the reply to each question. It may be replaced while the server runs.
        port: TCP port; 0 picks a free one.
        keep: Whether to record the questions.

    Attributes:
        questions: The recorded questions, in order of arrival.
        num_questions: Number of questions, recorded or not.
        num_open: Number of questions that are being answered.
        max_concurrency: Largest value of ``num_open`` so far.
    """

    def __init__(self, script: Script = deterministic_reply, *, port: int = 0, keep: bool = True) -> None:
        self.script = script
        self.questions: list[Question] = []
        self.num_questions = 0
        self.max_concurrency = 0
        self._port, self._keep, self.num_open = port, keep, 0
        self._ready: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fake-server", daemon=True)

    @property
    def url(self) -> str:
        """The address to use as ``base_url``."""
        return f"http://127.0.0.1:{self._ready.result()}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", self._port, backlog=1024)
        self._ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while question := await _read_question(reader):
                await self._answer(question, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, question: Question, writer: asyncio.StreamWriter) -> None:
        self.num_questions += 1
        self.num_open += 1
        self.max_concurrency = max(self.max_concurrency, self.num_open)
        if self._keep:
            self.questions.append(question)
        reply = self.script(self.num_questions, question)
        reply = Reply(reply) if isinstance(reply, str) else reply
        try:
            await asyncio.sleep(reply.latency)
            await _send(reply, question, writer)
        finally:
            self.num_open -= 1


async def _read_question(reader: asyncio.StreamReader) -> Question | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    if length > _MAX_REQUEST_BYTES:
        return None
    body: Question = json.loads(await reader.readexactly(length))
    added = {"path": request.split()[1], "authorization": headers.get("authorization"), "headers": headers}
    return body | added


async def _send(reply: Reply, question: Question, writer: asyncio.StreamWriter) -> None:
    if reply.ending == "hang":
        await asyncio.Event().wait()
    body = reply.body if reply.body is not None else _completion(reply, question)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **reply.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {reply.status} Fake\r\n{head}\r\n".encode("latin-1"))
    if reply.ending == "reset":
        writer.write(body[: len(body) // 2])
        await writer.drain()
        raise ConnectionResetError
    for start in range(0, len(body), 1 if reply.ending == "trickle" else len(body) or 1):
        writer.write(body[start : start + 1] if reply.ending == "trickle" else body)
        await writer.drain()
        await asyncio.sleep(0.05 if reply.ending == "trickle" else 0)


def _completion(reply: Reply, question: Question) -> bytes:
    """Return the body of a chat completion; four characters count as one token, and the end as another."""
    message = {"role": "assistant", "content": reply.text}
    choice = {"index": 0, "finish_reason": reply.finish_reason, "message": message}
    prompt, completion = len(json.dumps(question["messages"])) // 4, len(reply.text) // 4 + 1
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    body = {"id": "fake", "object": "chat.completion", "created": 0, "model": question.get("model", "fake")}
    return json.dumps(body | {"choices": [choice], "usage": usage}).encode()


def main() -> None:
    """Run the server until it is interrupted."""
    parser = argparse.ArgumentParser(description="Run a fake OpenAI-compatible server on loopback.")
    parser.add_argument("--port", type=int, default=8000, help="TCP port; 0 picks a free one (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer (default: %(default)s)")
    parser.add_argument("--faults", default="", help=f"comma-separated names of faults: {', '.join(FAULTS)}")
    parser.add_argument(
        "--every", type=int, default=10, help="questions from one fault to the next (default: %(default)s)"
    )
    options = parser.parse_args()
    faults = [FAULTS[name] for name in options.faults.split(",") if name]
    script = every(options.every, faults, latency=options.latency)
    with FakeServer(script, port=options.port, keep=False) as server:
        print(server.url, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
