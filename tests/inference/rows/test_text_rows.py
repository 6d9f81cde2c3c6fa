"""Reading rows of text: lines, JSON lines, and the place of each error."""

from __future__ import annotations

import io
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


@pytest.mark.parametrize(
    "line",
    [
        "Ajax NNP B-NP B-ORG",
        "wins VBZ B-VP O",
        "wins VBZ O",
        "Ajax _ _ U-ORG",
        "wins _ _ O",
        "\n\n1\tMia\tB-PER\tO",
        "1 Mia B-PER O",
        "New York\tNNP\tB-LOC",
        "1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_",
        "# sent_id = 3",
        "#FORMAT=WebAnno TSV 3.3",
        "-DOCSTART- -X- O O",
        "imgid:3",
    ],
)
def test_columns_of_a_corpus_are_not_read_as_lines_of_text(line: str) -> None:
    with pytest.raises(DataError, match="cotpd convert"):
        list(stream_text_rows(io.BytesIO(line.encode()), "<stdin>"))


@pytest.mark.parametrize(
    "line",
    [
        "her blood type is O",
        "BLOOD TYPE O",
        "she got a B-minus",
        "#text me",
        "2 of us O",
        "1\tMia\tsings",
        "text = more",
        "a _ b _ c",
    ],
)
def test_texts_that_end_like_tags_are_texts(line: str) -> None:
    assert [row.text for row in stream_text_rows(io.BytesIO(line.encode()), "<stdin>")] == [line]


def test_numbers_that_json_cannot_express_are_an_error(tmp_path: Path) -> None:
    """Fields of a row are passed through; infinity would make the answer something other than JSON."""
    path = tmp_path / "a.jsonl"
    for number in ("1e999", "-1e999", "NaN", "Infinity", "[1e400]"):
        path.write_text(f'{{"text": "ok"}}\n{{"text": "Mia", "likes": {number}}}\n', encoding="utf-8")
        rows = read_text_rows(path)
        assert next(rows).text == "ok"
        with pytest.raises(DataError, match=r"a\.jsonl:2"):
            next(rows)
    path.write_text('{"text": "Mia", "likes": 1e300, "n": 123456789012345678901234567890}\n', encoding="utf-8")
    assert next(read_text_rows(path)).fields["n"] == 123456789012345678901234567890
