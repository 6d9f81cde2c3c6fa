"""Export of answers from one store and import into another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cotpd.core.errors import DataError
from cotpd.core.files import json_line
from cotpd.llm.language_model import Answer
from cotpd.llm.store.exchange import export_answers, import_answers
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

ANSWERS = [
    StoredAnswer("a", "http://here/v1/", "small", Answer("One 🎈 \u2028 line", "stop", 3, 4, "small-7")),
    StoredAnswer("b", "http://here/v1/", "small", Answer(""), "empty"),
]


def test_an_import_gives_the_same_answers(tmp_path: Path) -> None:
    with RequestStore() as store, RequestStore() as other:
        store.add(reversed(ANSWERS))
        assert export_answers(store, tmp_path / "out.jsonl") == 2
        assert import_answers(other, tmp_path / "out.jsonl") == 2
        assert list(other) == ANSWERS
        assert import_answers(other, tmp_path / "out.jsonl") == 0
        assert export_answers(other, tmp_path / "again.jsonl") == 2
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_an_import_replaces_no_answer(tmp_path: Path) -> None:
    theirs = json_line({"key": "a", "endpoint": "", "model": "", "answer": {"text": "theirs"}})
    (tmp_path / "theirs.jsonl").write_text(theirs, encoding="utf-8")
    with RequestStore() as store:
        store.add(ANSWERS)
        assert import_answers(store, tmp_path / "theirs.jsonl") == 0
        assert store.find("a") == ANSWERS[0]


@pytest.mark.parametrize(
    "change",
    [
        {"key": 7},
        {"answer": "text"},
        {"answer": {"text": None}},
        {"model": None},
        {"key": "half \ud83d"},
        {"rejected": "half \ud83d"},
    ],
)
def test_an_invalid_row_is_an_error(change: dict[str, object], tmp_path: Path) -> None:
    row = {"key": "a", "endpoint": "", "model": "", "answer": {"text": "fine"}} | change
    (tmp_path / "odd.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with RequestStore() as store, pytest.raises(DataError, match=r"odd\.jsonl:1: not an answer from `cotpd store"):
        import_answers(store, tmp_path / "odd.jsonl")


def test_a_full_disk_leaves_the_old_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("published\n", encoding="utf-8")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with RequestStore() as store:
        store.add(ANSWERS)
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            export_answers(store, out)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert out.read_text("utf-8") == "published\n"
