"""What all readers share: options, defect reporting, checks of words, tags and rows, and unique ids."""

from __future__ import annotations

import json
import re
import reprlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from cotpd.core.files import read_jsonl, read_lines
from cotpd.core.labels import (
    EXPECTED_TAG,
    OUTSIDE,
    Repair,
    TagScheme,
    describe_defect,
    from_iob1,
    is_tag,
    names_several_types,
    to_entities,
)
from cotpd.core.records import Entity, Example
from cotpd.core.splitting import Rule
from cotpd.corpus.defects import DROPPED, Defect, DefectHandler, Severity, quote

Id = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""An id in JSON: a string, or an integer that is converted to one."""
Splitting = Rule | Literal["spaces"]
"""How running text is tokenised: a rule of `cotpd.core.splitting`, or ``spaces`` if the text is tokenised already."""
Model = TypeVar("Model", bound=BaseModel)
_INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"}
_CONTROLS = {"Cc", "Zl", "Zp"}
_SPACES = set(" \t\n\r")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class StrictRow(BaseModel):
    """Base of the rows of a format: values are not converted, so ``"0"`` is not accepted for 0."""

    model_config = ConfigDict(strict=True)


@dataclass(frozen=True, slots=True)
class ParsedExample:
    """An example as read from a file.

    Attributes:
        example: The example.
        where: The place, as ``file:line``.
        split: The split that the row itself names.
    """

    example: Example
    where: str
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Options of a reader, and the handler of its defects.

    Attributes:
        report: Receives every defect.
        repair: What to do with entities whose tags break their scheme.
        label_map: New names of entity types.
        scheme: The tag scheme. It is detected by default.
        columns: The columns of word and tag in files of columns, from 0. Negative numbers count from the right. By
            default the first and the last column.
        splitting: How running text is split into words. By default by characters if most of its letters are of scripts
            without spaces, such as Chinese, Japanese and Thai, and else by the rule ``fine``.
        format: The name of the format. It is detected by default.
    """

    report: DefectHandler
    repair: Repair = Repair.CONLLEVAL
    label_map: Mapping[str, str] = field(default_factory=dict)
    scheme: TagScheme | None = None
    columns: tuple[int, int] | None = None
    splitting: Splitting | None = None
    format: str | None = None

    @property
    def word_and_tag(self) -> tuple[int, int]:
        """Return the columns of word and tag."""
        return self.columns or (0, -1)

    def warn(self, kind: str, where: str, message: str) -> None:
        """Report a problem that does not prevent reading."""
        self.report(Defect(kind, where, message))

    def fail(self, kind: str, where: str, message: str) -> None:
        """Report a violation of the format. Returns only if the handler collects defects."""
        self.report(Defect(kind, where, message, Severity.ERROR))

    def report_ignored(self, path: Path, counts: Counter[str]) -> None:
        """Report the values of a file that an `Example` cannot hold, as one warning."""
        if listed := ", ".join(f"{number:,} {name}" for name, number in sorted((+counts).items())):
            self.warn("not-kept", str(path), f"ignored because an example has no field for them: {listed}")

    def report_unknown_keys(self, keys: Iterable[str], where: str) -> None:
        """Report keys of a row that are not read, as one warning."""
        if listed := ", ".join(sorted(keys)):
            self.warn("unknown-key", where, f"ignored unknown keys: {listed}")

    def rename_label(self, label: str) -> str:
        """Apply the label map to an entity type."""
        return self.label_map.get(label, label)

    def decode_entities(
        self, tags: Sequence[str], places: Sequence[str], scheme: TagScheme | None
    ) -> tuple[Entity, ...]:
        """Convert valid tags to entities, renamed and repaired. Broken ones are reported at the place of their word."""
        entities = []
        for entity in to_entities(from_iob1(tags) if scheme == "IOB1" else tags, scheme=scheme):
            start, end = entity.span.start, entity.span.end
            if entity.orphan and not self._repair(describe_defect(tags[start:end], scheme), places[start]):
                continue
            entities.append(replace(entity, label=self.rename_label(entity.label)))
        return tuple(entities)

    def lines(self, path: Path, *, allow_cr: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the numbered lines of a text file. Invalid UTF-8 is an error, and so is a CR without LF by default."""
        for number, line in read_lines(path, on_defect=lambda error: self.report(Defect.of(error, "encoding"))):
            if "\r" in line and not allow_cr:
                self.fail("lone-cr", f"{path}:{number}", "the line contains a CR without LF; end lines with LF or CRLF")
            yield number, line

    def json_rows(self, path: Path, model: type[Model]) -> Iterator[tuple[str, Model]]:
        """Yield the validated rows of a JSON Lines file with their ``file:line``. Invalid rows are reported."""
        for where, values in read_jsonl(path, on_defect=lambda error: self.report(Defect.of(error))):
            if (row := self.validate(values, where, model)) is not None:
                yield where, row

    def validate(self, values: Any, where: str, model: type[Model]) -> Model | None:
        """Convert plain values to a model; report an error and return None if they do not match it.

        Lone surrogates, which cannot be stored, become U+FFFD and are reported.
        """
        try:
            return model.model_validate(self._replace_surrogates(values, where))
        except ValidationError as error:
            reason = _explain(error)
        except (TypeError, ValueError, RecursionError) as error:  # sets, keys that are not strings, deep nesting
            reason = f"not representable in JSON ({error})"
        self.fail("bad-row", where, f"{reason}; correct this row to match the format")
        return None

    def check_label(self, label: str, where: str) -> bool:
        """Return True if a label is not blank; report an error otherwise."""
        if label.strip():
            return True
        self.fail("empty-label", where, f"blank label {label!r} of an entity or relation; give a label or remove it")
        return False

    def check_tag(self, tag: str, where: str, *, allow_spaces: bool = True, hint: str = "") -> str:
        """Return a valid tag; report an error for an invalid one, with a hint, and return ``O``."""
        if names_several_types(tag):
            message = f"the tag {quote(tag)} holds several tags; give each word one type"
            self.fail("several-labels", where, message)
            return OUTSIDE
        if is_tag(tag) and (allow_spaces or " " not in tag):
            return tag
        self.fail("unknown-tag", where, "; ".join(filter(None, [f"invalid tag {quote(tag)}", EXPECTED_TAG, hint])))
        return OUTSIDE

    def check_not_empty(self, words: Sequence[str], where: str) -> bool:
        """Return True if an example has words; report a warning otherwise."""
        if not words:
            self.warn("empty-post", where, "skipped a post without words")
        return bool(words)

    def check_words(self, words: Sequence[str], places: Sequence[str]) -> None:
        """Report invisible words, U+FFFD, and control, bidirectional or byte order marks, each at its place."""
        for word, where in zip(words, places, strict=True):
            if not word or word.isalnum():
                continue
            categories = {unicodedata.category(character) for character in word}
            if categories <= _INVISIBLE:
                self.warn("invisible-word", where, f"the word {quote(word)} has no visible character")
            elif "\ufffd" in word:
                message = f"the word {quote(word)} contains U+FFFD, which replaces a character that was lost earlier"
                self.warn("replacement-character", where, message)
            elif categories & _CONTROLS or _HIDDEN.search(word):
                self.warn("control-character", where, f"the word {quote(word)} contains a control character")

    def check_row_words(self, words: Sequence[str], where: str) -> None:
        """Check the words of a single row: as `check_words`, with errors for empty words and warnings for spaces."""
        self.check_words(words, [where] * len(words))
        for number, word in enumerate(words, 1):
            if not word:
                self.fail("empty-word", where, f"word {number} is empty; remove it or fill it in")
        self.check_spaces(words, [where] * len(words))

    def check_spaces(self, words: Sequence[str], places: Sequence[str]) -> None:
        """Report words that contain white space, each at its place."""
        for number, (word, where) in enumerate(zip(words, places, strict=True), 1):
            if set(word) & _SPACES:
                self.warn("space-in-word", where, f"word {number} contains white space: {quote(word)}")

    def _replace_surrogates(self, values: Any, where: str) -> Any:
        text = json.dumps(values, ensure_ascii=False)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.warn("lone-surrogate", where, "replaced a lone surrogate with U+FFFD")
            return json.loads(_SURROGATE.sub("\ufffd", text))
        return values

    def _repair(self, defect: str, where: str) -> bool:
        """Report an entity that breaks its scheme. Return True if it is kept."""
        if self.repair is Repair.STRICT:
            self.fail("orphan-tag", where, f"{defect}; set repair to 'conlleval' (keep it) or 'drop' (skip it)")
        elif self.repair is Repair.DROP:
            self.warn("orphan-tag", where, f"{defect}{DROPPED}")
        else:
            self.warn("orphan-tag", where, f"{defect}; kept the entity (strict scoring does not count it)")
        return self.repair is not Repair.DROP


def make_ids_unique(rows: Iterable[ParsedExample], reading: Reading) -> Iterator[ParsedExample]:
    """Rename repeated ids: the second ``x`` becomes ``x#2``, and a warning is reported.

    The renamed example is part of the post ``x``. An ``x#2`` in the file after an ``x`` is part of ``x`` as well, since
    our own writers produce such ids.
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
            reading.warn("repeated-id", row.where, f"the id {quote(given)} occurs earlier; renamed to {quote(name)}")
        if name != post_ids[name]:
            row = replace(row, example=replace(row.example, id=name, part_of=post_ids[name]))
        yield row


def _explain(error: ValidationError) -> str:
    """List the first three problems of a row, each with its key and the value found."""
    problems = []
    for detail in error.errors(include_url=False)[:3]:
        key = ".".join(map(str, detail["loc"])) or "row"
        value = detail["input"]
        shown = quote(value) if isinstance(value, str) else reprlib.repr(value)
        problems.append(f"{key}: {detail['msg']}" + ("" if detail["type"] == "missing" else f", got {shown}"))
    return "; ".join(problems)
