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
from cotpd.core.files import read_jsonl, write_jsonl
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats import FORMATS, Format, brat, jsonl, named_format
from cotpd.corpus.formats.parsing.reading import Reading
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
    beside the source are written there, but for those of posts that get another id, which are counted as lost, as are
    those that one file in another place leaves behind. It is written whole or not at all. What reading leaves out goes
    to ``reading`` as defects. Raises `DataError` for what cannot be read or written or has no split where other posts
    have one, `UsageError` when ``target`` exists, cannot hold several splits or tells no format.
    """
    chosen = named_format(to or _told_format(target))
    _refuse_taken([target, target.with_suffix(brat.ANNOTATIONS)] if chosen is FORMATS["brat"] else [target])
    corpus = Corpus.read_posts(source, reading)
    accompanied = corpus.with_companions(source, reading)  # tells what is wrong with them
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
        is_beside = target.resolve().parent == companion(source, target.name).resolve().parent
        return {split: _write_alone(chosen, target, x, accompanied, is_beside=is_beside) for split, x in drawn.items()}
    names = {split: f"{_stem(corpus, split)}{chosen.suffix}" for split in drawn}
    losses: dict[str, Counter[str]] = {}
    moved: dict[str, str] = {}
    with _whole_directory(target) as folder:
        for split, posts in drawn.items():
            losses[split], ids = _write(chosen, folder / names[split], posts)
            moved |= dict.fromkeys(ids, split)
        _write_companions(source, folder, moved, losses)
        _write_variants(corpus.augmented, folder, moved, losses)
    return {split: Written(target / names[split], len(x), dict(losses[split])) for split, x in drawn.items()}


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


def _write(form: Format, path: Path, posts: Sequence[Example]) -> tuple[Counter[str], set[str]]:
    """Write posts: the losses, the captions of their own rows among them, and the ids that then name another post.

    Those are the old and the new ids of posts that the format calls otherwise: what has one of them is for no post, or
    for another.
    """
    losses = form.write(path, posts)
    back = [row.example for row in form.read(path, Reading(lambda defect: None))]
    losses["captions"] += sum(post.caption is not None for post in posts)
    losses["captions"] -= sum(post.caption is not None for post in back)
    before, after = ({(post.id, "".join(post.text.split())) for post in some} for some in (posts, back))
    return +losses, {name for name, _ in before ^ after}


def _write_alone(
    form: Format, path: Path, posts: Sequence[Example], accompanied: Corpus, *, is_beside: bool
) -> Written:
    """Write posts to one file, to which captions, answers and variants beside the source are lost.

    Where it lies beside them, too, only those of posts that it calls otherwise are.
    """
    losses, moved = _write(form, path, posts)
    left = {post.id: post for post in posts if post.id in moved or not is_beside}
    for post in accompanied.examples:
        if own := left.get(post.id):
            losses["captions"] += post.caption is not None and own.caption is None
            losses["knowledge"] += len(post.knowledge) - len(own.knowledge)
    losses["variants"] += sum(each.origin is not None and each.origin.parent in left for each in accompanied.augmented)
    return Written(path, len(posts), dict(+losses))


def _write_companions(source: Path, target: Path, moved: Mapping[str, str], losses: Mapping[str, Counter[str]]) -> None:
    """Copy captions and knowledge; rows of ids that are ``moved`` are left out, and lost in the split that it tells."""
    for name in (CAPTIONS, KNOWLEDGE):
        file = companion(source, name)
        if not file.is_file() or file == source:
            continue
        kept = []
        for _, row in read_jsonl(file):
            if split := moved.get(str(row.get("example_id"))):
                losses[split][file.stem] += 1
            else:
                kept.append(row)
        if any(lost[file.stem] for lost in losses.values()):
            write_jsonl(target / name, kept)
        else:
            shutil.copyfile(file, target / name)


def _write_variants(
    variants: Sequence[Example], target: Path, moved: Mapping[str, str], losses: Mapping[str, Counter[str]]
) -> None:
    """Write the variants, as they were read, of posts that keep their id; the others are lost."""
    kept = []
    for variant in variants:
        if variant.origin and (split := moved.get(variant.origin.parent)):
            losses[split]["variants"] += 1
        else:
            kept.append(variant)
    if kept:
        jsonl.write(target / AUGMENTED, kept)
