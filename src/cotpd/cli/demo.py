"""`cotpd demo`: the whole method on the embedded sample, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cotpd.core.records import Example
    from cotpd.corpus.corpus import Corpus
    from cotpd.evaluation.scores import Scores
    from cotpd.inference.extractor import Extractor

_BASELINE: dict[str, Any] = {"student": "text", "target": "none", "task_loss": "student", "alignment": "none"}

_UNSEEN = (
    "nobody told me Orlando could sing?? he did two songs at the Harbour Inn, wow",
    "Snow closes the A9 north of Perth tonight, says Transport Scotland",
    "Our Maya got into Trinity!! Dublin here we come 🇮🇪",
    "Still thinking about that last scene in Paper Lanterns… give Ines Duarte every award",
    "apple pie for breakfast because it is Sunday and i am an adult",
)


def demo(
    out: Annotated[Path, typer.Option(help="The directory of the two runs.")] = Path("runs/demo"),
    encoder: Annotated[str, typer.Option(help="A Hugging Face name, a directory, or minilm.")] = "minilm",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each run.")] = 10,
) -> None:
    """Train a text-only baseline and a distilled student on the sample, compare them, and extract from new posts.

    Both runs stay in the directory; a second call does not train again.

    Examples:

        cotpd demo

        cotpd demo --encoder bert-base-uncased --out runs/demo-bert
    """
    from cotpd.corpus.corpus import Corpus

    corpus = Corpus.sample()
    _tell_of_corpus(corpus)
    baseline = _trained(corpus, out / "text", "1  text-only baseline", encoder, epochs, _BASELINE)
    student = _trained(
        corpus, out / "cotpd", "2  CoTPD student, learning from captions and knowledge", encoder, epochs, {}
    )
    _compare(baseline, student, corpus.test)
    _extract(student)
    typer.echo(
        f"\nThe student is in {out / 'cotpd'}. Try next:\n"
        f'  cotpd extract {out / "cotpd"} "your own text"\n'
        f"  cotpd show {_sample_path()} test-001 --run {out / 'cotpd'}\n"
        f"  cotpd evaluate {out / 'cotpd'} {_sample_path()} --against {out / 'text'}\n"
        "  cotpd elicit --help"
    )


def _tell_of_corpus(corpus: Corpus) -> None:
    sizes = ", ".join(f"{len(posts)} {split}" for split, posts in corpus.splits.items())
    answers = sum(len(example.knowledge) for example in corpus.examples)
    typer.echo(f"The sample corpus: {sizes} posts with captions and {answers} answers of a language model.")


def _trained(corpus: Corpus, run: Path, title: str, encoder: str, epochs: int, objective: dict[str, Any]) -> Extractor:
    """The extractor of a run: trained now, gone on with, or, when it is finished, loaded."""
    from cotpd.cli.distill import ProgressBar
    from cotpd.core.config import ExperimentConfig
    from cotpd.distillation.recipe import distill
    from cotpd.inference.extractor import Extractor

    typer.echo(f"\n{title} → {run}")
    if (run / "model").is_dir():
        typer.echo("   trained already")
        return Extractor.from_pretrained(run)
    config = ExperimentConfig.read(_sample_path() / "demo.toml", [f"optimisation.epochs={epochs}"])
    values = config.model_dump()
    values["student"]["encoder"] = encoder
    values["objective"].update(objective)
    with ProgressBar() as bar:
        return distill(corpus, config=ExperimentConfig.of(values), out=run, resume=True, listener=bar.show)


def _compare(baseline: Extractor, student: Extractor, test: tuple[Example, ...]) -> None:
    from cotpd.evaluation import compare
    from cotpd.views.view import ViewKind

    rows = {
        "text-only baseline": _scores(baseline, ViewKind.TEXT, test),
        "CoTPD, prompt-enhanced view (text only)": _scores(student, ViewKind.PROMPT, test),
        "CoTPD, knowledge-enhanced view": _scores(student, ViewKind.KNOWLEDGE, test),
    }
    first, second, _ = rows.values()
    typer.echo(f"\nEntities of {len(test)} test posts, micro F1 ({first.mode}) with a 95 % bootstrap interval")
    for name, scores in rows.items():
        interval = scores.interval
        assert interval is not None
        low, high = 100 * interval.low, 100 * interval.high
        typer.echo(f"  {name:<42}{100 * scores.micro_f1:6.2f}   [{low:.2f}, {high:.2f}]")
    typer.echo(f"\nCoTPD on text alone against the baseline, paired:\n{compare(second, first)}")
    typer.echo(
        "One seed and a small test set: read the interval, not the difference. docs/results.md has real corpora."
    )


def _scores(extractor: Extractor, kind: Any, test: tuple[Example, ...]) -> Scores:
    from cotpd.evaluation import evaluate
    from cotpd.inference.decoding import decode

    return evaluate(decode(extractor.student, test, kind=kind), test)


def _extract(student: Extractor) -> None:
    typer.echo("\nFive posts that nobody labelled, read as text alone:")
    for extraction in student(list(_UNSEEN)):
        found = [f"{mention.word} ({mention.entity_group} {mention.score:.2f})" for mention in extraction.entities]
        typer.echo(f"  {extraction.text}\n    {', '.join(found) or '–'}")


def _sample_path() -> Path:
    from importlib.resources import files

    return Path(str(files("cotpd") / "sample"))
