"""`cotpd store`: what was paid for is counted, published, taken over and mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotpd.llm.language_model import Answer
from cotpd.llm.store.request_store import Kept, Mishap, RequestStore

Cotpd = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "requests.sqlite"
    with RequestStore(path) as store:
        answers = [Kept(f"key-{number}", "http://here/v1/", "small", Answer("x", "stop", 10, 2)) for number in range(9)]
        store.add([*answers, Kept("bad", "http://here/v1/", "small", Answer(""), "empty")], [Mishap("bad", "empty")])
        store.send_out(["out-1", "out-2"], "batch.jsonl")
    return path


def test_statistics(path: Path, cotpd: Cotpd) -> None:
    ended = cotpd("store", path)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "small at http://here/v1/: 10 answers, 1 of them rejected; 90 tokens read, 18 written",
        "batch.jsonl: 2 questions are out in this batch",
        "1 attempts were rejected or failed; 0 rows are damaged",
    ]
    told = json.loads(cotpd("store", path, "--json").out)
    assert (told["models"][0]["answers"], told["mishaps"], told["batches"]) == (10, 1, {"batch.jsonl": 2})


def test_a_run_is_published_and_taken_over(path: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    assert "10 answers" in cotpd("store", path, "--export", tmp_path / "out.jsonl").err
    ended = cotpd("store", tmp_path / "new.sqlite", "--import", tmp_path / "out.jsonl")
    assert (ended.code, "10 answers taken over" in ended.err) == (0, True)
    with RequestStore(path) as one, RequestStore(tmp_path / "new.sqlite") as other:
        assert list(one) == list(other)


def test_an_export_overwrites_nothing(path: Path, tmp_path: Path, cotpd: Cotpd) -> None:
    """Least of all the store, with all that was paid for."""
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


def test_an_export_may_go_into_a_pipe(path: Path, cotpd: Cotpd) -> None:
    assert cotpd("store", path, "--export", "/dev/null").code == 0


def test_a_damaged_store_is_told_and_mended(path: Path, cotpd: Cotpd) -> None:
    data = path.read_bytes()
    path.write_bytes(b"\xff" * 16 + data[16:])
    ended = cotpd("store", path)
    assert (ended.code, "damaged" in ended.err) == (1, True)
    assert path.read_bytes()[:1] == b"\xff"
    assert "10 of its answers were saved" in cotpd("store", path, "--repair").err
    assert cotpd("store", path).code == 0


def test_a_batch_is_called_back(path: Path, cotpd: Cotpd) -> None:
    assert "2 questions of batch.jsonl may be asked again" in cotpd("store", path, "--call-back", "batch.jsonl").err


def test_a_batch_is_called_back_from_where_it_lies(
    path: Path, tmp_path: Path, cotpd: Cotpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RequestStore(path) as store:
        store.send_out(["out-3"], str(tmp_path / "other.jsonl"))
    monkeypatch.chdir(tmp_path)
    assert "1 questions of other.jsonl may be asked again" in cotpd("store", path, "--call-back", "other.jsonl").err


def test_a_store_that_is_not_there_is_named_and_not_made(tmp_path: Path, cotpd: Cotpd) -> None:
    ended = cotpd("store", tmp_path / "nothing.sqlite")
    assert (ended.code, "there is no such store" in ended.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
