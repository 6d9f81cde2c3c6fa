"""Reading rows of text: lines, JSON lines, and the place of each error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cotpd.core.errors import DataError
from cotpd.inference.rows.text_rows import read_text_rows, stream_text_rows

TEXTS = ["Messi lifts the cup in Lusail", "it's #Glastonbury 👩\u200d🚀!!", ""]


def test_lines_of_files_and_streams_are_rows(tmp_path: Path) -> None:
    (tmp_path / "posts.txt").write_text("\ufeff" + "\n".join(TEXTS) + "\n", encoding="utf-8")
    assert [row.text for row in read_text_rows(tmp_path / "posts.txt")] == TEXTS
    lines = ["\ufeff" + TEXTS[0] + "\r\n", TEXTS[1]]
    rows = list(stream_text_rows([line.encode() for line in lines], "<stdin>"))
    assert [(row.text, row.where, row.fields) for row in rows] == [
        (TEXTS[0], "<stdin>:1", {}),
        (TEXTS[1], "<stdin>:2", {}),
    ]


def test_json_lines_have_text_or_words_and_keep_their_fields(tmp_path: Path) -> None:
    posts = [{"id": 7, "text": TEXTS[0]}, {"id": 8, "words": TEXTS[0].split()}]
    for suffix in ("jsonl", "ndjson", "json"):
        file = tmp_path / f"posts.{suffix}"
        file.write_text("\n\n".join(map(json.dumps, posts)), encoding="utf-8")
        rows = list(read_text_rows(file))
        assert [row.text for row in rows] == [TEXTS[0], TEXTS[0]]
        assert [row.fields for row in rows] == posts
        assert rows[1].where == f"{file}:3"


def test_a_defective_row_is_named_after_the_rows_before_it(tmp_path: Path) -> None:
    cases = {
        b'{"text": "ok"}\n{"text": \n': "posts.jsonl:2: not a JSON object",
        b'{"text": "ok"}\n[1]\n': "posts.jsonl:2: expected a JSON object",
        b'{"text": "ok"}\n{"words": ["a", 1]}\n': "posts.jsonl:2: expected `text` .* or `words`",
        b'{"text": "ok"}\n{"text": 3, "words": ["a"]}\n': "posts.jsonl:2: expected `text`",
        b'{"text": "ok"}\n{"text": "\xff"}\n': "posts.jsonl:2: .* not valid UTF-8",
    }
    file = tmp_path / "posts.jsonl"
    for content, message in cases.items():
        file.write_bytes(content)
        rows = read_text_rows(file)
        assert next(rows).text == "ok"
        with pytest.raises(DataError, match=message):
            next(rows)
    with pytest.raises(DataError, match=r"none\.txt: cannot read"):
        list(read_text_rows(tmp_path / "none.txt"))


def test_other_formats_are_not_read_as_lines_of_text(tmp_path: Path) -> None:
    cases = {
        "IMGID:12": "tagged words; run `cotpd convert",
        "Messi\tB-PER": "tagged words; run `cotpd convert",
        "the O": "tagged words; run `cotpd convert",
        '{"text": "Messi"}': "JSON lines; save them",
        '{"words": ["Messi"]}': "JSON lines; save them",
    }
    for line, message in cases.items():
        content = f"{line}\nLusail\tB-LOC\n"
        (tmp_path / "train.txt").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=rf"train\.txt:1: expected lines of text, got {message}"):
            list(read_text_rows(tmp_path / "train.txt"))
        with pytest.raises(DataError, match=rf"<stdin>:1: expected lines of text, got {message}"):
            list(stream_text_rows(content.encode().splitlines(keepends=True), "<stdin>"))
