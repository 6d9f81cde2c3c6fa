"""Tests of importing the answers that were released with PGIM. All posts and answers here are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import Grain
from cotpd.knowledge.pgim import import_answers, main, split_answer

ANSWER = (
    "Named Entities: 1. Mara Quill (person/singer)2. Port Ellery (city) Reasoning: Mara Quill is a singer. "
    'She said "no." The photo shows a stage! #Ellery is a port. The images of 2019 are old? Yes'
)
RELEASE = [
    {"image_id": "O_17", "text": ANSWER},
    {"image_id": "17_06_1", "text": "named entities： none\nREASON : The picture is dark."},
    {"image_id": "905", "text": "No heading here. A photograph, though. imagery is not counted."},
    {"image_id": "906", "text": "  "},
    {"image_id": "907", "text": "1. Zoë (person) Reasoning:", "split": "dev"},
]
ROWS = [
    ("O_17", "noun", "1. Mara Quill (person/singer)2. Port Ellery (city)"),
    ("O_17", "sentence", "Mara Quill is a singer. #Ellery is a port. Yes"),
    ("O_17", "multimodality", 'She said "no." The photo shows a stage! The images of 2019 are old?'),
    ("17_06_1", "noun", "none"),
    ("17_06_1", "multimodality", "The picture is dark."),
    ("905", "sentence", "No heading here."),
    ("905", "multimodality", "A photograph, though. imagery is not counted."),
    ("907", "noun", "1. Zoë (person)"),
]
"""What the rule of the published figures makes of `RELEASE`: ids, grains and texts."""


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_released_answers_become_rows_of_three_grains(tmp_path: Path) -> None:
    first, second = write(tmp_path / "train.jsonl", RELEASE[:2]), write(tmp_path / "valid.jsonl", RELEASE[2:])
    summary = import_answers([first, second], tmp_path / "corpus" / "knowledge.jsonl")
    expected = [
        {"image_id": image_id, "grain": grain, "model": "gpt-3.5-turbo", "template": "pgim.split.v1", "text": text}
        for image_id, grain, text in ROWS
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in expected)
    assert (tmp_path / "corpus" / "knowledge.jsonl").read_text(encoding="utf-8") == lines
    assert (summary.num_answers, summary.num_empty) == (5, 1)
    assert summary.num_rows == {Grain.NOUN: 3, Grain.SENTENCE: 2, Grain.MULTIMODALITY: 3}


def test_only_the_first_reasoning_heading_divides_an_answer() -> None:
    grains = split_answer("1. Ivo (person) Reasoning: Ivo runs. Reasoning: Named Entities: The image shows Ivo.")
    assert grains[Grain.NOUN] == "1. Ivo (person)"
    assert grains[Grain.SENTENCE] == "Ivo runs."
    assert grains[Grain.MULTIMODALITY] == "Reasoning: Named Entities: The image shows Ivo."


def test_number_as_image_id_is_written_as_text(tmp_path: Path) -> None:
    import_answers([write(tmp_path / "a.jsonl", [{"image_id": 905, "text": "Rain."}])], tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))["image_id"] == "905"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a JSON object"),
        ('["905", "Rain."]', "expected a JSON object"),
        ('{"image_id": "905"}', "but text: field required"),
        ('{"text": "Rain."}', "but image_id: field required"),
        ('{"image_id": true, "text": "Rain."}', "but image_id: input should be a valid string"),
        ('{"image_id": "905", "text": null}', "but text: input should be a valid string"),
    ],
)
def test_bad_line_is_reported_with_its_place_and_nothing_is_written(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"image_id": "1", "text": "Rain."}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"train\.jsonl:2: .*{message}"):
        import_answers([path], tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_existing_knowledge_is_never_overwritten(tmp_path: Path) -> None:
    out = write(tmp_path / "knowledge.jsonl", [])
    with pytest.raises(UsageError, match=r"knowledge\.jsonl exists"):
        import_answers([write(tmp_path / "a.jsonl", RELEASE)], out)


def test_command_line_reports_counts_and_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write(tmp_path / "a.jsonl", RELEASE), tmp_path / "out.jsonl"
    assert main([str(source), "--out", str(out)]) == 0
    assert "5 answers (1 empty); rows: 3 noun, 2 sentence, 3 multimodality" in capsys.readouterr().out
    assert main([str(source), "--out", str(out)]) == UsageError.exit_code
    assert main([str(tmp_path / "missing.jsonl"), "--out", str(tmp_path / "b.jsonl")]) == DataError.exit_code
    assert capsys.readouterr().err.count("error: ") == 2


@pytest.mark.parametrize("corpus", ["twitter2015", "twitter2017"])
def test_rule_divides_the_published_knowledge_as_it_was_divided(corpus: str, shared: Path) -> None:
    """A grain of the published rows, put behind its heading again, is recognised as the same grain."""
    lines = (shared / corpus / "knowledge.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) > 10_000
    for row in rows:
        text = row["text"]
        answer = f"Named Entities: {text} Reasoning: " if row["grain"] == "noun" else f"Reasoning: {text}"
        assert {grain: part for grain, part in split_answer(answer).items() if part} == {row["grain"]: text}, row
