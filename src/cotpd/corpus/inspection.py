"""Inspection of a corpus: the defects that readers report, and those that appear only when splits are compared."""

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
"""Longer posts are reported, since encoders read only a few hundred pieces."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of `inspect`.

    Attributes:
        corpus: The corpus, as far as it could be read.
        statistics: Its counts.
        defects: All errors and warnings.
        versions: The files that are byte for byte a published version.
        schemes: The detected tag schemes of the files with tags.
    """

    corpus: Corpus
    statistics: Statistics
    defects: tuple[Defect, ...]
    versions: Mapping[Path, Version]
    schemes: Mapping[Path, TagScheme]

    @property
    def num_errors(self) -> int:
        """Return the number of errors, which prevent a corpus from being loaded."""
        return sum(defect.severity is Severity.ERROR for defect in self.defects)


def inspect(path: Path) -> Inspection:
    """Read a corpus, continuing after errors, and check it.

    Args:
        path: A corpus directory or file.

    Raises:
        DataError: If nothing can be read (no such path, unknown format).
    """
    defects: list[Defect] = []
    try:
        corpus = Corpus.read(path, Reading(defects.append))
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
    """Find the defects that no single line shows, such as labels and posts across splits, or missing captions."""
    return [
        defect
        for find in (
            _check_labels,
            _find_conflicting_labels,
            _find_shared_posts,
            _find_missing_captions,
            _find_missing_knowledge,
            _find_long_posts,
            _check_sidecars,
        )
        for defect in find(corpus)
    ]


def _check_labels(corpus: Corpus) -> Iterator[Defect]:
    types = {split: _types(posts) for split, posts in corpus.splits.items()}
    for split, labels in types.items():
        where = _file(corpus, split)
        if not any(post.annotations for post in corpus.splits[split]):
            yield Defect("no-entities", where, f"no {split} post has an entity, a relation or a sentiment")
        if unseen := labels - types.get("train", labels):
            yield Defect("label-sets-differ", where, f"types in {split} but not in train: {_list(unseen)}")
        if absent := types.get("train", labels) - labels:
            yield Defect("label-sets-differ", where, f"types in train but not in {split}: {_list(absent)}")
        if "OTHER" in labels:
            yield Defect(
                "label-other",
                where,
                "OTHER is called MISC in Twitter-2017; to combine both corpora, rename it with label_map",
            )
        for label in sorted(label for label in labels if "-" in label):
            yield Defect(
                "label-with-hyphen", where, f"the type {label} contains a hyphen, at which other tools split it"
            )


def _find_conflicting_labels(corpus: Corpus) -> Iterator[Defect]:
    """Find pairs with two different labels in the same post. The student predicts only one of them."""
    for split, posts in corpus.splits.items():
        labels: dict[tuple[tuple[str, ...], str | None, Span, Span], tuple[str, str]] = {}
        for number, post in enumerate(posts):
            where = _place(corpus, split, number)
            for pair in post.relations:
                key = (post.words, post.image_id, pair.head, pair.tail)
                label, earlier = labels.setdefault(key, (pair.label, where))
                if label != pair.label:
                    names = f"({post.words_of(pair.head)}, {post.words_of(pair.tail)})"
                    message = (
                        f"the pair {names} has the label {pair.label} here and {label} at {earlier}; remove one of them"
                    )
                    yield Defect("two-labels", where, message)


def _find_shared_posts(corpus: Corpus) -> Iterator[Defect]:
    for (one, first), (two, second) in combinations(corpus.splits.items(), 2):
        for pair in similar_texts(first, second):
            same = pair.similarity == 1.0
            message = "same text as" if same else f"similar text (Jaccard index {pair.similarity:.2f}) to"
            message = f"{message} {_place(corpus, one, pair.first)} in {one}"
            yield Defect("same-text" if same else "similar-text", _place(corpus, two, pair.second), message)
        for earlier, later in shared_images(first, second):
            message = f"the image {second[later].image_id} also belongs to {_place(corpus, one, earlier)} in {one}"
            yield Defect("same-image", _place(corpus, two, later), message)
        for earlier, later in _shared_ids(first, second):
            message = f"the id {second[later].id} also belongs to {_place(corpus, one, earlier)} in {one}"
            yield Defect("same-id", _place(corpus, two, later), message)


def _shared_ids(first: Sequence[Example], second: Sequence[Example]) -> Iterator[tuple[int, int]]:
    """Find posts with the same id, unless the id is that of their image."""
    ids = {post.id: number for number, post in enumerate(first) if post.id != post.image_id}
    yield from ((ids[post.id], number) for number, post in enumerate(second) if post.id in ids)


def _find_missing_captions(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        yield from _report_missing(corpus, split, "caption", [post.caption is not None for post in posts])


def _find_missing_knowledge(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        known = [{row.grain for row in post.knowledge} for post in posts]
        if not any(known):
            yield from _report_missing(corpus, split, "knowledge", [False])
            continue
        for grain in Grain:
            yield from _report_missing(corpus, split, f"{grain} knowledge", [grain in grains for grains in known])


def _report_missing(corpus: Corpus, split: str, what: str, present: Sequence[bool]) -> Iterator[Defect]:
    """Report each post that lacks something, or the whole split if all of its posts lack it."""
    kind = f"no-{what.replace(' ', '-')}"
    if not any(present):
        yield Defect(kind, _file(corpus, split), f"no {split} post has {'a caption' if what == 'caption' else what}")
        return
    for number, post in enumerate(corpus.splits[split]):
        if not present[number]:
            yield Defect(kind, _place(corpus, split, number), f"the post {post.id} has no {what}")


def _find_long_posts(corpus: Corpus) -> Iterator[Defect]:
    for split, posts in corpus.splits.items():
        for number, post in enumerate(posts):
            if len(post.words) > LONG_WORDS or len(post.text) > LONG_CHARACTERS:
                message = (
                    f"{len(post.words)} words, {len(post.text)} characters; encoders read only a few hundred pieces"
                )
                yield Defect("long-post", _place(corpus, split, number), message)


def _check_sidecars(corpus: Corpus) -> Iterator[Defect]:
    for sidecar in (corpus.captions, corpus.knowledge):
        if sidecar is None:
            continue
        where = str(sidecar.path)
        if unmatched := sidecar.num_unmatched((*corpus.examples, *corpus.augmented)):
            yield Defect("unmatched-row", where, f"{unmatched:,} rows belong to no post of this corpus")
        for name, rows in sidecar.rows.items():
            if name != sidecar.chosen:
                message = f"ignored {rows:,} rows by {name!r}, since those by {sidecar.chosen!r} are used"
                yield Defect("other-maker", where, message)


def _version_defects(files: Mapping[str, Path], versions: Mapping[Path, Version]) -> Iterator[Defect]:
    for split, file in files.items():
        version = versions.get(file)
        if version and split not in (version.split, UNSPLIT):
            yield Defect("wrong-split", str(file), f"this file is {version}, but it is read as {split}")
    known = {version.corpus for version in versions.values()}
    test = files.get("test")
    if "Twitter-2015" in known and test is not None and test not in versions:
        message = "two test sets of Twitter-2015 exist, which differ in the tags of 239 posts; report which one you use"
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
