"""A corpus: the examples of its splits, with captions, knowledge and the defects of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cotpd.core.config import CorpusConfig
from cotpd.core.errors import DataError, UsageError
from cotpd.core.labels import LabelSet, Repair
from cotpd.core.records import Caption, Example, Knowledge
from cotpd.corpus.defects import Defect, RaiseOnError
from cotpd.corpus.formats import jsonl, read_examples
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.split_names import named_split
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
    SAMPLE,
    SPLITS,
    UNSPLIT,
    describe_ignored,
    ignored_files,
    sidecar_path,
    split_files,
)
from cotpd.corpus.statistics import Statistics, count


@dataclass(frozen=True)
class Corpus:
    """The examples of a corpus by split.

    Attributes:
        train: The training examples.
        dev: The development examples.
        test: The test examples.
        unsplit: Examples without a split.
        augmented: Variants of training examples, from ``augmented.jsonl``. They belong to no split.
        unlabelled: Examples to train on without labels. They belong to no split.
        captions: The captions file.
        knowledge: The knowledge file.
        files: The files by split. Empty for a corpus that was created in memory.
        places: The ``file:line`` of each example, by split. Empty for a corpus that was created in memory.
        defects: The warnings reported while reading. Empty for a corpus that was created in memory.
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
    source: CorpusConfig | None = field(default=None, repr=False, compare=False)
    unlabelled_paths: tuple[Path, ...] = field(default=(), repr=False, compare=False)
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
        """Read a corpus directory with train, dev (or valid, val) and test files, or a single file.

        Captions, knowledge and variants are read from ``captions.jsonl``, ``knowledge.jsonl`` and ``augmented.jsonl``
        in the same directory, if present.

        Args:
            path: The directory or file, in any supported format; ``"sample"`` is the embedded corpus.
            captioner: The captioner whose captions are used. By default the first one in the file.
            knowledge_model: The language model whose knowledge is used. By default the first one in the file.
            label_map: New names of entity types, for example ``{"OTHER": "MISC"}``.
            repair: What to do with entities whose tags break their scheme.
            normalise_words: Join ``# tag`` and ``@ name`` into one word each.

        Raises:
            DataError: At the first error in a file, with ``file:line``.
            UsageError: If the captioner or language model has no rows.
        """
        return cls.of_config(
            CorpusConfig(
                path=Path(path),
                captioner=captioner,
                knowledge_model=knowledge_model,
                label_map=dict(label_map or {}),
                repair=repair,
                normalise_words=normalise_words,
            )
        )

    @classmethod
    def of_config(cls, source: CorpusConfig) -> Corpus:
        """Read a corpus as a configuration says; see `from_path`."""
        handler = RaiseOnError()
        reading = Reading(handler, source.repair, source.label_map)
        corpus = cls.read(source.path, reading, captioner=source.captioner, knowledge_model=source.knowledge_model)
        if source.normalise_words:
            corpus = corpus._map(lambda examples: tuple(normalise(example) for example in examples))
        return replace(corpus, source=source, defects=tuple(handler.warnings))

    @classmethod
    def read(
        cls, path: Path, reading: Reading, *, captioner: str | None = None, knowledge_model: str | None = None
    ) -> Corpus:
        """Read a corpus like `from_path`, but report defects to ``reading``. Raises `DataError` if it has no posts."""
        return cls.read_examples(path, reading).with_sidecars(path, reading, captioner, knowledge_model)

    @classmethod
    def read_examples(cls, path: Path, reading: Reading) -> Corpus:
        """Read a corpus like `read`, but without the captions and knowledge of sidecar files."""
        sources = split_files(path)
        for file in ignored_files(path, sources.values()):
            reading.warn("ignored-file", str(file), describe_ignored(file))
        splits: dict[str, list[ParsedExample]] = {split: [] for split in (*SPLITS, UNSPLIT)}
        for split, file in sources.items():
            rows = list(read_examples(file, reading))
            if not rows:
                reading.warn("empty-file", str(file), f"the {split} file contains no posts")
            for row in rows:
                splits[_split_of(row, split, reading)].append(row)
        if not any(splits.values()):
            raise DataError("the corpus contains no posts; check the path and the format", where=str(path))
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
        """Return the small corpus that is part of this package."""
        return cls.from_path(SAMPLE)

    @property
    def splits(self) -> dict[str, tuple[Example, ...]]:
        """Return the examples of each split that is not empty, by name."""
        return {split: posts for split in (*SPLITS, UNSPLIT) if (posts := getattr(self, split))}

    @property
    def examples(self) -> tuple[Example, ...]:
        """Return all examples: train, dev, test, unsplit."""
        return (*self.train, *self.dev, *self.test, *self.unsplit)

    def posts(self, split: str | None) -> tuple[Example, ...]:
        """Return the examples of a split, or of all splits for None. Raises `DataError` if the split is empty."""
        if split and split not in self.splits:
            raise DataError(f"the corpus has no {split} posts; it has {', '.join(self.splits) or 'no posts at all'}")
        return self.splits[split] if split else self.examples

    @property
    def label_set(self) -> LabelSet:
        """Return the entity types of all splits."""
        return LabelSet.of(entity.label for example in self.examples for entity in example.entities)

    def statistics(self) -> Statistics:
        """Count posts, words, entities, relations, captions and knowledge by split."""
        return count(self.splits, self.captions, self.knowledge, variants=self.augmented)

    def with_knowledge(self, rows: Iterable[Knowledge]) -> Corpus:
        """Return a copy with knowledge attached by example id or image id. It replaces knowledge of the same grain."""
        index = index_knowledge(rows)
        return self._map(lambda examples: add_knowledge(examples, index))

    def without_unlabelled(self) -> Corpus:
        """Return this corpus without the examples of unlabelled corpora."""
        return replace(self, unlabelled=(), unlabelled_paths=())

    def with_sidecars(
        self, path: Path, reading: Reading, captioner: str | None = None, knowledge_model: str | None = None
    ) -> Corpus:
        """Return a copy with the captions and knowledge from the sidecar files of ``path``."""
        corpus = self
        captions, knowledge = sidecar_path(path, CAPTIONS), sidecar_path(path, KNOWLEDGE)
        if _is_wanted(captions, captioner):
            rows = read_captions(captions, captioner, reading)
            corpus = replace(corpus._map(lambda examples: add_captions(examples, rows.values)), captions=rows)
        if _is_wanted(knowledge, knowledge_model):
            answers = read_knowledge(knowledge, knowledge_model, reading)
            corpus = replace(corpus._map(lambda examples: add_knowledge(examples, answers.values)), knowledge=answers)
        return corpus

    def _map(self, change: Callable[[tuple[Example, ...]], tuple[Example, ...]]) -> Corpus:
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
    file = sidecar_path(path, AUGMENTED)
    if not file.is_file() or file == path:
        return ()
    rows = tuple(jsonl.read(file, reading))
    for row in rows:
        if row.example.origin is None:
            message = "the row has no `origin`; augmented.jsonl must be written by `cotpd augment`"
            reading.fail("bad-row", row.where, message)
    return tuple(row.example for row in rows)


def _split_of(row: ParsedExample, file_split: str, reading: Reading) -> str:
    """Return the split of the file name, or else the split of the row."""
    own = named_split(row.split)
    if row.split is not None and own is None:
        reading.warn(
            "unknown-split", row.where, f"ignored the unknown split {row.split!r}; expected train, dev or test"
        )
    if file_split == UNSPLIT:
        return own or UNSPLIT
    if own not in (None, file_split):
        reading.warn("split-differs", row.where, f"used the split of the file name, {file_split}; the row says {own}")
    return file_split


def _is_wanted(path: Path, name: str | None) -> bool:
    """Return True if a sidecar file exists. Raises `UsageError` if it is missing although a name is requested."""
    if path.is_file():
        return True
    if name is not None:
        raise UsageError(f"{path}: no such file, but {name!r} was requested; create the file or omit the name")
    return False
