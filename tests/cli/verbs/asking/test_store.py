"""`cotpd store`: statistics, export, import, repair and batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.llm.language_model import Answer
from cotpd.llm.store.request_store import FailedAttempt, RequestStore, StoredAnswer

Cotpd = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "requests.sqlite"
    with RequestStore(path) as store:
        endpoint, answer = "http://here/v1/", Answer("x", "stop", 10, 2)
        answers = [StoredAnswer(f"key-{number}", endpoint, "small", answer) for number in range(9)]
        rejected = StoredAnswer("bad", endpoint, "small", Answer(""), "empty")
        store.add([*answers, rejected], [FailedAttempt("bad", "empty")])
        store.add_to_batch(["out-1", "out-2"], "batch.jsonl")
    return path


def test_statistics(path: Path, cotpd: Cotpd) -> None:
    ended = cotpd("store", path)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "small at http://here/v1/: 10 answers, 1 of them rejected; 90 prompt tokens, 18 completion tokens",
        "batch.jsonl: 2 open questions in this batch",
        "1 rejected or failed attempts; 0 damaged rows",
    ]
    values = json.loads(cotpd("store", path, "--json").out)
    assert (values["models"][0]["answers"], values["failed_attempts"], values["batches"]) == (10, 1, {"batch.jsonl": 2})


def test_an_export_can_be_imported(path: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    assert "10 answers" in cotpd("store", path, "--export", tmp_path / "out.jsonl").err
    ended = cotpd("store", tmp_path / "new.sqlite", "--import", tmp_path / "out.jsonl")
    assert (ended.code, "10 answers imported" in ended.err) == (0, True)
    with RequestStore(path) as one, RequestStore(tmp_path / "new.sqlite") as other:
        assert list(one) == list(other)


def test_an_export_overwrites_no_file(path: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    (tmp_path / "link").symlink_to(path)
    for target in (path, tmp_path / "link"):
        before = path.read_bytes()
        ended = cotpd("store", path, "--export", target)
        assert (ended.code, path.read_bytes()) == (2, before)
        assert f"{target} exists and is never overwritten" in ended.err
    answers, new = tmp_path / "out.jsonl", tmp_path / "new.sqlite"
    assert cotpd("store", path, "--export", answers).code == 0
    assert cotpd("store", new, "--import", answers, "--export", new).code == 2
    assert not new.exists()


def test_an_export_may_go_to_a_device(path: Path, cotpd: Cotpd) -> None:
    assert cotpd("store", path, "--export", "/dev/null").code == 0


def test_a_damaged_store_is_repaired_on_request(path: Path, cotpd: Cotpd) -> None:
    data = path.read_bytes()
    path.write_bytes(b"\xff" * 16 + data[16:])
    ended = cotpd("store", path)
    assert (ended.code, "damaged" in ended.err) == (1, True)
    assert path.read_bytes()[:1] == b"\xff"
    assert "10 of its answers were recovered" in cotpd("store", path, "--repair").err
    assert cotpd("store", path).code == 0


def test_a_lost_batch_is_forgotten(path: Path, cotpd: Cotpd) -> None:
    assert "2 questions of batch.jsonl are open again" in cotpd("store", path, "--forget-batch", "batch.jsonl").err


def test_a_batch_may_be_named_by_a_relative_path(
    path: Path, tmp_path: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RequestStore(path) as store:
        store.add_to_batch(["out-3"], str(tmp_path / "other.jsonl"))
    monkeypatch.chdir(tmp_path)
    assert "1 questions of other.jsonl are open again" in cotpd("store", path, "--forget-batch", "other.jsonl").err


def test_a_missing_store_is_an_error_and_is_not_created(tmp_path: Path, cotpd: Cotpd) -> None:
    ended = cotpd("store", tmp_path / "nothing.sqlite")
    assert (ended.code, "no such request store" in ended.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
