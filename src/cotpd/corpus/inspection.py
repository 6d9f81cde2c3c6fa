"""Everything wrong or odd in a corpus: what its readers report, and what only shows when splits are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.labels import TagScheme
from cotpd.core.overlap import shared_images, similar_texts
from cotpd.core.records import Example, Grain, Span
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.defects import Defect, Severity
from cotpd.corpus.formats import tag_scheme
from cotpd.corpus.formats.parsing.reading import Reading
from cotpd.corpus.known_files import Version, recognise
from cotpd.corpus.splits import UNSPLIT
from cotpd.corpus.statistics import Statistics

LONG_WORDS, LONG_CHARACTERS = 128, 2000
"""A post longer than either is reported: encoders read a few hundred pieces."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A corpus as far as it could be read, its statistics, every defect, and of its files what is known.

    ``versions`` are the published files among them, ``schemes`` the tag schemes of those with tags.
    """

    corpus: Corpus
    statistics: Statistics
    defects: tuple[Defect, ...]
    versions: Mapping[Path, Version]
    schemes: Mapping[Path, TagScheme]

    @property
    def num_errors(self) -> int:
        """Defects that stop a corpus from being loaded."""
        return sum(defect.severity is Severity.ERROR for defect in self.defects)


def inspect(path: Path, *, captioner: str | None = None, knowledge_model: str | None = None) -> Inspection:
    """Read a corpus past its errors and check it.

    Raises `DataError` where there is nothing to read at all (no such path, an unknown format), and `UsageError` for a
    captioner or model without rows.
    """
    defects: list[Defect] = []
    try:
        corpus = Corpus.read(path, Reading(defects.append), captioner=captioner, knowledge_model=knowledge_model)
    except DataError as error:
        if not defects:
            raise
        defects.append(Defect.of(error))
        corpus = Corpus()
    files = [file for file in corpus.files.values() if file.is_file()]
    versions = {file: version for file in files if (version := recognise(file))}
    schemes = {file: scheme for file in files if (scheme := tag_scheme(file))}
    defects += [*check(corpus), *_version_defects(corpus.files, versions)]
    return Inspection(corpus, corpus.statistics(), tuple(defects), versions, schemes)


def check(corpus: Corpus) -> list[Defect]:
    """What no reader of one line can see: labels and posts across splits, what posts lack, long posts."""
    return [
        defect
        for find in (
            _labels,
            _twice_labelled,
            _shared_posts,
            _missing_captions,
            _missing_knowledge,
            _long_posts,
            _companions,
        )
        for defect in find(corpus)
    ]


def _labels(corpus: Corpus) -> Iterator[Defect]:
    types = {split: _types(posts) for split, posts in corpus.splits.items()}
    for split, labels in types.items():
        where = _file(corpus, split)
        if not labels and not any(post.relations for post in corpus.splits[split]):
            yield Defect("no-entities", where, f"no post of {split} has an entity or a relation")
        if unseen := labels - types.get("train", labels):
            yield Defect("label-sets-differ", where, f"{_list(unseen)} of {split} never occurs in train")
        if absent := types.get("train", labels) - labels:
            yield Defect("label-sets-differ", where, f"{_list(absent)} of train never occurs in {split}")
        if "OTHER" in labels:
            yield Defect("label-other", where, "OTHER is the MISC of Twitter-2017; to join them, map it by label_map")
        for label in sorted(label for label in labels if "-" in label):
            yield Defect("label-with-hyphen", where, f"the type {label} holds a hyphen, at which other tools cut it")


def _twice_labelled(corpus: Corpus) -> Iterator[Defect]:
    """Pairs with two labels, on one line or on several of the same post: the student reads one input, and gives one."""
    for split, posts in corpus.splits.items():
        labels: dict[tuple[tuple[str, ...], str | None, Span, Span], tuple[str, str]] = {}
        for number, post in enumerate(posts):
            where = _place(corpus, split, number)
            for pair in post.relations:
                key = (post.words, post.image_id, pair.head, pair.tail)
                label, earlier = labels.setdefault(key, (pair.label, where))
                if label != pair.label:
                    names = f"{post.words_of(pair.head)} and {post.words_of(pair.tail)}"
                    message = f"{names} are related as {pair.label} and, at {earlier}, as {label}; one can be found"
                    yield Defect("two-labels", where, message)


def _shared_posts(corpus: Corpus) -> Iterator[Defect]:
    for (one, first), (two, second) in combinations(corpus.splits.items(), 2):
        for pair in similar_texts(first, second):
            same = pair.similarity == 1.0
            message = "the same text as" if same else f"a text similar ({pair.similarity:.2f}) to"
            message = f"{message} {_place(corpus, one, pair.first)} in {one}"
            yield Defect("same-text" if same else "similar-text", _place(corpus, two, pair.second), message)
        for earlier, later in shared_images(first, second):
            message = f"the image {second[later].image_id} is also that of {_place(corpus, one, earlier)} in {one}"
            yield Defect("same-image", _place(corpus, two, later), message)
        for earlier, later in _shared_ids(first, second):
            message = f"the id {second[later].id} is also that of {_place(corpus, one, earlier)} in {one}"
            yield Defect("same-id", _place(corpus, two, later), message)


def _shared_ids(first: Sequence[Example], second: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Posts of the same id, where it is not just that of their image."""
    ids = {post.id: number for number, post in enumerate(first) if post.id != post.image_id}
    yield from ((ids[post.id], number) for number, post in enumerate(second) if post.id in ids)


def _missing_captions(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        yield from _missing(corpus, split, "caption", [post.caption is not None for post in posts])


def _missing_knowledge(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        known = [{row.grain for row in post.knowledge} for post in posts]
        if not any(known):
            yield from _missing(corpus, split, "knowledge", [False])
            continue
        for grain in Grain:
            yield from _missing(corpus, split, f"{grain} knowledge", [grain in grains for grains in known])


def _missing(corpus: Corpus, split: str, what: str, present: Sequence[bool]) -> Iterator[Defect]:
    """A defect for each post that lacks something, or one for a split that has nothing of it."""
    kind = f"no-{what.replace(' ', '-')}"
    if not any(present):
        yield Defect(kind, _file(corpus, split), f"{what}: none for any post of {split}")
        return
    for number, post in enumerate(corpus.splits[split]):
        if not present[number]:
            yield Defect(kind, _place(corpus, split, number), f"{what}: none for the post {post.id}")


def _long_posts(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        for number, post in enumerate(posts):
            if len(post.words) > LONG_WORDS or len(post.text) > LONG_CHARACTERS:
                message = f"{len(post.words)} words, {len(post.text)} characters: encoders read a few hundred pieces"
                yield Defect("long-post", _place(corpus, split, number), message)


def _companions(corpus: Corpus) -> Iterator[Defect]:
    for what in (corpus.captions, corpus.knowledge):
        if what is None:
            continue
        where = str(what.path)
        if unmatched := what.num_unmatched((*corpus.examples, *corpus.augmented)):
            yield Defect("unmatched-row", where, f"{unmatched} of its rows belong to no post of this corpus")
        for name, rows in what.rows.items():
            if name != what.chosen:
                yield Defect("other-maker", where, f"{rows} rows by {name!r} are not used; {what.chosen!r} is chosen")


def _version_defects(files: Mapping[str, Path], versions: Mapping[Path, Version]) -> Iterator[Defect]:
    for split, file in files.items():
        version = versions.get(file)
        if version and split not in (version.split, UNSPLIT):
            yield Defect("wrong-split", str(file), f"this is {version}, but it is read as {split}")
    known = {version.corpus for version in versions.values()}
    test = files.get("test")
    if "Twitter-2015" in known and test is not None and test not in versions:
        message = (
            "two test sets of Twitter-2015 circulate, which differ in the tags of 239 posts; name yours in reports"
        )
        yield Defect("unknown-version", str(test), message)


def _types(posts: Sequence[Example]) -> set[str]:
    return {entity.label for post in posts for entity in post.entities}


def _file(corpus: Corpus, split: str) -> str:
    return _place(corpus, split, 0).rpartition(":")[0] or split


def _place(corpus: Corpus, split: str, number: int) -> str:
    places = corpus.places.get(split)
    return places[number] if places else corpus.splits[split][number].id


def _list(labels: set[str]) -> str:
    return ", ".join(sorted(labels))
