"""Turn the GPT-3.5 answers that were released with PGIM into knowledge of three grains.

PGIM (Li et al., 2023) asked one question about each post of Twitter-2015 and Twitter-2017. An answer first lists the
guessed entities, then gives the reasoning. `split_answer` divides it by a rule, `pgim.split.v1`. From a shell::

    python -m cotpd.knowledge.pgim train.jsonl valid.jsonl test.jsonl --out data/twitter2017/knowledge.jsonl

The input has one JSON object per line: ``{"image_id": "...", "text": "..."}``, the text being a whole answer.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from cotpd.core.errors import CotpdError, DataError, UsageError
from cotpd.core.files import read_jsonl, write_jsonl
from cotpd.core.records import Grain, Knowledge

MODEL = "gpt-3.5-turbo"
"""The language model that PGIM asked."""
TEMPLATE = "pgim.split.v1"
"""The name of the rule of `split_answer`. It marks rows that do not come from a template of this project."""

_LIST_HEADING = re.compile(r"^\s*named entities\s*[:：]?\s*", re.IGNORECASE)
_REASONING_HEADING = re.compile(r"reason(?:ing)?\s*[:：]", re.IGNORECASE)
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=[A-Z"#@“])')
_IMAGE = re.compile(r"\b(image|picture|photo|photograph)s?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What one import read and wrote."""

    num_answers: int
    num_empty: int
    """Answers that gave no row."""
    num_rows: Mapping[Grain, int]


def split_answer(answer: str) -> dict[Grain, str]:
    """Divide one answer of PGIM into the three grains; a grain may be empty.

    ``noun`` is the text before the first "Reason:" or "Reasoning:", without the heading "Named Entities:".
    ``multimodality`` are the sentences after it that mention an image, picture, photo or photograph. ``sentence`` are
    the other sentences after it. An answer without that heading has no ``noun``.
    """
    heading = _REASONING_HEADING.search(answer)
    entities, reasoning = (answer[: heading.start()], answer[heading.end() :]) if heading else ("", answer)
    sentences = _SENTENCE_END.split(reasoning.strip())
    return {
        Grain.NOUN: _LIST_HEADING.sub("", entities).strip(),
        Grain.SENTENCE: " ".join(each for each in sentences if not _IMAGE.search(each)).strip(),
        Grain.MULTIMODALITY: " ".join(each for each in sentences if _IMAGE.search(each)).strip(),
    }


def knowledge_of(image_id: str, answer: str) -> list[Knowledge]:
    """Return the knowledge that one answer holds: at most one record per grain, none for an empty grain."""
    grains = split_answer(answer).items()
    return [Knowledge(grain, text, MODEL, TEMPLATE, image_id=image_id) for grain, text in grains if text]


def import_answers(paths: Iterable[Path], out: Path) -> ImportSummary:
    """Write the knowledge in files of PGIM's answers to a new JSONL file, in the order of the input.

    Raises:
        UsageError: If ``out`` exists.
        DataError: If a line is not an object with ``image_id`` and ``text``; with file:line. Nothing is written.
    """
    if out.exists():
        raise UsageError(f"{out} exists; choose another file with --out, or move it away")
    answers = [knowledge_of(row.image_id, row.text) for path in paths for row in _read(path)]
    rows = [knowledge for answer in answers for knowledge in answer]
    write_jsonl(out, map(_to_row, rows))
    return ImportSummary(len(answers), answers.count([]), Counter(row.grain for row in rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see `cotpd.core.errors` for the codes."""
    parser = argparse.ArgumentParser(
        prog="python -m cotpd.knowledge.pgim",
        description="Turn the GPT-3.5 answers released with PGIM into a knowledge.jsonl with three grains.",
    )
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines, each with image_id and text (a whole answer)")
    parser.add_argument(
        "--out", type=Path, required=True, help="the new file, such as data/twitter2017/knowledge.jsonl"
    )
    options = parser.parse_args(arguments)
    try:
        summary = import_answers(options.files, options.out)
    except (CotpdError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return getattr(error, "exit_code", 1)
    counts = ", ".join(f"{summary.num_rows.get(grain, 0):,} {grain}" for grain in Grain)
    print(f"{options.out}: {summary.num_answers:,} answers ({summary.num_empty:,} empty); rows: {counts}")  # noqa: T201
    return 0


class _PgimRow(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    image_id: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
    text: str


def _read(path: Path) -> Iterator[_PgimRow]:
    for where, values in read_jsonl(path):
        try:
            yield _PgimRow.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            message = f"expected an object with image_id and text, but {first['loc'][0]}: {first['msg'].lower()}"
            raise DataError(f"{message}; correct or remove the line", where=where) from error


def _to_row(knowledge: Knowledge) -> dict[str, Any]:
    return {
        "image_id": knowledge.image_id,
        "grain": str(knowledge.grain),
        "model": knowledge.model,
        "template": knowledge.template,
        "text": knowledge.text,
    }


if __name__ == "__main__":
    sys.exit(main())
