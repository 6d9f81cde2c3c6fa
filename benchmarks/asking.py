"""Measure the overhead of `ask`: throughput, CPU time and memory of a run against a fake endpoint.

The endpoint runs in its own process and answers after ``--latency`` seconds; ``--concurrency`` requests are in flight.
The last line is one JSON object:

    efficiency       questions per second, divided by the maximum that the latency allows (concurrency / latency)
    cpu_ratio        CPU time per question, divided by that of a plain loop over httpx2 with as many threads
    cpu_ms           CPU time per question in milliseconds; "close" is the plain loop with a new connection per request
    plain_efficiency efficiency of the plain loop
    memory_ratio     peak memory of a run of ``--many`` questions, divided by that of ``--few``, with a store on disk

    python benchmarks/asking.py
    python benchmarks/asking.py --questions 1280 --many 5000 --few 500
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Answer, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.request_store import RequestStore

QUESTION = "Who or what is meant in the post, and what must one know of it? " * 30 + "\n<post>\nPost {} of Ulm\n</post>"
MAX_TOKENS = 90


@dataclass(frozen=True)
class Cost:
    """Wall time and CPU time of a run, in seconds."""

    seconds: float
    cpu: float


def main() -> None:
    """Run the measurements and print the results."""
    arguments = parse()
    if arguments.only:
        ask_library(arguments.only, arguments.url, arguments.concurrency)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    with server(arguments.latency) as url:
        print(json.dumps(compare(arguments, url) | memory(arguments)))


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=64, help="requests in flight (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds per answer (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=64 * 30, help="questions per run (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each side (default: %(default)s)")
    parser.add_argument("--few", type=int, default=5_000, help="questions of the short run (default: %(default)s)")
    parser.add_argument("--many", type=int, default=50_000, help="questions of the long run (default: %(default)s)")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def server(latency: float) -> Iterator[str]:
    """Run a fake endpoint in another process and yield its address."""
    command = [sys.executable, "-m", "cotpd.testing.fake_server", "--port", "0", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def compare(arguments: argparse.Namespace, url: str) -> dict[str, Any]:
    """Ask the same questions with a plain loop and with `ask`, in turn, and return the medians over all repetitions."""
    runs: dict[str, Callable[[int, str, int], None]] = {
        "plain": ask_plainly,
        "close": lambda *settings: ask_plainly(*settings, keep=False),
        "ask": ask_library,
    }
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for repetition in range(arguments.repetitions):
        for name, run in runs.items():
            cost = measure(run, arguments.questions, url, arguments.concurrency)
            costs[name].append(cost)
            rate = arguments.questions / cost.seconds
            milliseconds = 1e3 * cost.cpu / arguments.questions
            print(f"{name:>9} {repetition + 1}: {rate:6.1f} questions/s, {milliseconds:6.2f} ms CPU time each")
    seconds = statistics.median(cost.seconds for cost in costs["ask"])
    cpu = {name: statistics.median(cost.cpu for cost in repeated) for name, repeated in costs.items()}
    return {
        "efficiency": round(arguments.questions / seconds / (arguments.concurrency / arguments.latency), 3),
        "cpu_ratio": round(cpu["ask"] / cpu["plain"], 3),
        "cpu_ms": {name: round(1e3 * seconds / arguments.questions, 2) for name, seconds in cpu.items()},
        "plain_efficiency": round(
            arguments.questions
            / statistics.median(cost.seconds for cost in costs["plain"])
            / (arguments.concurrency / arguments.latency),
            3,
        ),
    }


def measure(run: Callable[[int, str, int], None], num_questions: int, url: str, concurrency: int) -> Cost:
    """Return the cost of one run."""
    begun, cpu = time.perf_counter(), time.process_time()
    run(num_questions, url, concurrency)
    return Cost(time.perf_counter() - begun, time.process_time() - cpu)


def ask_plainly(num_questions: int, url: str, concurrency: int, *, keep: bool = True) -> None:
    """Ask with httpx2 in a thread pool, without a store, checks or limits; ``keep`` is whether connections are kept."""
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency if keep else 0)
    with httpx2.Client(timeout=60, limits=limits) as client:

        def one(number: int) -> str:
            message = {"role": "user", "content": QUESTION.format(number)}
            body = {"model": "fake", "messages": [message], "max_tokens": MAX_TOKENS, "temperature": 0}
            response = client.post(f"{url}/chat/completions", json=body)
            return str(response.json()["choices"][0]["message"]["content"])

        with ThreadPoolExecutor(concurrency) as pool:
            assert all(pool.map(one, range(num_questions)))


def ask_library(num_questions: int, url: str, concurrency: int) -> None:
    """Ask with the library: every answer is validated and stored on disk."""
    parameters = Parameters(MAX_TOKENS)
    requests = (
        Request((Message("user", QUESTION.format(number)),), parameters, validate=reject_empty)
        for number in range(num_questions)
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        RequestStore(Path(directory) / "requests.sqlite") as store,
        ChatModel("fake", base_url=url, api_key="none", timeout=60) as model,
    ):
        for _, answer in ask(requests, model, store=store, policy=Policy(concurrency=concurrency)):
            assert isinstance(answer, Answer)


def reject_empty(answer: Answer) -> str | None:
    """Reject an answer without text."""
    return None if answer.text.strip() else "empty"


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the peak memory of a short and a long run, each in its own process and without latency."""
    peaks = {}
    for size in (arguments.few, arguments.many):
        with server(0.0) as url:
            command = [
                sys.executable,
                __file__,
                "--only",
                str(size),
                "--url",
                url,
                "--concurrency",
                str(arguments.concurrency),
            ]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[size] = int(ended.stdout)
        print(f"{size:>9,} questions: {peaks[size] / 1024:.0f} MiB peak memory", flush=True)
    return {
        "memory_ratio": round(peaks[arguments.many] / peaks[arguments.few], 3),
        "memory_mib": {str(size): round(peak / 1024) for size, peak in peaks.items()},
    }


if __name__ == "__main__":
    main()
