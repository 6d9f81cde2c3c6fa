"""spaCy format: a binary `DocBin` of documents with words and entities. Requires the extra ``formats``."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cotpd.core.errors import DataError, MissingExtraError
from cotpd.core.files import write_atomic
from cotpd.core.records import Entity, Example, Span
from cotpd.corpus.defects import quote
from cotpd.corpus.formats.parsing.reading import ParsedExample, Reading
from cotpd.corpus.formats.parsing.spans import resolve_overlaps
from cotpd.corpus.formats.parsing.writing import count_losses, unwritable

MAX_BYTES = 1_000_000_000
"""The maximum size of an uncompressed file in bytes."""

_SPACE = " \t\n\r"


def read(path: Path, reading: Reading) -> Iterator[ParsedExample]:
    """Read the documents of a file in order, with ids ``<file name>:<number>``.

    Tokens of white space only, into which spaCy converts line breaks, are skipped. Span groups, which may overlap,
    categories and links are ignored and counted. Tokens without entity annotation are reported and read as outside of
    entities. These are errors: a file that is not a DocBin, and a damaged document (skipped).

    Raises:
        MissingExtraError: If spaCy is not installed.
    """
    ignored: Counter[str] = Counter()
    for number, doc in enumerate(_documents(path, reading), 1):
        where = f"{path}:{number}"
        try:
            example = _example(doc, f"{path.stem}:{number}", where, reading)
            _count_others(doc, ignored)
        except (ValueError, KeyError) as error:  # spaCy parses a document on first access
            reading.fail("unreadable", where, f"spaCy cannot read this document ({quote(str(error))}); export it again")
            continue
        if reading.check_not_empty(example.words, where):
            yield ParsedExample(example, where)
    reading.report_ignored(path, ignored)


def write(path: Path, examples: Iterable[Example]) -> Counter[str]:
    """Write words and entities. Return the number of values that are lost, by kind.

    Raises:
        DataError: If a word is empty or consists of white space.
        MissingExtraError: If spaCy is not installed.
    """
    spacy = _spacy()
    vocabulary, losses = spacy.vocab.Vocab(), Counter[str]()
    documents = spacy.tokens.DocBin()
    for number, example in enumerate(examples, 1):
        for word in example.words:
            if not word.strip(_SPACE):
                raise unwritable(word, example.id, because="is empty or consists of white space")
        doc = spacy.tokens.Doc(vocabulary, words=list(example.words))
        doc.set_ents([spacy.tokens.Span(doc, e.span.start, e.span.end, label=e.label) for e in example.entities])
        documents.add(doc)
        count_losses(losses, example, "orphans", "relations", "images", id_read=f"{path.stem}:{number}")
    write_atomic(path, documents.to_bytes())
    return +losses


def _example(doc: Any, name: str, where: str, reading: Reading) -> Example:
    if unknown := sum(not token.ent_iob for token in doc):
        reading.warn(
            "not-annotated", where, f"{unknown} of {len(doc)} tokens have no entity annotation; read them as O"
        )
    kept = [token.i for token in doc if token.text.strip(_SPACE)]
    positions = {token: word for word, token in enumerate(kept)}
    words = tuple(doc[number].text for number in kept)
    reading.check_row_words(words, where)
    spans = [(_span(entity, positions), entity) for entity in doc.ents]
    if lost := sum(span is None for span, _ in spans):
        reading.warn("space-in-mention", where, f"skipped {lost} entities that consist of white space")
    entities = (Entity(span, entity.label_) for span, entity in spans if span)
    return Example(name, words, resolve_overlaps(entities, where, reading))


def _count_others(doc: Any, ignored: Counter[str]) -> None:
    """Count the annotations of a document that an example cannot hold."""
    ignored.update(f"spans of the group {name}" for name, spans in doc.spans.items() for _ in spans)
    ignored["categories"] += len(doc.cats)
    ignored["links"] += sum(bool(entity.kb_id_) for entity in doc.ents)


def _documents(path: Path, reading: Reading) -> Iterator[Any]:
    spacy = _spacy()
    try:
        unpacking = zlib.decompressobj()
        if len(unpacking.decompress(path.read_bytes(), MAX_BYTES)) == MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes when uncompressed")
        yield from spacy.tokens.DocBin().from_bytes(path.read_bytes()).get_docs(spacy.vocab.Vocab())
    except OSError as error:
        raise DataError(
            f"cannot read the file ({error.strerror}); check the path and its permissions", where=str(path)
        ) from error
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reason = f"{type(error).__name__}: {quote(str(error))}"
        reading.fail("unreadable", str(path), f"not a spaCy DocBin ({reason}); save it with `DocBin.to_disk`")


def _span(entity: Any, positions: dict[int, int]) -> Span | None:
    inside = [positions[number] for number in range(entity.start, entity.end) if number in positions]
    return Span(inside[0], inside[-1] + 1) if inside else None


def _spacy() -> Any:
    try:
        import spacy.tokens
        import spacy.vocab
    except ModuleNotFoundError as error:
        raise MissingExtraError("spacy is not installed; run: pip install 'cotpd[formats]'") from error
    return spacy
