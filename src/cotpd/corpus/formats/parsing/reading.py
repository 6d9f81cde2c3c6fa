"""What a reader of any format gives: an example, where it stands, and the split it names; and how it shall read."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from cotpd.core.files import read_jsonl, read_lines
from cotpd.core.labels import Repair, TagScheme, defect_of, from_iob1, to_entities
from cotpd.core.records import Entity, Example
from cotpd.core.splitting import Rule
from cotpd.corpus.defects import Defect, Report, Severity, quoted

Id = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""An id in JSON: a text, or a whole number for it."""
Splitting = Rule | Literal["spaces"]
"""A rule of `cotpd.core.splitting`, or ``spaces``: text was split before, words are what stands between its spaces."""
Model = TypeVar("Model", bound=BaseModel)
_INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"}
_CONTROLS = {"Cc", "Zl", "Zp"}
_SPACES = set(" \t\n\r")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One example of a file; ``where`` is its ``file:line``, ``split`` the value that the row itself gives."""

    example: Example
    where: str
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: what hears of defects, the repair of broken tags, types to rename, and hints.

    Hints are for what a file cannot tell: the ``scheme`` of its tags (by default the one they look like), the
    ``columns`` of words and tags (from 0, negative from the right), the ``splitting`` of running text into words,
    and the ``format``.
    """

    report: Report
    repair: Repair = Repair.CONLLEVAL
    label_map: Mapping[str, str] = field(default_factory=dict)
    scheme: TagScheme | None = None
    columns: tuple[int, int] = (0, -1)
    splitting: Splitting = Rule.FINE
    format: str | None = None

    def warn(self, kind: str, where: str, message: str) -> None:
        """Report something that can be read all the same."""
        self.report(Defect(kind, where, message))

    def fail(self, kind: str, where: str, message: str) -> None:
        """Report something that breaks the format; returns only when defects are collected."""
        self.report(Defect(kind, where, message, Severity.ERROR))

    def not_kept(self, path: Path, counts: Counter[str]) -> None:
        """Report what a file holds and an `Example` does not, as one defect."""
        if listed := ", ".join(f"{number:,} {name}" for name, number in sorted((+counts).items())):
            self.warn("not-kept", str(path), f"not read, since no example holds it: {listed}")

    def label(self, label: str) -> str:
        """The type under which a type of the file is known."""
        return self.label_map.get(label, label)

    def entities(self, tags: Sequence[str], places: Sequence[str], scheme: TagScheme | None) -> tuple[Entity, ...]:
        """The entities of well-formed tags, renamed and repaired; every orphan is reported at its word's place."""
        kept = []
        for entity in to_entities(from_iob1(tags) if scheme == "IOB1" else tags, scheme=scheme):
            start, end = entity.span.start, entity.span.end
            if entity.orphan and not self._keeps(defect_of(tags[start:end], scheme), places[start]):
                continue
            kept.append(replace(entity, label=self.label(entity.label)))
        return tuple(kept)

    def check_words(self, words: Sequence[str], places: Sequence[str]) -> None:
        """Report words that nobody sees, U+FFFD, and control, bidi or byte order marks, each at its place."""
        for word, where in zip(words, places, strict=True):
            if not word or word.isalnum():
                continue
            categories = {unicodedata.category(character) for character in word}
            if categories <= _INVISIBLE:
                self.warn("invisible-word", where, f"the word {quoted(word)} has no visible character")
            elif "\ufffd" in word:
                self.warn("replacement-character", where, f"U+FFFD in {quoted(word)}: a character was lost before")
            elif categories & _CONTROLS or _HIDDEN.search(word):
                self.warn("control-character", where, f"a control character in {quoted(word)}")

    def lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """``(number, line)`` of a text file; what is not UTF-8, and a CR alone that ends no line here, are errors."""
        for number, line in read_lines(path, on_defect=lambda error: self.report(Defect.of(error, "encoding"))):
            if "\r" in line:
                self.fail("lone-cr", f"{path}:{number}", "a CR without LF in the line; end lines with LF or CRLF")
            yield number, line

    def has_label(self, label: str, where: str) -> bool:
        """Whether a label is one; a blank one is reported as an error."""
        if label.strip():
            return True
        self.fail("empty-label", where, "an entity or relation with a blank label; give it one or remove it")
        return False

    def json_rows(self, path: Path, model: type[Model]) -> Iterator[tuple[str, Model]]:
        """``(file:line, row)`` of a JSONL file; a line that does not fit the model is reported and left out.

        Lone surrogates, which no file can hold, become U+FFFD and are reported.
        """
        for where, values in read_jsonl(path, on_defect=lambda error: self.report(Defect.of(error))):
            if (row := self.fitting(values, where, model)) is not None:
                yield where, row

    def fitting(self, values: Any, where: str, model: type[Model]) -> Model | None:
        """Plain values as a row of this model; None, and a report, where they do not fit it."""
        try:
            return model.model_validate(self._encodable(values, where))
        except ValidationError as error:
            reason = _explain(error)
        except (TypeError, ValueError, RecursionError) as error:  # sets, keys that are no texts, deep nesting
            reason = f"no JSON value ({error})"
        self.fail("bad-row", where, f"{reason}; see docs/corpora.md for the format")
        return None

    def check_row_words(self, words: Sequence[str], where: str) -> None:
        """As `check_words`, for words that stand in one row: empty ones are errors, white space is reported."""
        self.check_words(words, [where] * len(words))
        for number, word in enumerate(words, 1):
            if not word:
                self.fail("empty-word", where, f"word {number} is empty; remove it or give the word")
        self.check_spaces(words, [where] * len(words))

    def check_spaces(self, words: Sequence[str], places: Sequence[str]) -> None:
        """Report words with white space in or around them, each at its place."""
        for number, (word, where) in enumerate(zip(words, places, strict=True), 1):
            if set(word) & _SPACES:
                self.warn("space-in-word", where, f"word {number} holds white space: {quoted(word)}")

    def _encodable(self, values: Any, where: str) -> Any:
        text = json.dumps(values, ensure_ascii=False)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.warn("lone-surrogate", where, "half of a surrogate pair; it is replaced by U+FFFD")
            return json.loads(_SURROGATE.sub("\ufffd", text))
        return values

    def _keeps(self, wrong: str, where: str) -> bool:
        if self.repair is Repair.STRICT:
            self.fail("orphan-tag", where, f"{wrong}; choose the repair conlleval or drop")
        elif self.repair is Repair.DROP:
            self.warn("orphan-tag", where, f"{wrong}: the entity is left out")
        else:
            self.warn("orphan-tag", where, f"{wrong}: it is an entity all the same (strict scoring has none)")
        return self.repair is not Repair.DROP


def begun(text: str) -> str:
    """A text as the content of a file: before a first U+FEFF stands a byte order mark, for readers to take away."""
    return f"\ufeff{text}" if text.startswith("\ufeff") else text


def distinct_ids(rows: Iterable[Row], reading: Reading) -> Iterator[Row]:
    """The rows with ids that differ: the second ``x`` becomes ``x#2``, and is reported.

    It is part of the post ``x``, and so is ``x#2`` itself where ``x`` came before: a file that was written by us.
    """
    post_ids: dict[str, str] = {}
    repeats: Counter[str] = Counter()
    for row in rows:
        given = name = row.example.id
        while name in post_ids:
            repeats[given] += 1
            name = f"{given}#{repeats[given] + 1}"
        stem, _, number = name.rpartition("#")
        post_ids[name] = post_ids.get(stem, name) if number.isdecimal() else name
        if name != given:
            reading.warn("repeated-id", row.where, f"the id {given} occurs before; this post is called {name}")
        if name != post_ids[name]:
            row = replace(row, example=replace(row.example, id=name, part_of=post_ids[name]))
        yield row


def _explain(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details[:3])
