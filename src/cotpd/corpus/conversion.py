"""A corpus from any format to any other, with everything that is lost on the way counted."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats import FORMATS, brat, named_format
from cotpd.corpus.formats.row import Reading
from cotpd.corpus.splits import AUGMENTED, CAPTIONS, KNOWLEDGE, UNSPLIT, companion


@dataclass(frozen=True, slots=True)
class Written:
    """One file written: where, its posts, and how many values of each kind its format could not hold."""

    path: Path
    posts: int
    losses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Draw:
    """How many posts of a split are drawn, by its name; splits that are not named stay whole.

    The first posts of an order that the seed gives, so that a small draw is part of a larger one.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 1

    def of(self, split: str, posts: Sequence[Example]) -> tuple[Example, ...]:
        """The drawn posts, in their order. Raises `UsageError` where there are fewer."""
        size = self.sizes.get(split, len(posts))
        if size > len(posts):
            raise UsageError(f"{size:,} {split} posts were asked for, and there are {len(posts):,}")
        drawn = np.random.default_rng(self.seed).permutation(len(posts))[:size]
        return tuple(posts[number] for number in sorted(drawn))


def convert(
    source: Path, target: Path, reading: Reading, *, to: str | None = None, draw: Draw | None = None
) -> dict[str, Written]:
    """Write the corpus at ``source`` to ``target`` in the format ``to``, else the one that its ending tells.

    Several splits become files of a directory, named as those of the source; captions, knowledge and variants that lie
    beside the source are copied there. It is written whole or not at all. What reading leaves out goes to ``reading``
    as defects. Raises `DataError` for what cannot be read or written or has no split
    where other posts have one, `UsageError` when ``target`` exists, cannot hold
    several splits or tells no format.
    """
    chosen = named_format(to or _told_format(target))
    _refuse_taken([target, target.with_suffix(brat.ANNOTATIONS)] if chosen is FORMATS["brat"] else [target])
    corpus = Corpus.read(source, reading)
    if corpus.unsplit and len(corpus.splits) > 1:
        raise DataError("no split, which other posts have; files hold one split each", where=corpus.places[UNSPLIT][0])
    is_file = target.suffix in {form.suffix for form in FORMATS.values()} - {""}
    if is_file and len(corpus.splits) > 1:
        splits = ", ".join(corpus.splits)
        raise UsageError(f"{target} is one file, but there are several splits ({splits}); give a directory")
    draw = draw or Draw()
    if unknown := draw.sizes.keys() - corpus.splits.keys():
        raise UsageError(f"{source} has no {min(unknown)} posts to draw from; it has {', '.join(corpus.splits)}")
    drawn = {split: draw.of(split, posts) for split, posts in corpus.splits.items()}
    if is_file:
        target.parent.mkdir(parents=True, exist_ok=True)
        return {split: Written(target, len(x), dict(chosen.write(target, x))) for split, x in drawn.items()}
    done: dict[str, Written] = {}
    with _whole_directory(target) as folder:
        for split, posts in drawn.items():
            name = f"{_stem(corpus, split)}{chosen.suffix}"
            done[split] = Written(target / name, len(posts), dict(chosen.write(folder / name, posts)))
        _copy_companions(source, folder)
    return done


def total(done: Mapping[str, Written]) -> Counter[str]:
    """The losses of all files together."""
    return sum((Counter(written.losses) for written in done.values()), Counter())


def _refuse_taken(files: list[Path]) -> None:
    if taken := [file for file in files if file.exists()]:
        raise UsageError(f"{taken[0]} exists and is never overwritten; choose another name or remove it")


@contextmanager
def _whole_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which then becomes ``path``; nothing is left of it where filling it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        folder = Path(temporary) / path.name
        folder.mkdir()
        yield folder
        folder.rename(path)


def _told_format(target: Path) -> str:
    """The only format with the ending of a file."""
    found = [name for name, form in FORMATS.items() if form.suffix == target.suffix != ""]
    if len(found) != 1:
        raise UsageError(f"{target} does not tell its format; name it by --to: {', '.join(found or FORMATS)}")
    return found[0]


def _stem(corpus: Corpus, split: str) -> str:
    """The name of the file a split comes from, so that ids made of it stay; its own where one file held several."""
    if split in corpus.files and (split != UNSPLIT or corpus.files[split].is_file()):
        return corpus.files[split].stem.strip()
    return "posts" if split == UNSPLIT else split


def _copy_companions(source: Path, target: Path) -> None:
    for name in (CAPTIONS, KNOWLEDGE, AUGMENTED):
        file = companion(source, name)
        if file.is_file() and file != source:
            shutil.copyfile(file, target / name)
