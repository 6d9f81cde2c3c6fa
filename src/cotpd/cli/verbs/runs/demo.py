"""`cotpd demo`: the whole method on the embedded sample, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cotpd.core.config import Task

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

_MARKED = (
    ("Snow closes the A9 north of Perth tonight, says Transport Scotland", ("A9", "Perth", "Transport Scotland")),
    ("Our Maya got into Trinity!! Dublin here we come 🇮🇪", ("Maya", "Trinity", "Dublin")),
    ("Ines Duarte is so good in Paper Lanterns, give her every award", ("Ines Duarte", "Paper Lanterns")),
    ("nobody told me Orlando could sing?? he did two songs at the Harbour Inn, wow", ("Orlando", "Harbour Inn")),
    ("met Ana for lunch, then Tom rang from Porto, Portugal", ("Ana", "Tom", "Porto", "Portugal")),
)
"""Posts with the entities whose pairs are read."""

_EPOCHS: dict[Task, int] = {"entities": 10, "relations": 5}


def demo(
    out: Annotated[Path, typer.Option(help="The directory of the two runs.")] = Path("runs/demo"),
    encoder: Annotated[str, typer.Option(help="A Hugging Face name, a directory, or minilm.")] = "minilm",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each run; by default 10, of relations 5.", show_default=False)
    ] = None,
    task: Annotated[Task, typer.Option(help="What is learnt.")] = "entities",
) -> None:
    """Train a text-only baseline and a distilled student on the sample, compare them, and extract from new posts.

    Both runs stay in the directory; a second call does not train again.

    Examples:

        cotpd demo

        cotpd demo --task relations
    """
    from cotpd.corpus.corpus import Corpus

    corpus = Corpus.sample()
    _tell_of_corpus(corpus)
    plan = _Plan(corpus, task, out, encoder, epochs or _EPOCHS[task])
    baseline = plan.trained("text", "1  text-only baseline", _BASELINE)
    student = plan.trained("cotpd", "2  CoTPD student, learning from captions and knowledge", {})
    _compare(baseline, student, corpus.test)
    if task == "entities":
        _extract(student)
    else:
        _extract_relations(student)
    typer.echo("\n".join(_next_commands(plan, out)))


def _tell_of_corpus(corpus: Corpus) -> None:
    sizes = ", ".join(f"{len(posts)} {split}" for split, posts in corpus.splits.items())
    answers = sum(len(example.knowledge) for example in corpus.examples)
    typer.echo(f"The sample corpus: {sizes} posts with captions and {answers} answers of a language model.")


class _Plan(NamedTuple):
    """What both runs share."""

    corpus: Corpus
    task: Task
    out: Path
    encoder: str
    epochs: int

    def run(self, name: str) -> Path:
        """Where a run lies; those of relations beside those of entities."""
        return self.out / (name if self.task == "entities" else f"{self.task}-{name}")

    def trained(self, name: str, title: str, objective: dict[str, Any]) -> Any:
        """The extractor of a run: trained now, gone on with, or, when it is finished, loaded."""
        from cotpd.cli.verbs.runs.distill import ProgressBar
        from cotpd.core.config import ExperimentConfig
        from cotpd.distillation.recipe import distill
        from cotpd.inference.extractors import load_extractor

        run = self.run(name)
        typer.echo(f"\n{title} → {run}")
        if (run / "model").is_dir():
            typer.echo("   trained already")
            return load_extractor(run)
        changes = [f"optimisation.epochs={self.epochs}", f"task={self.task}"]
        values = ExperimentConfig.read(_sample_path() / "demo.toml", changes).model_dump()
        values["student"]["encoder"] = self.encoder
        values["objective"].update(objective)
        with ProgressBar() as bar:
            return distill(self.corpus, config=ExperimentConfig.of(values), out=run, resume=True, listener=bar.show)


def _compare(baseline: Extractor, student: Extractor, test: tuple[Example, ...]) -> None:
    from cotpd.evaluation import compare
    from cotpd.views.view import ViewKind

    rows = {
        "text-only baseline": _scores(baseline, ViewKind.TEXT, test),
        "CoTPD, prompt-enhanced view (text only)": _scores(student, ViewKind.PROMPT, test),
        "CoTPD, knowledge-enhanced view": _scores(student, ViewKind.KNOWLEDGE, test),
    }
    first, second, _ = rows.values()
    mode = f" ({first.mode})" if first.task == "entities" else ""
    title = f"{first.task.capitalize()} of {len(test)} test posts"
    typer.echo(f"\n{title}, micro F1{mode} with a 95 % bootstrap interval")
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
    from cotpd.evaluation.tasks import exact_rule

    return evaluate(extractor.predict(test, kind=kind), test, rule=exact_rule(extractor.task))


def _extract(student: Extractor) -> None:
    typer.echo("\nFive posts that nobody labelled, read as text alone:")
    for extraction in student(list(_UNSEEN)):
        found = [f"{mention.word} ({mention.entity_group} {mention.score:.2f})" for mention in extraction.entities]
        typer.echo(f"  {extraction.text}\n    {', '.join(found) or '–'}")


def _extract_relations(student: Any) -> None:
    from cotpd.inference.marked_text import MarkedText

    typer.echo("\nFive posts that nobody labelled, all pairs of their entities read from text alone:")
    marked = [
        MarkedText(text, entities=tuple((text.index(name), text.index(name) + len(name)) for name in names))
        for text, names in _MARKED
    ]
    for extraction in student(marked):
        typer.echo(f"  {extraction.text}")
        for pair in extraction.relations:
            typer.echo(f"    {pair.head.word} → {pair.tail.word}  {pair.label} {pair.score:.2f}")
        if not extraction.relations:
            typer.echo(f"    – ({len(extraction.pairs)} pairs)")


def _next_commands(plan: _Plan, out: Path) -> list[str]:
    student, baseline, sample = plan.run("cotpd"), plan.run("text"), _sample_path()
    lines = [f"\nThe student is in {student}. Try next:"]
    if plan.task == "entities":
        lines.append(f'  cotpd extract {student} "your own text"')
    elif (out / "cotpd" / "model").is_dir():
        lines.append(f'  cotpd extract {student} --entities-from {out / "cotpd"} "your own text"')
    else:
        lines.append(f"  cotpd demo --out {out}, for a run that finds the entities of `cotpd extract --entities-from`")
    return [
        *lines,
        f"  cotpd show {sample} test-001 --run {student}",
        f"  cotpd evaluate {student} {sample} --against {baseline}",
        "  cotpd elicit --help" if plan.task == "entities" else f"  cotpd evaluate {student} {sample} --all-pairs",
    ]


def _sample_path() -> Path:
    from importlib.resources import files

    return Path(str(files("cotpd") / "sample"))
