"""Conversion of a corpus between formats, with a count of everything that is lost."""

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
from cotpd.core.files import read_jsonl, real_path, write_jsonl
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.formats import FORMATS, Format, brat, jsonl, named_format
from cotpd.corpus.formats.parsing.reading import Reading
from cotpd.corpus.splits import AUGMENTED, CAPTIONS, KNOWLEDGE, UNSPLIT, sidecar_path


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file written by `convert`.

    Attributes:
        path: The file.
        posts: The number of examples in it.
        losses: The number of values that its format cannot hold, by kind.
    """

    path: Path
    posts: int
    losses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Subsample:
    """Sizes of random subsamples, which are nested: a small one is part of a larger one with the same seed.

    Attributes:
        sizes: The number of examples by split. Other splits are used completely.
        seed: The seed of the random order.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 1

    def select(self, split: str, posts: Sequence[Example]) -> tuple[Example, ...]:
        """Return the subsample of a split in corpus order. Raises `UsageError` if the split is too small."""
        size = self.sizes.get(split, len(posts))
        if size > len(posts):
            raise UsageError(f"cannot select {size:,} {split} posts; the split has {len(posts):,}")
        chosen = np.random.default_rng(self.seed).permutation(len(posts))[:size]
        return tuple(posts[number] for number in sorted(chosen))


def convert(
    source: Path, target: Path, reading: Reading, *, to: str | None = None, subsample: Subsample | None = None
) -> dict[str, WrittenFile]:
    """Write a corpus in another format, completely or not at all.

    Several splits become the files of a directory, named as in the source. Those of a single source may also become
    one JSONL file, whose rows name their split. Captions, knowledge and variants from
    sidecar files are copied into the directory, except those of examples whose id changes; these count as lost. A
    target file in another directory than the source loses all of them.

    Args:
        source: A corpus directory or file.
        target: A new directory or file.
        reading: The options of the reader. It receives the defects of the source.
        to: The name of the format. By default the suffix of ``target`` determines it.
        subsample: The number of examples to write by split. By default all are written.

    Returns:
        The files by split.

    Raises:
        DataError: If the source cannot be read, a value cannot be written, or only some examples have a split.
        UsageError: If the target exists, is a file although there are several splits, or determines no format, or if a
            subsample is larger than its split.
    """
    form = named_format(to or _format_of_suffix(target))
    _require_new([target, target.with_suffix(brat.ANNOTATIONS)] if form is FORMATS["brat"] else [target])
    corpus = Corpus.read_examples(source, reading)
    with_sidecars = corpus.with_sidecars(source, reading)  # also reports the defects of the sidecar files
    is_file = target.suffix in {form.suffix for form in FORMATS.values()} - {""}
    rows_name_splits = form is FORMATS["jsonl"] and len(corpus.files) == 1
    _check_splits(corpus, target, is_single_file=is_file and not rows_name_splits)
    splits = _select(corpus, source, subsample or Subsample())
    if is_file:
        return _convert_to_file(form, source, target, splits, with_sidecars)
    return _convert_to_directory(form, source, target, splits, corpus)


def total_losses(files: Mapping[str, WrittenFile]) -> Counter[str]:
    """Add up the losses of all files."""
    return sum((Counter(file.losses) for file in files.values()), Counter())


def _require_new(files: list[Path]) -> None:
    if existing := [file for file in files if file.exists()]:
        raise UsageError(f"{existing[0]} exists and is never overwritten; choose another name or remove it")


def _check_splits(corpus: Corpus, target: Path, *, is_single_file: bool) -> None:
    if len(corpus.splits) < 2:
        return
    if corpus.unsplit:
        message = "this post has no split, but other posts have one; give each post a split, or none"
        raise DataError(message, where=corpus.places[UNSPLIT][0])
    if is_single_file:
        splits = ", ".join(corpus.splits)
        raise UsageError(f"cannot write several splits ({splits}) to the single file {target}; give a directory")


def _select(corpus: Corpus, source: Path, subsample: Subsample) -> dict[str, tuple[Example, ...]]:
    if unknown := subsample.sizes.keys() - corpus.splits.keys():
        raise UsageError(f"{source} has no {min(unknown)} posts to select from; it has {', '.join(corpus.splits)}")
    return {split: subsample.select(split, posts) for split, posts in corpus.splits.items()}


def _convert_to_file(
    form: Format, source: Path, target: Path, splits: Mapping[str, Sequence[Example]], with_sidecars: Corpus
) -> dict[str, WrittenFile]:
    target.parent.mkdir(parents=True, exist_ok=True)
    shares_sidecars = real_path(target).parent == real_path(sidecar_path(source, target.name)).parent
    written = {split: _write(form, target, posts) for split, posts in splits.items()}
    if len(splits) > 1:  # only our own format, whose rows name their split
        jsonl.write_splits(target, splits)
    for split, (losses, moved) in written.items():
        left_behind = {post.id: post for post in splits[split] if post.id in moved or not shares_sidecars}
        _count_left_behind(losses, left_behind, with_sidecars)
    return {split: WrittenFile(target, len(splits[split]), dict(+losses)) for split, (losses, _) in written.items()}


def _count_left_behind(losses: Counter[str], posts: Mapping[str, Example], with_sidecars: Corpus) -> None:
    """Count the captions, answers and variants that posts lose because they stay beside the source."""
    for post in with_sidecars.examples:
        if written := posts.get(post.id):
            losses["captions"] += post.caption is not None and written.caption is None
            losses["knowledge"] += len(post.knowledge) - len(written.knowledge)
    origins = (variant.origin for variant in with_sidecars.augmented)
    losses["variants"] += sum(origin is not None and origin.parent in posts for origin in origins)


def _convert_to_directory(
    form: Format, source: Path, target: Path, splits: Mapping[str, Sequence[Example]], corpus: Corpus
) -> dict[str, WrittenFile]:
    names = {split: f"{_stem(corpus, split)}{form.suffix}" for split in splits}
    losses: dict[str, Counter[str]] = {}
    moved: dict[str, str] = {}
    with _new_directory(target) as folder:
        for split, posts in splits.items():
            losses[split], ids = _write(form, folder / names[split], posts)
            moved |= dict.fromkeys(ids, split)
        _copy_sidecars(source, folder, moved, losses)
        _write_variants(corpus.augmented, folder, moved, losses)
    return {
        split: WrittenFile(target / names[split], len(posts), dict(losses[split])) for split, posts in splits.items()
    }


@contextmanager
def _new_directory(path: Path) -> Iterator[Path]:
    """Create a temporary directory that becomes ``path`` when the block ends, or disappears if it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        folder = Path(temporary) / path.name
        folder.mkdir()
        yield folder
        folder.rename(path)


def _format_of_suffix(target: Path) -> str:
    names = [name for name, form in FORMATS.items() if form.suffix == target.suffix != ""]
    if len(names) != 1:
        raise UsageError(
            f"the suffix of {target} does not determine the format; set --to to one of {', '.join(names or FORMATS)}"
        )
    return names[0]


def _stem(corpus: Corpus, split: str) -> str:
    """Return the file name of a split without suffix: that of its source file, so that ids made from it stay."""
    if split in corpus.files and (split != UNSPLIT or corpus.files[split].is_file()):
        return corpus.files[split].stem.strip()
    return "posts" if split == UNSPLIT else split


def _write(form: Format, path: Path, posts: Sequence[Example]) -> tuple[Counter[str], set[str]]:
    """Write posts and read them back to see what changed.

    Returns:
        The losses, including captions of the posts' own rows, and the old and new ids of posts whose id changed.
        Sidecar rows of these ids would belong to no post or to another one.
    """
    losses = form.write(path, posts)
    losses["captions"] += sum(post.caption is not None for post in posts)
    losses["sentiments"] += sum(len(post.sentiments) for post in posts)
    written, read_back, moved = {_digest(post) for post in posts}, set[int](), set[str]()
    for row in form.read(path, Reading(lambda defect: None)):
        losses["captions"] -= row.example.caption is not None
        losses["sentiments"] -= len(row.example.sentiments)
        digest = _digest(row.example)
        read_back.add(digest)
        if digest not in written:
            moved.add(row.example.id)
    return +losses, moved | {post.id for post in posts if _digest(post) not in read_back}


def _digest(post: Example) -> int:
    """Return a number for the id and the text of a post, without white space. It takes less memory than the text."""
    return hash((post.id, "".join(post.text.split())))


def _copy_sidecars(source: Path, target: Path, moved: Mapping[str, str], losses: Mapping[str, Counter[str]]) -> None:
    """Copy captions and knowledge, except rows whose id is in ``moved`` (id to split), which count as lost."""
    for name in (CAPTIONS, KNOWLEDGE):
        file = sidecar_path(source, name)
        if not file.is_file() or file == source:
            continue
        rows = []
        for _, row in read_jsonl(file):
            if split := moved.get(str(row.get("example_id"))):
                losses[split][file.stem] += 1
            else:
                rows.append(row)
        if any(lost[file.stem] for lost in losses.values()):
            write_jsonl(target / name, rows)
        else:
            shutil.copyfile(file, target / name)


def _write_variants(
    variants: Sequence[Example], target: Path, moved: Mapping[str, str], losses: Mapping[str, Counter[str]]
) -> None:
    """Write the variants of posts that keep their id. The others count as lost."""
    written = []
    for variant in variants:
        if variant.origin and (split := moved.get(variant.origin.parent)):
            losses[split]["variants"] += 1
        else:
            written.append(variant)
    if written:
        jsonl.write(target / AUGMENTED, written)
