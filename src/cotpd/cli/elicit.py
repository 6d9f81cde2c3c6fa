"""`cotpd elicit`: a corpus and a language model become knowledge, one line of JSON an answer."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.core.errors import DataError, TooManyRejectedError, UsageError
from cotpd.core.records import Example, Grain

if TYPE_CHECKING:
    from cotpd.knowledge.elicitation import ElicitationReport, Question
    from cotpd.knowledge.quality import Quality
    from cotpd.llm.chat_model import ChatModel
    from cotpd.llm.language_model import LanguageModel
    from cotpd.llm.local_model import LocalModel
    from cotpd.llm.policy import Budget, Policy
    from cotpd.llm.progress import Progress
    from cotpd.llm.request_store import RequestStore

Split = Literal["train", "dev", "test"]
Wording = Literal["v1", "v2", "direct-v1"]


def elicit(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    model: Annotated[str, typer.Option(help="A .gguf file, or the name of a model at the endpoint.")],
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint; by default OPENAI_BASE_URL."),
    ] = None,
    grain: Annotated[list[Grain] | None, typer.Option(help="Ask at this grain only; may be repeated.")] = None,
    wording: Annotated[
        Wording, typer.Option(help="Two that ask for reasoning in steps, and a direct control without.")
    ] = "v1",
    split: Annotated[Split | None, typer.Option(help="Ask about this split only.")] = None,
    captioner: Annotated[str | None, typer.Option(help="Show the model the captions of this captioner.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask about the first so many posts only.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="By default knowledge.jsonl beside the corpus, or knowledge-WORDING.jsonl."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The request store; by default requests.sqlite beside the knowledge.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process writes the store.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="The most questions on their way at once.")] = 32,
    rpm: Annotated[float, typer.Option(min=0.01, help="The most requests a minute.")] = math.inf,
    tpm: Annotated[float, typer.Option(min=0.01, help="The most tokens a minute.")] = math.inf,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer of an endpoint.")] = 120.0,
    max_requests: Annotated[int | None, typer.Option(min=0, help="Budget: attempts, failed ones too.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Budget: tokens read and written.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Budget: money; needs the prices.")] = None,
    price_in: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens read.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens written.")] = None,
    ask_again: Annotated[bool, typer.Option("--ask-again", help="Ask anew where an answer was rejected.")] = False,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of unusable answers allowed.")] = 0.05,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of a .gguf file; 0: its engine decides.")] = 0,
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
    from cotpd.corpus.splits import companion
    from cotpd.knowledge.elicitation import STORE
    from cotpd.llm.policy import Budget

    grains = tuple(dict.fromkeys(grain or Grain))
    policy = _policy(
        Budget(max_requests, max_tokens, max_cost),
        prices=(price_in, price_out),
        concurrency=concurrency,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        longest_answer=math.inf if _is_file(model) else 2 * timeout,
        ask_again=ask_again,
    )
    target = out or companion(data, _file_name(wording))
    examples = _examples(data, captioner, split, limit)
    with ExitStack() as stack, _open(model, base_url, threads, timeout) as opened:
        run = _Run(examples, opened, target, policy)
        run.choose(grains, wording)
        kept = stack.enter_context(_open_store(store or target.with_name(STORE), wait=wait, only_look=dry_run))
        if dry_run:
            return run.rehearse(kept)
        if to_batch:
            return run.write_batch(kept, to_batch)
        report = run.read_batch(kept, from_batch) if from_batch else run.ask(kept)
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


def _policy(budget: Budget, *, prices: tuple[float | None, float | None], **settings: Any) -> Policy:
    from cotpd.llm.policy import Policy, Price

    price_in, price_out = prices
    if (price_in is None) != (price_out is None):
        raise UsageError("a price needs both --price-in and --price-out")
    price = None if price_in is None or price_out is None else Price(price_in, price_out)
    return Policy(budget=budget, price=price, **settings)


def _file_name(wording: str) -> str:
    """One file for each wording: a corpus reads ``knowledge.jsonl``."""
    return "knowledge.jsonl" if wording == "v1" else f"knowledge-{wording}.jsonl"


def _is_file(model: str) -> bool:
    return model.lower().endswith(".gguf")


def _open(model: str, base_url: str | None, threads: int, timeout: float) -> ChatModel | LocalModel:
    if _is_file(model):
        from cotpd.llm.local_model import LocalModel

        return LocalModel(model, threads=threads)
    if not (base_url or os.environ.get("OPENAI_BASE_URL")):
        raise UsageError(f"{model} is no .gguf file; name the endpoint that has it with --base-url URL")
    from cotpd.llm.chat_model import ChatModel

    return ChatModel(model, base_url=base_url, timeout=timeout)


def _open_store(path: Path, *, wait: bool, only_look: bool) -> RequestStore:
    from cotpd.llm.request_store import RequestStore

    if only_look and not path.exists():
        return RequestStore()
    return RequestStore(path, wait=wait, read_only=only_look)


class _Run:
    """The questions of one command, and the four things to do with them."""

    def __init__(
        self, examples: Sequence[Example], model: ChatModel | LocalModel, target: Path, policy: Policy
    ) -> None:
        self._examples, self._model, self._target, self._policy = examples, model, target, policy
        self._choice: dict[str, Any] = {}

    def choose(self, grains: Sequence[Grain], wording: str) -> None:
        """Say which questions are meant."""
        self._choice = {"grains": grains, "wording": wording}

    def rehearse(self, store: RequestStore) -> None:
        """Print what would be asked, asking nothing."""
        from cotpd.cli.rehearsal import show_questions, tell_price

        asked = self._questions()
        kinds = {question.grain: question for question in reversed(asked)}
        show_questions({f"{each.template}, {each.post.id}": each.request for each in reversed(kinds.values())})
        left = self._unanswered(store)
        typer.echo(f"{len(left):,} of {len(asked):,} questions to ask about {len(self._examples):,} posts")
        tell_price({each.request_key: each.request for each in left}.values(), self._policy.price)

    def ask(self, store: RequestStore) -> ElicitationReport:
        """Ask what is open."""
        from cotpd.cli.live_display import LiveDisplay

        with LiveDisplay("asking") as display:
            return self._elicit(self._model, store, display.show)

    def write_batch(self, store: RequestStore, path: Path) -> None:
        """Write what is open to a batch file."""
        from cotpd.llm.batch_file import Source, write_batch

        left = (question.request for question in self._unanswered(store))
        count = write_batch(left, path, source=Source(self._model.name, self._model.endpoint), store=store)
        typer.echo(
            f"{path}: {count:,} questions; hand it in, then run again with --from-batch and the files that come back"
        )

    def read_batch(self, store: RequestStore, paths: Sequence[Path]) -> ElicitationReport:
        """Take over the answers of a batch and write the knowledge, asking nothing."""
        from cotpd.llm.batch_file import Source, read_batch
        from cotpd.llm.replaying_model import ReplayingModel

        model = ReplayingModel(store, name=self._model.name, endpoint=self._model.endpoint)
        requests = (question.request for question in self._questions())
        taken = read_batch(requests, paths, source=Source(model.name, model.endpoint), store=store)
        counts = ", ".join(f"{count:,} {name}" for name, count in asdict(taken).items() if count)
        typer.echo(f"of the batch: {counts or 'nothing'}", err=True)
        return self._elicit(model, store, None)

    def _elicit(
        self, model: LanguageModel, store: RequestStore, listener: Callable[[Progress, int], None] | None
    ) -> ElicitationReport:
        from cotpd.knowledge.elicitation import Asking, elicit

        asking = Asking(store, self._policy, listener)
        return elicit(self._examples, model, out=self._target, asking=asking, **self._choice)

    def _questions(self) -> list[Question]:
        from cotpd.knowledge.elicitation import questions

        return list(questions(self._examples, self._model.name, endpoint=self._model.endpoint, **self._choice))

    def _unanswered(self, store: RequestStore) -> list[Question]:
        from cotpd.knowledge.elicitation import unanswered

        left = unanswered(self._questions(), self._target)
        return [each for each in left if not store.find(each.request_key)]


def _to_dict(report: ElicitationReport) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    return counts | {
        "kept": len(report.knowledge),
        "rejected": len(report.rejections),
        "failed": len(report.failures),
        "reasons": report.reasons,
        "cost": report.cost,
        "answered_by": report.answered_by,
        "quality": {grain: asdict(quality) for grain, quality in report.quality.items()},
    }


def _summary(report: ElicitationReport, target: Path) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items())
    cost = "" if report.cost is None else f", cost {report.cost:.4f}"
    lines = [
        f"{target}: {len(report.knowledge):,} answers kept, {len(report.rejections):,} rejected"
        f"{f' ({reasons})' if reasons else ''}; {report.num_asked:,} asked now, "
        f"{report.prompt_tokens:,} tokens read, {report.completion_tokens:,} written{cost}"
    ]
    if report.num_without_caption:
        lines.append(f"{report.num_without_caption:,} posts have no caption: no multimodality question")
    if report.failures:
        lines.append(f"{len(report.failures):,} without an answer, asked by the next run: {report.failures[0]}")
    others = report.answered_by.keys() - {report.model}
    if others:
        lines.append(f"answered by {', '.join(sorted(others))}, where {report.model} was asked")
    lines += [f"{grain:<14}{_figures(quality)}" for grain, quality in report.quality.items()]
    return "\n".join(lines)


def _figures(quality: Quality) -> str:
    return (
        f"{quality.answers:>7,} answers of {quality.words:4.1f} words; grounded {quality.grounding:6.1%}, "
        f"refused {quality.refused:5.1%}, duplicates {quality.duplicates:5.1%}, diversity {quality.diversity:.2f}"
    )
