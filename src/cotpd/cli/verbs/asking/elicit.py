"""`cotpd elicit`: a corpus and a language model become knowledge, one line of JSON an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.cli.display.answers_report import quality_figures
from cotpd.cli.display.asking_report import numbers, outcome, refuse_too_many, summary
from cotpd.cli.display.terminal import printable
from cotpd.cli.options.model_options import AskingOptions, ModelOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import UsageError
from cotpd.core.records import Example, Grain

if TYPE_CHECKING:
    from cotpd.knowledge.elicitation import Asking, ElicitationReport, Question
    from cotpd.llm.asking.policy import Policy
    from cotpd.llm.language_model import LanguageModel
    from cotpd.llm.store.request_store import RequestStore

Split = Literal["train", "dev", "test"]
Wording = Literal["v1", "v2", "direct-v1", "paper-v0"]


@with_groups
def elicit(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    llm: ModelOptions,
    *,
    grain: Annotated[list[Grain] | None, typer.Option(help="Ask at this grain only; may be repeated.")] = None,
    wording: Annotated[
        Wording,
        typer.Option(
            help="Question set: v1 and v2 ask for reasoning in steps, direct-v1 does not, paper-v0 is zero-shot."
        ),
    ] = "v1",
    split: Annotated[Split | None, typer.Option(help="Ask about this split only.")] = None,
    captioner: Annotated[str | None, typer.Option(help="Show the model the captions of this captioner.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask about the first so many posts only.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="By default knowledge.jsonl beside the corpus, or knowledge-WORDING.jsonl."),
    ] = None,
    asking: AskingOptions,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of unusable answers allowed.")] = 0.05,
    to_batch: Annotated[
        Path | None, typer.Option("--to-batch", help="Write the open questions as an OpenAI batch file, ask nothing.")
    ] = None,
    from_batch: Annotated[
        list[Path] | None, typer.Option("--from-batch", help="Take the answers from a batch's result or error file.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show calls, tokens, price and one question of each grain; ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Ask a language model about every post of a corpus, at three grains.

    Answers are in the request store as they come; stopped in any way, the same command goes on where it was and pays
    for nothing twice. Unusable answers go to rejections.jsonl beside the others; when their share is above
    --max-rejected the exit code is 3, when a budget is spent 4.

    Examples:

        cotpd elicit data/twitter2017 --model qwen2.5-7b-instruct --base-url http://localhost:8000/v1

        cotpd elicit posts.jsonl --model models/qwen2.5-1.5b.gguf --grain noun --limit 20 --dry-run
    """
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import companion
    from cotpd.knowledge.elicitation import refuse_shared_ids

    if to_batch:
        _refuse_beside_batch(asking, from_batch)
    policy, target = asking.policy(is_patient=llm.is_file), out or companion(data, _file_name(wording))
    choice = {"grains": tuple(dict.fromkeys(grain or Grain)), "wording": wording}

    def posts() -> tuple[Example, ...]:
        corpus = Corpus.from_path(data, captioner=captioner)
        chosen = corpus.posts(split)[:limit]
        refuse_shared_ids(chosen, corpus.examples)
        return chosen

    examples = posts()
    with llm.open(asking.timeout) as model, asking.open_store(target, only_look=dry_run) as store:
        if asking.wait:
            examples = posts()  # who was waited for may have captioned them
        run = _Run(examples, choice, model, store, policy, target)
        if dry_run:
            return run.rehearse()
        if to_batch:
            return run.write_batch(to_batch)
        report = run.read_batch(from_batch) if from_batch else run.ask()
    typer.echo(json.dumps(_to_dict(report)) if as_json else "\n".join(_summary(report, target)))
    advice = f"see {target.with_name('rejections.jsonl')}, and ask a stronger model"
    refuse_too_many(report.rejected_share, max_rejected, "answers were rejected", advice)


def _refuse_beside_batch(asking: AskingOptions, from_batch: Sequence[Path] | None) -> None:
    """Raise `UsageError` for an option that the writing of a batch file would not heed."""
    if asking.ask_again:
        raise UsageError("a batch file asks nothing twice; leave out --ask-again or --to-batch")
    if from_batch:
        raise UsageError("read what came back first; leave out --from-batch or --to-batch")
    if {asking.max_requests, asking.max_tokens, asking.max_cost} != {None}:
        raise UsageError("a batch file knows no budget; leave out --max-requests, --max-tokens and --max-cost")


def _file_name(wording: str) -> str:
    """One file for each wording: a corpus reads ``knowledge.jsonl``."""
    return "knowledge.jsonl" if wording == "v1" else f"knowledge-{wording}.jsonl"


@dataclass(frozen=True, slots=True)
class _Run:
    """The questions of one command, and the four things to do with them."""

    examples: Sequence[Example]
    choice: dict[str, Any]
    model: LanguageModel
    store: RequestStore
    policy: Policy
    target: Path

    def rehearse(self) -> None:
        """Print what would be asked, asking nothing."""
        from cotpd.cli.display.dry_run import show_questions, tell_price

        asked = self._questions()
        kinds = {question.grain: question for question in reversed(asked)}
        show_questions({f"{each.template}, {each.post.id}": each.request for each in reversed(kinds.values())})
        left = self._unanswered()
        typer.echo(f"{len(left):,} of {len(asked):,} questions to ask about {len(self.examples):,} posts")
        tell_price((each.request for each in left), self.model, self.store, self.policy)

    def ask(self) -> ElicitationReport:
        """Ask what is open, also where it stands in a batch, which is told."""
        from cotpd.cli.display.live_display import LiveDisplay
        from cotpd.knowledge.elicitation import Asking

        if num_out := self._num_out():
            typer.echo(f"{num_out:,} questions are out in a batch and are asked and paid again", err=True)
        with LiveDisplay("asking") as display:
            return self._elicit(self.model, Asking(self.store, self.policy, display.show))

    def write_batch(self, path: Path) -> None:
        """Write what is open to a batch file."""
        from cotpd.llm.store.batch_file import Source, write_batch

        left = (question.request for question in self._unanswered())
        if count := write_batch(left, path, source=Source(self.model.name, self.model.endpoint), store=self.store):
            advice = "hand it in, then run again with --from-batch and the files that come back"
            return typer.echo(f"{path}: {count:,} questions; {advice}")
        advice = f"`cotpd store {self.store.path}` names it, --call-back forgets it"
        why = f"{num_out:,} are out in a batch; {advice}" if (num_out := self._num_out()) else "all are answered"
        typer.echo(f"{path} is not written: no question is left to ask, {why}")

    def read_batch(self, paths: Sequence[Path]) -> ElicitationReport:
        """Take over the answers of a batch and write the knowledge, asking nothing, at no rate and within no budget."""
        from cotpd.knowledge.elicitation import Asking
        from cotpd.llm.store.batch_file import Source, read_batch
        from cotpd.llm.store.replaying_model import ReplayingModel

        model = ReplayingModel(self.store, name=self.model.name, endpoint=self.model.endpoint)
        requests = (question.request for question in self._questions())
        taken = read_batch(requests, paths, source=Source(model.name, model.endpoint), store=self.store)
        counts = ", ".join(f"{count:,} {name}" for name, count in numbers(taken).items() if count)
        typer.echo(f"of the batch: {counts or 'nothing'}", err=True)
        report = self._elicit(model, Asking(self.store, only_kept=True))
        report.failures += taken.reasons
        return report

    def _elicit(self, model: LanguageModel, asking: Asking) -> ElicitationReport:
        from cotpd.knowledge.elicitation import elicit

        return elicit(self.examples, model, out=self.target, asking=asking, **self.choice)

    def _num_out(self) -> int:
        """The questions that stand in a batch, those that are the same counted once."""
        return sum(map(self.store.is_out, {each.request_key for each in self._questions()}))

    def _questions(self) -> list[Question]:
        from cotpd.knowledge.elicitation import questions

        return list(questions(self.examples, self.model.name, endpoint=self.model.endpoint, **self.choice))

    def _unanswered(self) -> list[Question]:
        from cotpd.cli.display.dry_run import is_open
        from cotpd.knowledge.elicitation import unanswered

        left = unanswered(self._questions(), self.target, ask_again=self.policy.ask_again)
        return [each for each in left if is_open(each.request, self.model, self.store, self.policy)]


def _to_dict(report: ElicitationReport) -> dict[str, Any]:
    quality = {grain: asdict(figures) for grain, figures in report.quality.items()}
    counts = numbers(report) | outcome(report, kept=len(report.knowledge))
    return counts | {"answered_by": report.answered_by, "quality": quality}


def _summary(report: ElicitationReport, target: Path) -> Iterator[str]:
    yield from summary(report, target, f"{len(report.knowledge):,} answers")
    if report.num_without_caption:
        yield f"{report.num_without_caption:,} posts have no caption: no multimodality question"
    if others := report.answered_by.keys() - {report.model}:
        yield printable(f"answered by {', '.join(sorted(others))}, where {report.model} was asked")
    for grain, quality in report.quality.items():
        yield f"{grain:<14}{quality_figures(quality)}"
