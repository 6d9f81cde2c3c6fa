"""`cotpd elicit`: a corpus and a language model become knowledge, one line of JSON an answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cotpd.cli.terminal import printable
from cotpd.core.errors import DataError, TooManyRejectedError, UsageError
from cotpd.core.records import Example, Grain

if TYPE_CHECKING:
    from cotpd.knowledge.elicitation import ElicitationReport
    from cotpd.llm.chat_model import ChatModel
    from cotpd.llm.local_model import LocalModel

Split = Literal["train", "dev", "test"]


def elicit(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    model: Annotated[str, typer.Option(help="A .gguf file, or the name of a model at the endpoint.")],
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint; by default OPENAI_BASE_URL."),
    ] = None,
    grain: Annotated[list[Grain] | None, typer.Option(help="Ask at this grain only; may be repeated.")] = None,
    split: Annotated[Split | None, typer.Option(help="Ask about this split only.")] = None,
    captioner: Annotated[str | None, typer.Option(help="Show the model the captions of this captioner.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask about the first so many posts only.")] = None,
    out: Annotated[Path | None, typer.Option(help="By default knowledge.jsonl beside the corpus.")] = None,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of unusable answers allowed.")] = 0.05,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of a .gguf file; 0: its engine decides.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the questions and show one of each grain.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Ask a language model about every post of a corpus, at three grains.

    Answers are on the disk as they come; stopped, the same command goes on where it was. Unusable answers go to
    rejections.jsonl beside the others; when their share is above --max-rejected the exit code is 3.

    Examples:

        cotpd elicit data/twitter2017 --model qwen2.5-7b-instruct --base-url http://localhost:8000/v1

        cotpd elicit posts.jsonl --model models/qwen2.5-1.5b.gguf --grain noun --limit 20 --dry-run
    """
    from cotpd.corpus.splits import KNOWLEDGE, companion
    from cotpd.knowledge.answer_file import AnswerFile

    target, grains = out or companion(data, KNOWLEDGE), tuple(dict.fromkeys(grain or Grain))
    AnswerFile(target).mend()
    examples = _examples(data, captioner, split, limit)
    if dry_run:
        _rehearse(examples, _name_of(model), grains, target)
        return
    report = _ask(examples, _open(model, base_url, threads), grains, target)
    typer.echo(json.dumps(_to_dict(report)) if as_json else _summary(report, target))
    if report.rejected_share > max_rejected:
        raise TooManyRejectedError(
            f"{report.rejected_share:.1%} of the answers were rejected, more than {max_rejected:.1%}; "
            f"see {target.with_name('rejections.jsonl')}, and ask a stronger model or raise --max-rejected"
        )


def _examples(data: Path, captioner: str | None, split: Split | None, limit: int | None) -> tuple[Example, ...]:
    from cotpd.corpus.corpus import Corpus

    corpus = Corpus.from_path(data, captioner=captioner)
    if split and split not in corpus.splits:
        raise DataError(f"no post of {split}; there is {', '.join(corpus.splits)}", where=str(data))
    chosen = corpus.splits[split] if split else corpus.examples
    return chosen[:limit]


def _is_file(model: str) -> bool:
    return model.lower().endswith(".gguf")


def _name_of(model: str) -> str:
    return Path(model).stem if _is_file(model) else model


def _open(model: str, base_url: str | None, threads: int) -> ChatModel | LocalModel:
    if _is_file(model):
        from cotpd.llm.local_model import LocalModel

        return LocalModel(model, threads=threads)
    if not (base_url or os.environ.get("OPENAI_BASE_URL")):
        raise UsageError(f"{model} is no .gguf file; name the endpoint that has it with --base-url URL")
    from cotpd.llm.chat_model import ChatModel

    return ChatModel(model, base_url=base_url)


def _rehearse(examples: Sequence[Example], name: str, grains: Sequence[Grain], target: Path) -> None:
    """Print how many questions are open and one of each grain, asking nothing."""
    from cotpd.knowledge.answer_file import AnswerFile
    from cotpd.knowledge.elicitation import questions

    asked, known = list(questions(examples, name, grains)), AnswerFile(target).read()
    for grain in grains:
        first = next((question for question in asked if question.grain is grain), None)
        if first:
            typer.echo(f"── {first.template}, {first.post.id}")
            typer.echo("\n\n".join(f"[{each.role}]\n{printable(each.content)}" for each in first.messages) + "\n")
    num_open = sum(question.key not in known for question in asked)
    typer.echo(f"{num_open:,} of {len(asked):,} questions to ask about {len(examples):,} posts")


def _ask(
    examples: Sequence[Example], model: ChatModel | LocalModel, grains: Sequence[Grain], target: Path
) -> ElicitationReport:
    from cotpd.knowledge.elicitation import elicit as ask

    with model, _ProgressBar() as bar:
        return ask(examples, model, grains=grains, out=target, on_progress=bar.show)


class _ProgressBar:
    """A live bar on stderr with what was kept and rejected, tokens, and the time left; nothing where nobody watches."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rejected {task.fields[rejected]}  tokens {task.fields[tokens]:,}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("asking", rejected=0, tokens=0, total=None)

    def __enter__(self) -> _ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, report: ElicitationReport) -> None:
        """Show the state of the elicitation."""
        self._bar.update(
            self._task,
            completed=report.num_answered,
            total=report.num_questions,
            rejected=len(report.rejections),
            tokens=report.prompt_tokens + report.completion_tokens,
        )


def _to_dict(report: ElicitationReport) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    return counts | {"kept": len(report.knowledge), "rejected": len(report.rejections), "reasons": report.reasons}


def _summary(report: ElicitationReport, target: Path) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items())
    skipped = f"; {report.num_without_caption:,} posts have no caption" if report.num_without_caption else ""
    return (
        f"{target}: {len(report.knowledge):,} answers kept, {len(report.rejections):,} rejected"
        f"{f' ({reasons})' if reasons else ''}; {report.num_asked:,} asked now, "
        f"{report.prompt_tokens:,} tokens read, {report.completion_tokens:,} written{skipped}"
    )
