"""A corpus: the examples of its splits, with their captions and knowledge, and all that was odd in its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from cotpd.core.errors import DataError, UsageError
from cotpd.core.labels import LabelSet, Repair
from cotpd.core.records import Caption, Example, Knowledge
from cotpd.corpus.defects import Defect, Strict
from cotpd.corpus.formats import jsonl, read_rows
from cotpd.corpus.formats.parsing.reading import Reading, Row
from cotpd.corpus.normalisation import normalise
from cotpd.corpus.sidecars import (
    Sidecar,
    add_captions,
    add_knowledge,
    index_knowledge,
    read_captions,
    read_knowledge,
)
from cotpd.corpus.splits import (
    AUGMENTED,
    CAPTIONS,
    KNOWLEDGE,
    SPLITS,
    UNSPLIT,
    companion,
    ignored_files,
    named_split,
    split_files,
)
from cotpd.corpus.statistics import Statistics, count


@dataclass(frozen=True)
class Corpus:
    """The posts of each split; ``unsplit`` holds those whose split nothing tells.

    ``augmented`` are the variants of training posts that lie beside it, ``unlabelled`` posts to be taught without
    labels (`cotpd.distillation.training_set.unlabelled`): part of no split and of no count.

    ``files`` are those it was read from, by the split they name; ``places`` the ``file:line`` of each split's examples;
    ``defects`` the warnings met while reading. All three are empty of a corpus that was made in memory.
    """

    train: tuple[Example, ...] = ()
    dev: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    unsplit: tuple[Example, ...] = ()
    augmented: tuple[Example, ...] = field(default=(), repr=False)
    unlabelled: tuple[Example, ...] = field(default=(), repr=False)
    captions: Sidecar[Caption] | None = field(default=None, repr=False)
    knowledge: Sidecar[Knowledge] | None = field(default=None, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict, repr=False, compare=False)
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    defects: tuple[Defect, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        *,
        captioner: str | None = None,
        knowledge_model: str | None = None,
        label_map: Mapping[str, str] | None = None,
        repair: Repair = Repair.CONLLEVAL,
        normalise_words: bool = False,
    ) -> Corpus:
        """Read a directory with train, dev (valid, val) and test files, or one file; see docs/corpora.md.

        ``augmented.jsonl`` beside it is read, ``captions.jsonl`` and ``knowledge.jsonl`` are attached: those of
        ``captioner`` and ``knowledge_model``, by default of the first that each names. ``label_map`` renames types,
        ``normalise_words`` writes ``# tag`` and ``@ name`` as one word (`cotpd.corpus.normalisation`). Raises
        `DataError` with file:line for the first error, and `UsageError` for a captioner or model without rows.
        """
        strict = Strict()
        reading = Reading(strict, repair, label_map or {})
        corpus = cls.read(Path(path), reading, captioner=captioner, knowledge_model=knowledge_model)
        if normalise_words:
            corpus = corpus._changed(lambda posts: tuple(normalise(post) for post in posts))
        return replace(corpus, defects=tuple(strict.warnings))

    @classmethod
    def read(
        cls, path: Path, reading: Reading, *, captioner: str | None = None, knowledge_model: str | None = None
    ) -> Corpus:
        """As `from_path`, telling every defect to ``reading``. Raises `DataError` when no post can be read at all."""
        return cls.read_posts(path, reading).with_companions(path, reading, captioner, knowledge_model)

    @classmethod
    def read_posts(cls, path: Path, reading: Reading) -> Corpus:
        """As `read`, without the captions and the knowledge that lie beside: posts have what their own rows say."""
        sources = split_files(path)
        for file in ignored_files(path, sources.values()):
            reading.warn("ignored-file", str(file), "not read: no split in its name, or another file of that split")
        splits: dict[str, list[Row]] = {split: [] for split in (*SPLITS, UNSPLIT)}
        for split, file in sources.items():
            rows = list(read_rows(file, reading))
            if not rows:
                reading.warn("empty-file", str(file), f"no post in the file of {split}")
            for row in rows:
                splits[_split_of(row, split, reading)].append(row)
        if not any(splits.values()):
            raise DataError("no post in this corpus; check the path and the format", where=str(path))
        posts = {split: tuple(row.example for row in rows) for split, rows in splits.items()}
        return cls(
            posts["train"],
            posts["dev"],
            posts["test"],
            posts[UNSPLIT],
            _augmented(path, reading),
            files=sources,
            places={split: tuple(row.where for row in rows) for split, rows in splits.items()},
        )

    @classmethod
    def sample(cls) -> Corpus:
        """The small corpus that is part of this package."""
        return cls.from_path(Path(str(files("cotpd") / "sample")))

    @property
    def splits(self) -> dict[str, tuple[Example, ...]]:
        """The splits that hold posts, by name."""
        return {split: posts for split in (*SPLITS, UNSPLIT) if (posts := getattr(self, split))}

    @property
    def examples(self) -> tuple[Example, ...]:
        """Every example: train, dev, test, unsplit."""
        return (*self.train, *self.dev, *self.test, *self.unsplit)

    def posts(self, split: str | None) -> tuple[Example, ...]:
        """The examples of a split, or all of them. Raises `DataError` for a split without posts."""
        if split and split not in self.splits:
            raise DataError(f"no post of {split}; there is {', '.join(self.splits)}")
        return self.splits[split] if split else self.examples

    @property
    def label_set(self) -> LabelSet:
        """The entity types of all splits."""
        return LabelSet.of(entity.label for example in self.examples for entity in example.entities)

    def statistics(self) -> Statistics:
        """Counts of posts, words, entities, relations, captions and knowledge, by split."""
        return count(self.splits, self.captions, self.knowledge, variants=self.augmented)

    def with_knowledge(self, rows: Iterable[Knowledge]) -> Corpus:
        """This corpus with these answers attached by example id or image id, before any that it has."""
        found = index_knowledge(rows)
        return self._changed(lambda posts: add_knowledge(posts, found))

    def with_companions(
        self, path: Path, reading: Reading, captioner: str | None = None, knowledge_model: str | None = None
    ) -> Corpus:
        """This corpus with the captions and the knowledge that lie beside ``path`` attached."""
        corpus = self
        captions, knowledge = companion(path, CAPTIONS), companion(path, KNOWLEDGE)
        if _is_wanted(captions, captioner):
            said = read_captions(captions, captioner, reading)
            corpus = replace(corpus._changed(lambda posts: add_captions(posts, said.values)), captions=said)
        if _is_wanted(knowledge, knowledge_model):
            known = read_knowledge(knowledge, knowledge_model, reading)
            corpus = replace(corpus._changed(lambda posts: add_knowledge(posts, known.values)), knowledge=known)
        return corpus

    def _changed(self, change: Callable[[tuple[Example, ...]], tuple[Example, ...]]) -> Corpus:
        return replace(
            self,
            train=change(self.train),
            dev=change(self.dev),
            test=change(self.test),
            unsplit=change(self.unsplit),
            augmented=change(self.augmented),
            unlabelled=change(self.unlabelled),
        )


def _augmented(path: Path, reading: Reading) -> tuple[Example, ...]:
    file = companion(path, AUGMENTED)
    if not file.is_file() or file == path:
        return ()
    rows = tuple(jsonl.read(file, reading))
    for row in rows:
        if row.example.origin is None:
            reading.fail("bad-row", row.where, "no origin; cotpd augment writes which post a variant comes from")
    return tuple(row.example for row in rows)


def _split_of(row: Row, file_split: str, reading: Reading) -> str:
    """The split that the file's name tells, else the row's own."""
    own = named_split(row.split)
    if row.split is not None and own is None:
        reading.warn("unknown-split", row.where, f"the split {row.split!r} is none of train, dev, test")
    if file_split == UNSPLIT:
        return own or UNSPLIT
    if own not in (None, file_split):
        reading.warn("split-differs", row.where, f"the row says {own}, the file's name {file_split}, which counts")
    return file_split


def _is_wanted(path: Path, name: str | None) -> bool:
    if path.is_file():
        return True
    if name is not None:
        raise UsageError(f"{path}: there is no such file, so nothing by {name!r}")
    return False
