"""`cotpd show`: one post with all that is known of it, what the encoder reads, and what is gold and predicted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cotpd.cli.display.terminal import printable
from cotpd.cli.options.run_settings import data_settings
from cotpd.core.errors import UsageError
from cotpd.core.records import NO_RELATION, Entity, Example, Prediction, Relation, Span
from cotpd.core.tasks import ANNOTATIONS, task_of

if TYPE_CHECKING:
    from cotpd.corpus.corpus import Corpus
    from cotpd.inference.predictor import TrainedStudent
    from cotpd.views.view import ViewKind


def show(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    id: Annotated[str, typer.Argument(help="The id of a post, or of its image.")],
    run: Annotated[str | None, typer.Option(help="Show what this run or model reads and predicts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one post: caption, reasoning chain by grain, the views, gold and, with --run, predictions.

    Spans count words, the end exclusive. Without --run the views are in words, with it in the encoder's pieces. Of
    relations, each pair that the post states is a reading of its own: `[h]` head `[/h]` and `[t]` tail `[/t]`.

    Examples:

        cotpd show data/twitter2017 O_1926

        cotpd show data/twitter2017 O_1926 --run runs/twitter2017-seed1 --json
    """
    found = _find(_read(data, run), id, data)
    page = _with_run(found, run) if run else _without_run(found)
    if as_json:
        typer.echo(json.dumps(page.to_dict(), indent=2))
    else:
        Console(markup=False, emoji=False, highlight=False).print(page.to_text())


@dataclass(frozen=True, slots=True)
class _Found:
    """A post of a corpus and where it stands there."""

    example: Example
    split: str
    where: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the encoder reads of the post in one view, by window or by pair; ``num_cut`` counts pieces left out."""

    windows: list[list[str]]
    num_cut: int = 0
    unit: str = "window"


@dataclass(frozen=True, slots=True)
class _Page:
    """All that is shown; ``labelled`` holds gold and the predictions by view."""

    found: _Found
    views: dict[str, _Reading]
    labelled: dict[str, Example | Prediction]

    def to_dict(self) -> dict[str, Any]:
        example = self.found.example
        labels = {name: _labels(record, example) for name, record in self.labelled.items()}
        return {
            "id": example.id,
            "split": self.found.split,
            "where": self.found.where,
            "image": example.image_id,
            "words": list(example.words),
            "caption": asdict(example.caption) if example.caption else None,
            "knowledge": [asdict(known) for known in example.knowledge],
            "views": {name: asdict(reading) for name, reading in self.views.items()},
            "gold": labels.pop("gold"),
            "predicted": labels,
        }

    def to_text(self) -> Group:
        return Group(
            _title(self.found),
            _post(self.found.example),
            "",
            _grid(_known(self.found.example)),
            "",
            _grid(_read_in(self.views)),
            "",
            _comparison(self.labelled, self.found.example),
        )


def _read(data: Path, run: str | None) -> Corpus:
    """The corpus, with the captions, knowledge and types that the run was trained on, as far as they are to be had."""
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import CAPTIONS, KNOWLEDGE, companion

    settings = data_settings(Path(run)) if run else None
    if settings is None:
        return Corpus.from_path(data)
    return Corpus.from_path(
        data,
        captioner=settings.captioner if companion(data, CAPTIONS).is_file() else None,
        knowledge_model=settings.knowledge_model if companion(data, KNOWLEDGE).is_file() else None,
        label_map=settings.label_map,
        repair=settings.repair,
        normalise_words=settings.normalise_words,
    )


def _find(corpus: Corpus, id: str, data: Path) -> _Found:
    posts = [
        _Found(example, split, where)
        for split, examples in corpus.splits.items()
        for example, where in zip(examples, corpus.places[split], strict=True)
    ]
    named = [post for post in posts if post.example.id == id] or [post for post in posts if post.example.image_id == id]
    if named:
        return named[0]
    close = get_close_matches(id, [post.example.id for post in posts], n=3, cutoff=0.8)
    hint = f"close to it: {', '.join(close)}" if close else f"the first post is {posts[0].example.id}"
    raise UsageError(f"{data}: no post has the id {id!r}; {hint}")


def _without_run(found: _Found) -> _Page:
    """The views in words, under default settings."""
    from cotpd.core.config import ViewConfig
    from cotpd.views.view import texts_of

    example = found.example
    annotations = ANNOTATIONS[task_of([example])]
    readings = [_with_markers(example, each.spans, annotations.markers) for each in annotations.of(example)]
    readings = readings if annotations.markers else [list(example.words)]
    texts = [text for part in ViewConfig().parts for text in texts_of(example, part)]
    knowledge = [piece for text in texts for piece in (*text.split(), "[SEP]")]
    behind = {"text": [], "prompt": ["[soft prompts]"], "knowledge": knowledge}
    unit = "reading" if annotations.markers else "window"
    views = {
        name: _Reading([[*words, "[SEP]", *more] for words in readings], unit=unit) for name, more in behind.items()
    }
    return _Page(found, views, {"gold": example})


def _with_markers(example: Example, marked: tuple[Span, ...], markers: tuple[str, ...]) -> list[str]:
    """The words of a post with its marked spans, as a run reads them."""
    from cotpd.views.view import markers_before

    before = markers_before(marked)
    words: list[str] = []
    for place, word in enumerate([*example.words, ""]):
        words += [*(markers[slot] for slot in before.get(place, ())), word]
    return words[:-1]


def _with_run(found: _Found, run: str) -> _Page:
    """The views in pieces, and what is predicted from each; the one that ships comes first."""
    from cotpd.inference.extractors import load_extractor

    extractor = load_extractor(run)
    views: dict[str, _Reading] = {}
    labelled: dict[str, Example | Prediction] = {"gold": found.example}
    for kind in _kinds(extractor):
        views[kind] = _reading(extractor, found.example, kind)
        labelled[kind] = next(extractor.predict([found.example], kind=kind))
    return _Page(found, views, labelled)


def _kinds(extractor: TrainedStudent) -> list[ViewKind]:
    from cotpd.views.view import ViewKind

    design = extractor.student.design
    can_be_read = [kind for kind in ViewKind if design.prompt or kind is not ViewKind.PROMPT]
    return sorted(can_be_read, key=lambda kind: kind is not design.deployed_view)


def _reading(extractor: TrainedStudent, example: Example, kind: ViewKind) -> _Reading:
    """The pieces of a view by name; a post longer than the encoder takes has several windows, a pair is read alone."""
    from cotpd.inference.tasks import DECODERS
    from cotpd.views.view import ViewKind

    student = extractor.student
    design, tokenizer = student.design, student.reader.pieces.tokenizer
    decoder, markers = DECODERS[design.task], ANNOTATIONS[design.task].markers
    views = [window.view for window in decoder.windows(student, 0, example, kind)]
    length = design.prompt.length if design.prompt and kind is ViewKind.PROMPT else 0
    prompts = [f"[P{number}]" for number in range(1, length + 1)]
    windows = []
    for view in views:
        names = [str(tokenizer.id_to_token(piece)) for piece in view.ids]
        for name, place in zip(markers, view.markers, strict=False):
            names[place] = name
        windows.append([*names, *prompts])
    return _Reading(windows, sum(view.num_cut for view in views), decoder.unit)


def _labels(record: Example | Prediction, example: Example) -> dict[str, Any]:
    def plain(span: Span) -> dict[str, Any]:
        return {"start": span.start, "end": span.end, "words": example.words_of(span)}

    entities = [{"label": each.label, **plain(each.span), "score": each.score} for each in record.entities]
    relations = [
        {"label": each.label, "head": plain(each.head), "tail": plain(each.tail), "score": each.score}
        for each in record.relations
    ]
    return {"entities": entities, "relations": relations}


def _title(found: _Found) -> Text:
    place = f"   {found.split}   {found.where}   image {found.example.image_id or '–'}"
    return Text(printable(found.example.id), style="bold").append(printable(place), style="not bold dim")


def _post(example: Example) -> Text:
    """The words, those of gold entities and pairs marked."""
    spans = [entity.span for entity in example.entities]
    spans += [span for pair in example.relations for span in (pair.head, pair.tail)]
    inside = {place for span in spans for place in range(span.start, span.end)}
    words = [Text(printable(word), "bold cyan" if place in inside else "") for place, word in enumerate(example.words)]
    return Text(" ").join(words)


def _known(example: Example) -> Iterator[tuple[str, str, str]]:
    """Name, source and text of the caption and of each link of the reasoning chain."""
    if example.caption:
        yield "caption", example.caption.captioner, example.caption.text
    for known in example.knowledge:
        yield known.grain, f"{known.model} {known.template}".strip(), known.text
    if not example.caption and not example.knowledge:
        yield "knowledge", "", "none; put captions.jsonl or knowledge.jsonl beside the corpus"


def _read_in(views: dict[str, _Reading]) -> Iterator[tuple[str, str, str]]:
    """Name, remark and pieces of every window of every view."""
    for name, reading in views.items():
        for number, window in enumerate(reading.windows, 1):
            remarks = [f"{reading.unit} {number} of {len(reading.windows)}"] if len(reading.windows) > 1 else []
            remarks += [f"{reading.num_cut} pieces of knowledge cut"] if reading.num_cut else []
            yield f"{name} view", ", ".join(remarks), " ".join(window)


def _grid(rows: Iterator[tuple[str, str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, remark, text in rows:
        grid.add_row(name, Text(printable(text)).append(f"  ({printable(remark)})" if remark else "", "dim"))
    return grid


def _comparison(labelled: dict[str, Example | Prediction], example: Example) -> Table:
    """A row for every entity, then every relation, that gold or a view has; a column for each of them.

    Pairs that gold does not state and no view relates have no row.
    """
    stated = {(pair.head, pair.tail) for pair in example.relations}
    cells: dict[tuple[Span, ...], dict[str, str]] = {}
    told: set[tuple[Span, ...]] = set()
    for name, record in labelled.items():
        found: list[Entity | Relation] = [*record.entities, *record.relations]
        for each in found:
            spans: tuple[Span, ...] = (each.span,) if isinstance(each, Entity) else (each.head, each.tail)
            score = "" if each.score is None else f" {each.score:.2f}"
            cells.setdefault(spans, {})[name] = each.label + score
            if each.label != NO_RELATION or spans in stated:
                told.add(spans)
    table = Table(
        "" if told else "no entities or relations", *labelled, box=None, padding=(0, 2, 0, 0), header_style="bold"
    )
    for spans in sorted(told, key=lambda spans: (len(spans), spans)):
        title = " → ".join(f"{example.words_of(span)} [{span.start}, {span.end})" for span in spans)
        table.add_row(Text(printable(title)), *(Text(cells[spans].get(name, "–")) for name in labelled))
    return table
