"""TomBERT format of target sentiment: four lines per target.

The lines are the text with ``$T$`` in place of the target, the target, the label ``-1``, ``0`` or ``1``, and the file
name of the image. A post with several targets stands once per target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cotpd.core.errors import DataError
from cotpd.core.files import write_atomic
from cotpd.core.records import SENTIMENTS, Example, Span, TargetSentiment
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading, make_ids_unique
from cotpd.corpus.formats.parsing.writing import count_losses, unwritable

TARGET = "$T$"
_LABELS = dict(zip(("-1", "0", "1"), SENTIMENTS, strict=True))
_CODES = {label: code for code, label in _LABELS.items()}
_IMAGE = ".jpg"


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the posts of a file in the order of their first line, each with all its targets.

    Lines with the same words and the same image are one post. Its id is the file name of the image without ``.jpg``, or
    ``<file name>:<line>`` without an image. These are errors, and the target is skipped: a line without exactly one
    ``$T$`` where a text is expected, a blank target, another label, a file that ends within a target.
    """
    return make_ids_unique(_grouped(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write four lines per target. Return the number of values that are lost, by kind.

    Posts without a target cannot be written.

    Raises:
        DataError: If a word or an image id cannot be written in this format, or a label is unknown.
    """
    losses: Counter[str] = Counter()
    lines: list[str] = []
    for example in examples:
        count_losses(losses, example, "entities", "relations", id_read=example.image_id if example.sentiments else None)
        losses["posts without target"] += not example.sentiments
        for sentiment in example.sentiments:
            lines += _target_lines(example, sentiment)
    write_atomic(path, "".join(f"{line}\n" for line in lines))
    return +losses


def matches(first_line: str) -> bool:
    """Return True if the first line of a file is a text with a target, and not a word with its tag."""
    return TARGET in first_line.split() and "\t" not in first_line


class _TargetLines(NamedTuple):
    """The four lines of a target."""

    text: str
    target: str
    label: str
    image: str
    where: str

    @property
    def example(self) -> Example:
        """The post with this target; its id is not final without an image."""
        before, after = (side.split() for side in self.text.split(TARGET))
        target = self.target.split()
        sentiment = TargetSentiment(Span(len(before), len(before) + len(target)), _LABELS[self.label])
        image = self.image.removesuffix(_IMAGE) or None
        return Example(image or "", (*before, *target, *after), sentiments=(sentiment,), image_id=image)


def _grouped(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    posts: dict[tuple[tuple[str, ...], str | None], ParsedExample] = {}
    for lines in _targets(path, reading):
        example = lines.example
        key = example.words, example.image_id
        if first := posts.get(key):
            example = replace(first.example, sentiments=(*first.example.sentiments, *example.sentiments))
            posts[key] = replace(first, example=example)
            continue
        reading.check_row_words(example.words, lines.where)
        example_id = example.id or f"{path.stem}:{lines.where.rpartition(':')[2]}"
        posts[key] = ParsedExample(replace(example, id=example_id), lines.where)
    yield from posts.values()


def _targets(path: Path, reading: Reading) -> Iterator[_TargetLines]:
    """Yield the well-formed targets. After a defect, reading continues at the next line with ``$T$``."""
    group: list[str] = []
    where = str(path)
    for number, line in reading.lines(path):
        place, text = f"{path}:{number}", line.strip()
        if group and TARGET in text:
            reading.fail("bad-target", where, f"only {len(group)} of 4 lines before the next text; {_EXPECTED}")
            group = []
        if not group:
            if text.count(TARGET) == 1:
                group, where = [text], place
            elif text:
                reading.fail("bad-target", place, f"expected a text with one {TARGET}, got {quote(text)}; {_EXPECTED}")
            continue
        group.append(text)
        if len(group) == 4:
            lines, group = _TargetLines(group[0], group[1], group[2], group[3], where), []
            if _check(lines, number, path, reading):
                yield lines
    if group:
        reading.fail("bad-target", where, f"the file ends after {len(group)} of 4 lines; {_EXPECTED}")


_EXPECTED = f"a target is a text with {TARGET}, the target, -1, 0 or 1, and the image file name"


def _check(lines: _TargetLines, last: int, path: Path, reading: Reading) -> bool:
    """Report a defect of the target or the label, and return True if there is none."""
    if not lines.target:
        reading.fail("bad-target", f"{path}:{last - 2}", f"the target is blank; {_EXPECTED}")
    elif lines.label not in _LABELS:
        message = f"expected the label -1, 0 or 1, got {quote(lines.label)}"
        reading.fail("bad-target", f"{path}:{last - 1}", f"{message}; {_EXPECTED}")
    else:
        return True
    return False


def _target_lines(example: Example, sentiment: TargetSentiment) -> list[str]:
    if sentiment.label not in _CODES:
        raise unwritable(sentiment.label, example.id, because="is not a sentiment", what="label")
    for word in example.words:
        _require_plain(word, example, "word")
    if example.image_id:
        _require_plain(example.image_id, example, "image id")
    span, words = sentiment.span, example.words
    text = " ".join([*words[: span.start], TARGET, *words[span.end :]])
    image = f"{example.image_id}{_IMAGE}" if example.image_id else ""
    return [text, example.words_of(span), _CODES[sentiment.label], image]


def _require_plain(text: str, example: Example, what: str) -> None:
    if TARGET in text or text.split() != [text]:
        error: DataError = unwritable(text, example.id, because=f"contains white space or {TARGET}", what=what)
        raise error
