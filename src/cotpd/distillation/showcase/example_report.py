"""The report of one example: knowledge, views, gold labels and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from cotpd.core.errors import UsageError
from cotpd.core.records import Annotation, Example, Prediction, Span
from cotpd.core.tasks import ANNOTATIONS
from cotpd.core.tasks.annotations import TaskAnnotations
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.runs.run_evaluation import read_scored_corpus
from cotpd.inference.example_views import ReadableView, piece_views, readable_kinds, word_views
from cotpd.inference.predictor import TrainedStudent


@dataclass(frozen=True, slots=True)
class ExampleReport:
    """One example of a corpus.

    Attributes:
        example: The example with its caption, knowledge and gold labels.
        split: The split of the example.
        where: Its place in the corpus, such as ``train.jsonl:3``; empty for a corpus made in memory.
        views: What an encoder reads, by view.
        predictions: The prediction of a run, by view; empty without a run.
    """

    example: Example
    split: str
    where: str
    views: Mapping[str, ReadableView]
    predictions: Mapping[str, Prediction] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        example = self.example
        return {
            "id": example.id,
            "split": self.split,
            "where": self.where,
            "image": example.image_id,
            "words": list(example.words),
            "caption": asdict(example.caption) if example.caption else None,
            "knowledge": [asdict(known) for known in example.knowledge],
            "views": {name: asdict(view) for name, view in self.views.items()},
            "gold": _plain_annotations(example, example),
            "predicted": {
                name: _plain_annotations(prediction, example) for name, prediction in self.predictions.items()
            },
        }


def show_example(
    corpus: Corpus | str | Path, example_id: str, *, run: str | Path | TrainedStudent | None = None
) -> ExampleReport:
    """Collect the knowledge, views, gold labels and predictions of one example.

        report = show_example("data/twitter2017", "O_1926", run="runs/mine")
        print(report.views["knowledge"].windows, report.predictions["prompt"].entities)

    Args:
        corpus: A corpus, or the path of one. If ``run`` is a path, too, the corpus is read with the run's settings.
        example_id: The id of the example, or of its image.
        run: A run directory, a model directory, a model of the Hugging Face hub, or a loaded extractor. Without it
            the views are in words, and there are no predictions.

    Raises:
        UsageError: If the corpus has no such example; the message suggests similar ids.
        DataError: If the corpus cannot be read.
        CheckpointError: If the run is unfinished or damaged.
    """
    match = _find_example(corpus if isinstance(corpus, Corpus) else _read(Path(corpus), run), example_id)
    if run is None:
        return ExampleReport(*match, word_views(match.example))
    student = run if isinstance(run, TrainedStudent) else TrainedStudent.from_pretrained(run)
    kinds = readable_kinds(student.student)
    predictions = {kind.value: next(student.predict([match.example], kind=kind)) for kind in kinds}
    return ExampleReport(*match, piece_views(student.student, match.example), predictions)


class _FoundExample(NamedTuple):
    example: Example
    split: str
    where: str


def _read(path: Path, run: str | Path | TrainedStudent | None) -> Corpus:
    if run is None or isinstance(run, TrainedStudent):
        return Corpus.from_path(path)
    return read_scored_corpus(Path(run), path)


def _find_example(corpus: Corpus, example_id: str) -> _FoundExample:
    """Return the first example with this id, otherwise the first one with this image id."""
    candidates = _examples(corpus)
    for attribute in ("id", "image_id"):
        for candidate in candidates:
            if getattr(candidate.example, attribute) == example_id:
                return candidate
    ids = [candidate.example.id for candidate in candidates]
    close = get_close_matches(example_id, ids, n=3, cutoff=0.8)
    hint = f"similar ids: {', '.join(close)}" if close else f"the first id is {ids[0]}"
    raise UsageError(f"no example has the id {example_id!r}; {hint}")


def _examples(corpus: Corpus) -> list[_FoundExample]:
    candidates = []
    for split, examples in corpus.splits.items():
        places = corpus.places.get(split) or [""] * len(examples)
        candidates += [_FoundExample(example, split, where) for example, where in zip(examples, places, strict=True)]
    return candidates


def _plain_annotations(record: Example | Prediction, example: Example) -> dict[str, list[dict[str, Any]]]:
    return {
        annotations.key: [
            {"label": annotation.label, **_plain_spans(annotations, annotation, example), "score": annotation.score}
            for annotation in annotations.of(record)
        ]
        for annotations in ANNOTATIONS.values()
    }


def _plain_spans(annotations: TaskAnnotations[Any], annotation: Annotation, example: Example) -> dict[str, Any]:
    """Return a single span as its own fields, and several spans by their names."""
    spans = [_plain_span(span, example) for span in annotation.spans]
    return dict(zip(annotations.span_names, spans, strict=True)) if len(spans) > 1 else spans[0]


def _plain_span(span: Span, example: Example) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "words": example.words_of(span)}
