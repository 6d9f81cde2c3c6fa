"""The format of spaCy: a binary `DocBin` of documents with words and entities; needs the extra ``formats``."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, MissingExtraError
from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example, Span
from cotpd.corpus.defects import quoted
from cotpd.corpus.formats.parsing.reading import Reading, Row
from cotpd.corpus.formats.parsing.spans import flat

MAX_BYTES = 1_000_000_000
"""Bytes that a file may have when it is unpacked."""

_SPACE = " \t\n\r"


def read(path: Path, reading: Reading) -> Iterator[Row]:
    """Read the documents of a file in order, each called ``<file name>:<number>``.

    Tokens that are white space alone, which spaCy makes of line breaks, are left out. Spans of groups, which may
    overlap, categories and links are not kept, and counted; tokens of which it is not known whether they are part of an
    entity are reported, and read as part of none. Errors reported: a file that is no DocBin, a document that is broken
    (left out). Raises `MissingExtraError` without spaCy.
    """
    not_kept: Counter[str] = Counter()
    for number, doc in enumerate(_documents(path, reading), 1):
        where = f"{path}:{number}"
        try:
            example = _example(doc, f"{path.stem}:{number}", where, reading)
            _count_others(doc, not_kept)
        except (ValueError, KeyError) as error:  # spaCy reads a document only when it is asked
            reading.fail("unreadable", where, f"no document of spaCy ({quoted(str(error))})")
            continue
        if example.words:
            yield Row(example, where)
        else:
            reading.warn("empty-post", where, "a post without words; it is left out")
    reading.not_kept(path, not_kept)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write words and entities; returns how many values the format cannot hold.

    Raises `DataError` for an empty word or one of white space alone, and `MissingExtraError` without spaCy.
    """
    spacy = _spacy()
    vocabulary, losses = spacy.vocab.Vocab(), Counter[str]()
    documents = spacy.tokens.DocBin()
    for number, example in enumerate(examples, 1):
        for word in example.words:
            if not word.strip(_SPACE):
                raise DataError(f"{quoted(word)} cannot be written in this format: no character", where=example.id)
        doc = spacy.tokens.Doc(vocabulary, words=list(example.words))
        doc.set_ents([spacy.tokens.Span(doc, e.span.start, e.span.end, label=e.label) for e in example.entities])
        documents.add(doc)
        losses["orphans"] += sum(entity.orphan for entity in example.entities)
        losses["relations"] += len(example.relations)
        losses["images"] += example.image_id is not None
        losses["ids"] += example.id != f"{path.stem}:{number}"
    write_atomic(path, documents.to_bytes())
    return +losses


def _example(doc: Any, name: str, where: str, reading: Reading) -> Example:
    if unknown := sum(not token.ent_iob for token in doc):
        reading.warn("not-annotated", where, f"{unknown} of {len(doc)} tokens may be part of an entity or not")
    kept = [token.i for token in doc if token.text.strip(_SPACE)]
    places = {old: new for new, old in enumerate(kept)}
    words = tuple(doc[number].text for number in kept)
    reading.check_row_words(words, where)
    found = [(_span(entity, places), entity) for entity in doc.ents]
    if lost := sum(span is None for span, _ in found):
        reading.warn("space-in-mention", where, f"{lost} entities of white space alone; left out")
    return Example(name, words, flat((Entity(span, entity.label_) for span, entity in found if span), where, reading))


def _count_others(doc: Any, not_kept: Counter[str]) -> None:
    """Add what a document holds and an example does not."""
    not_kept.update(f"spans of the group {name}" for name, spans in doc.spans.items() for _ in spans)
    not_kept["categories"] += len(doc.cats)
    not_kept["links"] += sum(bool(entity.kb_id_) for entity in doc.ents)


def _documents(path: Path, reading: Reading) -> Iterator[Any]:
    spacy = _spacy()
    try:
        unpacking = zlib.decompressobj()
        if len(unpacking.decompress(path.read_bytes(), MAX_BYTES)) == MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes when unpacked")
        yield from spacy.tokens.DocBin().from_bytes(path.read_bytes()).get_docs(spacy.vocab.Vocab())
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); check the path", where=str(path)) from error
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reading.fail("unreadable", str(path), f"no DocBin of spaCy ({type(error).__name__}: {quoted(str(error))})")


def _span(entity: Any, places: dict[int, int]) -> Span | None:
    inside = [places[number] for number in range(entity.start, entity.end) if number in places]
    return Span(inside[0], inside[-1] + 1) if inside else None


def _spacy() -> Any:
    try:
        import spacy.tokens
        import spacy.vocab
    except ModuleNotFoundError as error:
        raise MissingExtraError("spacy is not installed; run: pip install 'cotpd[formats]'") from error
    return spacy
