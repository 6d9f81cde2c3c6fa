"""Hugging Face `datasets` format: a saved dataset with tokens and tags. Requires the extra ``formats``."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, MissingExtraError
from cotpd.core.labels import EXPECTED_TAG, OUTSIDE, is_tag, names_several_types
from cotpd.core.records import Example
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import Id, ParsedExample, Reading, StrictRow, make_ids_unique
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, resolve_scheme

MARK = "state.json"
"""The file that marks a directory as a saved dataset."""


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read a directory saved by ``Dataset.save_to_disk``, in order.

    Tags are read from the column ``ner_tags`` or else ``tags``, as names or as class indices. The columns ``id`` and
    ``image_id`` are optional; others are ignored and counted. These are errors: a row without tokens or tags, or with
    different numbers of them, and an invalid tag.

    Raises:
        DataError: If the dataset cannot be loaded or has no column of tags.
        MissingExtraError: If `datasets` is not installed.
    """
    return make_ids_unique(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write ids, words, BIO tags and images. Return the number of values that are lost, by kind."""
    datasets = _datasets()
    posts = list(examples)
    tags = [lenient_tags(example) for example in posts]
    names = [OUTSIDE, *sorted({tag for row in tags for tag in row} - {OUTSIDE})]
    columns = {
        "id": [example.id for example in posts],
        "tokens": [list(example.words) for example in posts],
        "ner_tags": [[names.index(tag) for tag in row] for row in tags],
        "image_id": [example.image_id for example in posts],
    }
    text = datasets.Value("string")
    labels = datasets.Sequence(datasets.ClassLabel(names=names))
    features = datasets.Features(id=text, tokens=datasets.Sequence(text), ner_tags=labels, image_id=text)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary, _without_progress_bars(datasets):
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(f"{temporary}/{path.name}")
        Path(temporary, path.name).rename(path)
    num_relations = sum(len(example.relations) for example in posts)
    return +Counter(relations=num_relations, orphans=count_lost_orphans(posts))


_TAG_COLUMNS = ("ner_tags", "tags")
"""The possible columns of tags, in order of preference."""


class _DatasetRow(StrictRow):
    id: Id | None = None
    tokens: list[str]
    ner_tags: list[str]
    image_id: Id | None = None


def _rows(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    posts = list(_posts(path, reading))
    scheme = resolve_scheme((post.ner_tags for _, post in posts), path, reading)
    for where, post in posts:
        reading.check_row_words(post.tokens, where)
        entities = reading.decode_entities(post.ner_tags, [where] * len(post.ner_tags), scheme)
        name = post.id or f"{path.name}:{where.rpartition(':')[2]}"
        yield ParsedExample(Example(name, tuple(post.tokens), entities, image_id=post.image_id or None), where)


def _posts(path: Path, reading: Reading) -> Iterator[tuple[str, _DatasetRow]]:
    """Yield the valid rows with their places."""
    dataset = _load(path)
    if not (source := next((name for name in _TAG_COLUMNS if name in dataset.column_names), "")):
        present = ", ".join(dataset.column_names)
        raise DataError(
            f"expected a column {' or '.join(_TAG_COLUMNS)}, got {present}; rename the column of tags", where=str(path)
        )
    names = _names(dataset.features[source])
    columns = [name for name in (*_DatasetRow.model_fields, source) if name in dataset.column_names]
    reading.report_ignored(path, Counter({name: len(dataset) for name in dataset.column_names if name not in columns}))
    for number, row in enumerate(dataset.select_columns(dict.fromkeys(columns)), 1):
        where = f"{path}:{number}"
        tags = _tag_names(row[source], names)
        if (post := reading.validate({**row, "ner_tags": tags}, where, _DatasetRow)) is None:
            continue
        if len(post.tokens) != len(post.ner_tags):
            reading.fail(
                "bad-row", where, f"{len(post.tokens)} tokens, but {len(post.ner_tags)} tags; give one tag per token"
            )
        elif invalid := [tag for tag in post.ner_tags if not is_tag(tag) or names_several_types(tag)]:
            reading.fail("unknown-tag", where, f"invalid tag {quote(invalid[0])}; {EXPECTED_TAG}")
        elif reading.check_not_empty(post.tokens, where):
            yield where, post


def _load(path: Path) -> Any:
    try:
        dataset = _datasets().load_from_disk(str(path))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,  # no rows
        RecursionError,  # deeply nested JSON
    ) as error:
        raise DataError(
            f"cannot load a dataset with rows ({error}); save it with `Dataset.save_to_disk`", where=str(path)
        ) from error
    if not hasattr(dataset, "column_names") or isinstance(dataset, dict):
        raise DataError(
            "expected one split, got a dataset of several; give the directory of one split", where=str(path)
        )
    return dataset


def _names(feature: Any) -> Sequence[str]:
    """Return the tag names by class index; empty if the tags are stored as names."""
    return getattr(getattr(feature, "feature", None), "names", None) or ()


def _tag_names(tags: Any, names: Sequence[str]) -> Any:
    """Convert class indices to tag names. Other values are returned unchanged, so that validation reports them."""
    if not names or not isinstance(tags, list):
        return tags
    return [names[tag] if isinstance(tag, int) and 0 <= tag < len(names) else tag for tag in tags]


@contextmanager
def _without_progress_bars(datasets: Any) -> Iterator[None]:
    """Suppress the progress bars of `datasets` on stderr."""
    silent = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not silent:
            datasets.enable_progress_bars()


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingExtraError("datasets is not installed; run: pip install 'cotpd[formats]'") from error
    return datasets
