"""Exports to sidecar files: which rows are replaced, where new rows go, and locking."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from pathlib import Path

import pytest

from cotpd.core.errors import UsageError
from cotpd.core.files import json_line
from cotpd.core.guards.locks import locked
from cotpd.core.records import Grain, Knowledge, Rejection
from cotpd.core.sidecars.export import (
    export_captions,
    export_knowledge,
    knowledge_rejections_path,
    rejections_path,
    require_own_file,
)
from cotpd.core.sidecars.rows import CaptionRow, ImageRejectionRow, KnowledgeRow


def caption_row(image_id: str, text: str, captioner: str = "one") -> CaptionRow:
    return CaptionRow(image_id=image_id, captioner=captioner, key="k", text=text)


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def test_new_rows_replace_older_ones_with_the_same_subject_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    by_hand = {"image_id": "a", "captioner": "one", "text": "by hand"}
    path.write_text(json_line(by_hand), encoding="utf-8")
    export_captions(path, [caption_row("a", "A"), caption_row("b", "B")], [])
    export_captions(path, [caption_row("a", "two", "two")], [])
    export_captions(path, [caption_row("a", "new A"), caption_row("c", "C")], [])
    assert texts(path) == ["by hand", "new A", "C", "B", "two"]


def test_an_unreadable_image_keeps_its_caption_and_gets_a_rejection(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    export_captions(path, [caption_row("a", "A")], [])
    rejection = ImageRejectionRow(image_id="a", captioner="one", key="r", reason="missing")
    export_captions(path, [], [rejection], unreadable={"a"})
    assert texts(path) == ["A"]
    assert len(rejections_path(path).read_text("utf-8").splitlines()) == 1
    export_captions(path, [], [rejection])
    assert texts(path) == []


def test_knowledge_and_rejections_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.jsonl"
    knowledge = Knowledge(Grain.NOUN, "text", "model", "noun.v1", example_id="a")
    rejection = Rejection("a", Grain.NOUN, "empty", "", "model", "noun.v1")
    for answer, num_kept, num_rejected in ((knowledge, 1, 0), (rejection, 0, 1), (knowledge, 1, 0)):
        export_knowledge(path, {"key": answer})
        assert len(path.read_text("utf-8").splitlines()) == num_kept
        rejected = knowledge_rejections_path(path)
        assert len(rejected.read_text("utf-8").splitlines() if rejected.exists() else []) == num_rejected


def test_an_unchanged_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    export_captions(path, [caption_row("a", "A")], [])
    before = path.stat()
    export_captions(path, [caption_row("a", "A")], [])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_export_waits_for_another_one(tmp_path: Path) -> None:
    """Otherwise it would overwrite the rows that the other one adds."""
    path = tmp_path / "captions.jsonl"
    with ThreadPoolExecutor() as pool:
        with locked(tmp_path / ".captions.jsonl.lock"):
            waiting = pool.submit(export_captions, path, [caption_row("a", "A")], [])
            with pytest.raises(NotDone):
                waiting.result(timeout=0.1)
            path.write_text(json_line({"image_id": "b", "captioner": "two", "text": "B"}), encoding="utf-8")
        waiting.result(timeout=60)
    assert texts(path) == ["B", "A"]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """An output file that is a corpus file, or a sidecar file of another kind, would be damaged."""
    own = {
        CaptionRow: {"image_id": "i", "text": "a dog"},
        KnowledgeRow: {"example_id": "e", "grain": "noun", "text": "a dog"},
    }
    foreign = ({"id": "a", "text": "b"}, {"id": "a", "words": ["b"]}, {"text": "b", "entities": []}, {})
    path = tmp_path / "out.jsonl"
    for kind, row in own.items():
        others = [*foreign, *(other for each, other in own.items() if each is not kind)]
        for content in (*map(json_line, others), "Mia\tB-PER\n", json_line(row) + json_line(others[0])):
            path.write_text(content, encoding="utf-8")
            with pytest.raises(UsageError, match="choose another file"):
                require_own_file(path, kind)
            assert path.read_text("utf-8") == content
        path.write_text(json_line(row), encoding="utf-8")
        require_own_file(path, kind)
        path.unlink()
        require_own_file(path, kind)
