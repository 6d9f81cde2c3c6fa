"""The format of Hugging Face `datasets`: a directory with ``tokens`` and tags; needs the extra ``formats``."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cotpd.core.errors import DataError, MissingExtraError
from cotpd.core.labels import OUTSIDE, is_tag
from cotpd.core.records import Example
from cotpd.corpus.formats.parsing.reading import Id, Reading, Row, distinct_ids
from cotpd.corpus.formats.parsing.tags import count_lost_orphans, lenient_tags, told_scheme

MARK = "state.json"
"""The file by which a directory is known as a saved dataset."""


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read a directory saved by ``Dataset.save_to_disk``, in order.

    Tags are the column ``ner_tags``, else ``tags``: names, or numbers whose names the dataset tells. ``id`` and
    ``image_id`` are read where they are given; other columns are not kept, and counted. Errors reported: a row without
    tokens or tags, more of the one than of the other, a tag that is none. Raises `DataError` for a dataset without
    these columns and `MissingExtraError` without `datasets`.
    """
    return distinct_ids(_rows(path, reading), reading)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write a directory with ids, words, tags (BIO) and images; returns how many values the format cannot hold."""
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
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary, _without_bars(datasets):
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(f"{temporary}/{path.name}")
        Path(temporary, path.name).rename(path)
    num_relations = sum(len(example.relations) for example in posts)
    return +Counter(relations=num_relations, orphans=count_lost_orphans(posts))


_TAGS = ("ner_tags", "tags")
"""The columns that may hold tags, in the order in which they are looked for."""


class _Post(BaseModel):
    model_config = ConfigDict(strict=True)

    id: Id | None = None
    tokens: list[str]
    ner_tags: list[str]
    image_id: Id | None = None


def _rows(path: Path, reading: Reading) -> Iterator[Row]:
    posts = list(_posts(path, reading))
    scheme = told_scheme((post.ner_tags for _, post in posts), path, reading)
    for where, post in posts:
        reading.check_row_words(post.tokens, where)
        entities = reading.entities(post.ner_tags, [where] * len(post.ner_tags), scheme)
        name = post.id or f"{path.name}:{where.rpartition(':')[2]}"
        yield Row(Example(name, tuple(post.tokens), entities, image_id=post.image_id or None), where)


def _posts(path: Path, reading: Reading) -> Iterator[tuple[str, _Post]]:
    """The rows that can be read, with their places."""
    dataset = _load(path)
    if not (source := next((name for name in _TAGS if name in dataset.column_names), "")):
        present = ", ".join(dataset.column_names)
        raise DataError(f"no column {' or '.join(_TAGS)} among {present}; rename the one with tags", where=str(path))
    names = _names(dataset.features[source])
    columns = [name for name in (*_Post.model_fields, source) if name in dataset.column_names]
    reading.not_kept(path, Counter({name: len(dataset) for name in dataset.column_names if name not in columns}))
    for number, row in enumerate(dataset.select_columns(dict.fromkeys(columns)), 1):
        where = f"{path}:{number}"
        tags = _named(row[source], names)
        if (post := reading.fitting({**row, "ner_tags": tags}, where, _Post)) is None:
            continue
        if len(post.tokens) != len(post.ner_tags):
            reading.fail("bad-row", where, f"{len(post.tokens)} tokens, but {len(post.ner_tags)} tags")
        elif wrong := [tag for tag in post.ner_tags if not is_tag(tag)]:
            reading.fail("unknown-tag", where, f"{wrong[0]!r} is no tag; O or a prefix with a type is expected")
        elif post.tokens:
            yield where, post
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")


def _load(path: Path) -> Any:
    try:
        dataset = _datasets().load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:  # the last: no rows
        raise DataError(f"no saved dataset, or one without rows ({error})", where=str(path)) from error
    if not hasattr(dataset, "column_names") or isinstance(dataset, dict):
        raise DataError("several splits in one; name the directory of one, or the one above", where=str(path))
    return dataset


def _names(feature: Any) -> Sequence[str]:
    """The names of the tags by number; none where the tags are names themselves."""
    return getattr(getattr(feature, "feature", None), "names", None) or ()


def _named(tags: Any, names: Sequence[str]) -> Any:
    """The names of the tags of a row; what is no number of a name stays, to be refused."""
    if not names or not isinstance(tags, list):
        return tags
    return [names[tag] if isinstance(tag, int) and 0 <= tag < len(names) else tag for tag in tags]


@contextmanager
def _without_bars(datasets: Any) -> Iterator[None]:
    """Nothing on stderr while a dataset is saved."""
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
