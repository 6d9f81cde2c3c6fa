"""What asking costs beside the asking itself: throughput, processor time and memory of a run against a fake endpoint.

The endpoint runs in a process of its own and answers after ``--latency`` seconds; ``--at-once`` requests are on their
way. The last line is one JSON object:

    efficiency   questions a second over those that latency alone would allow (at-once / latency)
    cpu_ratio    processor time a question over that of a bare loop of the openai SDK in as many threads, same run
    memory_ratio peak memory of a run of ``--many`` questions over one of ``--few``, store on the disk

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

import openai

from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.language_model import Answer, Message, Parameters, Request
from cotpd.llm.models.chat_model import ChatModel
from cotpd.llm.store.request_store import RequestStore

QUESTION = "Who or what is meant in the post, and what must one know of it? " * 30 + "\n<post>\nPost {} of Ulm\n</post>"
MAX_TOKENS = 90


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds by the clock, seconds of this process's processors."""

    seconds: float
    cpu: float


def main() -> None:
    """Measure and print."""
    arguments = parse()
    if arguments.only:
        with_store(arguments.only, arguments.url, arguments.at_once)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    with server(arguments.latency) as url:
        print(json.dumps(compare(arguments, url) | memory(arguments)))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--questions", type=int, default=64 * 30)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--few", type=int, default=5_000)
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def server(latency: float) -> Iterator[str]:
    """The address of a fake endpoint in another process."""
    command = [sys.executable, "-m", "cotpd.testing.fake_server", "--port", "0", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def compare(arguments: argparse.Namespace, url: str) -> dict[str, Any]:
    """Both ways of asking the same questions, one after the other, again and again: the medians."""
    runs: dict[str, Callable[[int, str, int], None]] = {"bare SDK": bare, "ask": with_store}
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for repetition in range(arguments.repetitions):
        for name, run in runs.items():
            cost = measured(run, arguments.questions, url, arguments.at_once)
            costs[name].append(cost)
            rate = arguments.questions / cost.seconds
            print(
                f"{name:>9} {repetition + 1}: {rate:6.1f}/s, {1e3 * cost.cpu / arguments.questions:6.2f} ms of CPU each"
            )
    seconds = statistics.median(cost.seconds for cost in costs["ask"])
    cpu = {name: statistics.median(cost.cpu for cost in found) for name, found in costs.items()}
    return {
        "efficiency": round(arguments.questions / seconds / (arguments.at_once / arguments.latency), 3),
        "cpu_ratio": round(cpu["ask"] / cpu["bare SDK"], 3),
        "cpu_ms": {name: round(1e3 * found / arguments.questions, 2) for name, found in cpu.items()},
        "bare_efficiency": round(
            arguments.questions
            / statistics.median(cost.seconds for cost in costs["bare SDK"])
            / (arguments.at_once / arguments.latency),
            3,
        ),
    }


def measured(run: Callable[[int, str, int], None], num_questions: int, url: str, at_once: int) -> Cost:
    """The cost of one run."""
    begun, cpu = time.perf_counter(), time.process_time()
    run(num_questions, url, at_once)
    return Cost(time.perf_counter() - begun, time.process_time() - cpu)


def bare(num_questions: int, url: str, at_once: int) -> None:
    """The SDK in a pool of threads: no store, no checks, no limits, and a list of all answers."""
    limits = openai.DefaultHttpxClient(timeout=60)
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, http_client=limits) as client:

        def one(number: int) -> str | None:
            message = {"role": "user", "content": QUESTION.format(number)}
            said = client.chat.completions.create(
                model="fake",
                messages=[message],
                max_tokens=MAX_TOKENS,
                temperature=0,  # type: ignore[list-item]
            )
            return said.choices[0].message.content

        with ThreadPoolExecutor(at_once) as pool:
            assert all(pool.map(one, range(num_questions)))


def with_store(num_questions: int, url: str, at_once: int) -> None:
    """The library: every answer validated and on the disk."""
    parameters = Parameters(MAX_TOKENS)
    requests = (
        Request((Message("user", QUESTION.format(number)),), parameters, validate=empty)
        for number in range(num_questions)
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        RequestStore(Path(directory) / "requests.sqlite") as store,
        ChatModel("fake", base_url=url, api_key="none", timeout=60) as model,
    ):
        for _, answer in ask(requests, model, store=store, policy=Policy(concurrency=at_once)):
            assert isinstance(answer, Answer)


def empty(answer: Answer) -> str | None:
    """The reason to reject an answer without text."""
    return None if answer.text.strip() else "empty"


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """The peak memory of two runs of different length, each in a process of its own, without latency."""
    peaks = {}
    for size in (arguments.few, arguments.many):
        with server(0.0) as url:
            command = [sys.executable, __file__, "--only", str(size), "--url", url, "--at-once", str(arguments.at_once)]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[size] = int(ended.stdout)
        print(f"{size:>9,} questions: {peaks[size] / 1024:.0f} MiB at most", flush=True)
    return {
        "memory_ratio": round(peaks[arguments.many] / peaks[arguments.few], 3),
        "memory_mib": {str(size): round(peak / 1024) for size, peak in peaks.items()},
    }


if __name__ == "__main__":
    main()
