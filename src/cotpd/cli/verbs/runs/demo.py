"""`cotpd demo`: the whole method on the sample corpus, in minutes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cotpd.cli.display.tasks import DISPLAYS
from cotpd.cli.display.terminal import echo
from cotpd.cli.display.training_bar import TrainingBar
from cotpd.core.config import Task

if TYPE_CHECKING:
    from cotpd.distillation.progress import Progress
    from cotpd.distillation.showcase.demo import DemoCorpus, DemoEvent, DemoExtractions, DemoRun, DemoScores


def demo(
    out: Annotated[Path, typer.Option(help="The directory of both runs.")] = Path("runs/demo"),
    encoder: Annotated[str, typer.Option(help="A Hugging Face name, a directory, or minilm.")] = "minilm",
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of each run; the default depends on the task.", show_default=False),
    ] = None,
    task: Annotated[Task, typer.Option(help="The task that the students learn.")] = "entities",
) -> None:
    """Train a text-only baseline and a distilled student on the sample corpus, and compare them.

    The student then extracts from a few new texts. Both runs stay in the directory. A second call loads them.

    Examples:

        cotpd demo

        cotpd demo --task relations
    """
    from cotpd.distillation.showcase.demo import run_demo

    bars = _Bars()
    for event in run_demo(out, encoder=encoder, epochs=epochs, task=task, listener=bars.show):
        bars.close()
        echo("\n".join(_lines(event, task)))
    echo(f"\nThe runs are in {out}. Try next:")
    for command in DISPLAYS[task].commands_after_demo(out):
        echo(f"  {command}")


class _Bars:
    """A progress bar for each training, shown from its first progress until `close`."""

    def __init__(self) -> None:
        self._open: TrainingBar | None = None

    def show(self, progress: Progress) -> None:
        if self._open is None:
            self._open = TrainingBar().__enter__()
        self._open.show_training(progress)

    def close(self) -> None:
        if self._open:
            self._open.__exit__()
        self._open = None


def _lines(event: DemoEvent, task: Task) -> Iterator[str]:
    from cotpd.distillation.showcase.demo import DemoCorpus, DemoRun, DemoScores

    if isinstance(event, DemoCorpus):
        return _corpus_lines(event)
    if isinstance(event, DemoRun):
        return _run_lines(event)
    if isinstance(event, DemoScores):
        return _score_lines(event)
    return _extraction_lines(event, task)


def _corpus_lines(event: DemoCorpus) -> Iterator[str]:
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in event.corpus.splits.items())
    num_answers = sum(len(example.knowledge) for example in event.corpus.examples)
    yield f"The sample corpus: {sizes} examples with captions and {num_answers} answers of a language model."


def _run_lines(event: DemoRun) -> Iterator[str]:
    title = {"baseline": "1  Text-only baseline", "student": "2  CoTPD student, trained with captions and knowledge"}
    yield f"\n{title[event.name]} → {event.path}"
    if event.is_trained:
        yield "   already trained"


def _score_lines(event: DemoScores) -> Iterator[str]:
    from cotpd.evaluation.tasks import SCORING

    titles = {
        "baseline": "text-only baseline",
        "prompt": "CoTPD, prompt-enhanced view (text only)",
        "knowledge": "CoTPD, knowledge-enhanced view",
    }
    first = event.by_view["baseline"]
    scoring = SCORING[first.task]
    mode = f" ({first.mode})" if scoring.has_modes else ""
    title = f"{first.task.capitalize()} of {len(first.ids)} test examples"
    yield f"\n{title}, {scoring.micro_name}{mode} with a 95 % bootstrap interval"
    for name, scores in event.by_view.items():
        low, high = scores.interval or (0.0, 0.0)
        yield f"  {titles[name]:<42}{100 * scores.micro_f1:6.2f}   [{100 * low:.2f}, {100 * high:.2f}]"
    yield f"\nCoTPD on text only against the baseline, paired:\n{event.comparison}"
    yield "One seed and a small test set: rely on the interval. docs/research/results.md has results on real corpora."


def _extraction_lines(event: DemoExtractions, task: Task) -> Iterator[str]:
    yield f"\n{DISPLAYS[task].demo_title}"
    for extraction in event.extractions:
        yield from DISPLAYS[task].demo_lines(extraction)
