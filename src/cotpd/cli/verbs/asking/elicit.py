"""`cotpd elicit`: ask a language model about a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.cli.display.answers_report import quality_line
from cotpd.cli.display.asking_report import check_rejected_share, report_values, summary_lines
from cotpd.cli.display.terminal import echo, printable
from cotpd.cli.options.model_options import AskingOptions, ModelOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import UsageError
from cotpd.core.records import Grain

if TYPE_CHECKING:
    from cotpd.knowledge.elicitation import ElicitationReport, KnowledgeQuestion
    from cotpd.knowledge.quality import Quality
    from cotpd.llm.language_model import LanguageModel
    from cotpd.llm.store.batch_file import BatchReport
    from cotpd.llm.store.request_store import RequestStore

Split = Literal["train", "dev", "test"]
Wording = Literal["v1", "v2", "direct-v1", "paper-v0"]


@with_groups
def elicit(
    data: Annotated[Path, typer.Argument(help="Corpus directory, or one corpus file.")],
    llm: ModelOptions,
    *,
    grain: Annotated[list[Grain] | None, typer.Option(help="Grain to ask at, repeatable. Default: all three.")] = None,
    wording: Annotated[
        Wording,
        typer.Option(
            help="Question set: v1 and v2 ask for reasoning in steps, direct-v1 does not, paper-v0 is zero-shot."
        ),
    ] = "v1",
    split: Annotated[Split | None, typer.Option(help="Split to ask about. Default: all splits.")] = None,
    captioner: Annotated[
        str | None, typer.Option(help="Captioner whose captions the model sees. Default: the first in the file.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of posts, counted from the first.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output file. Default: knowledge.jsonl beside the corpus, or knowledge-WORDING.jsonl."),
    ] = None,
    asking: AskingOptions,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of unusable answers before exit code 3.")
    ] = 0.05,
    to_batch: Annotated[
        Path | None, typer.Option("--to-batch", help="Write the open questions as an OpenAI batch file; ask nothing.")
    ] = None,
    from_batch: Annotated[
        list[Path] | None, typer.Option("--from-batch", help="Result or error file of a batch to read, repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens, price and one question per grain; ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Ask a language model about every post of a corpus, at three grains.

    Answers are stored as they arrive. After an interruption, the same command continues and pays for nothing twice.
    Unusable answers are listed in rejections.jsonl. The exit code is 3 if their share is above --max-rejected, and 4 if
    a budget is reached.

    Examples:

        cotpd elicit data/twitter2017 --model qwen2.5-7b-instruct --base-url http://localhost:8000/v1

        cotpd elicit posts.jsonl --model models/qwen2.5-1.5b.gguf --grain noun --limit 20 --dry-run
    """
    from cotpd.cli.display.live_display import LiveDisplay
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import output_path
    from cotpd.knowledge.elicitation import elicit as ask_about
    from cotpd.knowledge.elicitation import open_questions, questions, refuse_shared_ids
    from cotpd.knowledge.quality import measure
    from cotpd.llm.asking.session import Asking

    _check_batch_options(asking, to_batch, from_batch)
    policy, target = asking.policy(is_local=llm.is_local), out or output_path(data, _file_name(wording))
    grains = tuple(dict.fromkeys(grain or Grain))
    corpus = Corpus.from_path(data, captioner=captioner)
    examples = corpus.posts(split)[:limit]
    refuse_shared_ids(examples, corpus.examples)
    answer_tokens = asking.answer_tokens
    with llm.open(timeout=asking.timeout) as model, asking.open_store(target, read_only=dry_run) as store:
        all_questions = list(
            questions(
                examples,
                model.name,
                endpoint=model.endpoint,
                grains=grains,
                wording=wording,
                answer_tokens=answer_tokens,
            )
        )
        how, returned = Asking(store, policy, answer_tokens=answer_tokens), None
        if dry_run:
            return _print_plan(all_questions, open_questions(all_questions, model, target, how), model, how)
        if to_batch:
            return _write_batch(
                open_questions(all_questions, model, target, how), all_questions, to_batch, model, store
            )
        if from_batch:
            returned = _read_batch(all_questions, from_batch, model, store)
            how = Asking(store, store_only=True, answer_tokens=asking.answer_tokens)
        elif num_in_batch := _num_in_batch(all_questions, store):
            echo(f"{num_in_batch:,} questions are in a batch; they are asked and paid for again", err=True)
        with LiveDisplay("elicit") as display:
            how = replace(how, listener=display.show_asking)
            report = ask_about(examples, model, grains=grains, wording=wording, out=target, asking=how)
    report.failures += returned.reasons if returned else []
    quality = measure(report.results, report.rejections, (example.post for example in examples))
    lines = [*summary_lines(report, target, noun="answers"), *_details(report, quality, model.name)]
    echo(json.dumps(_values(report, quality)) if as_json else "\n".join(lines))
    advice = f"see {target.with_name('rejections.jsonl')}, use a stronger model"
    check_rejected_share(report, max_rejected, noun="answers", advice=advice)


def _check_batch_options(asking: AskingOptions, to_batch: Path | None, from_batch: Sequence[Path] | None) -> None:
    """Raise `UsageError` for options that have no effect on a batch file."""
    if to_batch is None:
        return
    if asking.ask_again:
        raise UsageError("--to-batch cannot ask again for rejected answers; remove --ask-again or --to-batch")
    if from_batch:
        raise UsageError("read the results of a batch before writing the next; remove --from-batch or --to-batch")
    if {asking.max_requests, asking.max_tokens, asking.max_cost} != {None}:
        raise UsageError(
            "a batch file has no budget; remove --max-requests, --max-tokens and --max-cost, or --to-batch"
        )


def _file_name(wording: str) -> str:
    """Return one file name per wording. A corpus reads knowledge.jsonl."""
    return "knowledge.jsonl" if wording == "v1" else f"knowledge-{wording}.jsonl"


def _print_plan(
    all_questions: Sequence[KnowledgeQuestion], open_: Sequence[KnowledgeQuestion], model: LanguageModel, asking: Any
) -> None:
    from cotpd.cli.display.dry_run import print_plan, print_questions
    from cotpd.llm.asking.plan import plan_requests

    first_of_grain = {question.grain: question for question in reversed(all_questions)}
    shown = reversed(first_of_grain.values())
    print_questions({f"{each.template}, {each.post.id}": each.request for each in shown})
    num_posts = len({question.post.id for question in all_questions})
    echo(f"{len(open_):,} of {len(all_questions):,} questions to ask about {num_posts:,} posts")
    print_plan(plan_requests((each.request for each in open_), model, asking.store, asking.policy))


def _write_batch(
    open_: Sequence[KnowledgeQuestion],
    all_questions: Sequence[KnowledgeQuestion],
    path: Path,
    model: LanguageModel,
    store: RequestStore,
) -> None:
    from cotpd.llm.store.batch_file import Source, write_batch

    requests = (question.request for question in open_)
    if counts := write_batch(requests, path, source=Source(model.name, model.endpoint), store=store):
        which = "it" if len(counts) == 1 else "each file as a batch of its own"
        files = "\n".join(f"{file}: {count:,} questions" for file, count in counts.items())
        return echo(f"{files}; submit {which}, then run again with --from-batch and the files that come back")
    in_batch = _num_in_batch(all_questions, store)
    advice = f"`cotpd store {store.path}` lists batches, --forget-batch forgets one"
    reason = f"{in_batch:,} are in a batch; {advice}" if in_batch else "all are answered"
    echo(f"{path} was not written: no question is left to ask, {reason}")


def _read_batch(
    all_questions: Sequence[KnowledgeQuestion], paths: Sequence[Path], model: LanguageModel, store: RequestStore
) -> BatchReport:
    from cotpd.llm.store.batch_file import Source, read_batch

    requests = (question.request for question in all_questions)
    report = read_batch(requests, paths, source=Source(model.name, model.endpoint), store=store)
    counts = ((name, value) for name, value in asdict(report).items() if isinstance(value, int) and value)
    echo(f"batch: {', '.join(f'{value:,} {name}' for name, value in counts) or 'no results'}", err=True)
    return report


def _num_in_batch(all_questions: Sequence[KnowledgeQuestion], store: RequestStore) -> int:
    """Count the questions in a batch; duplicates count once."""
    return sum(map(store.is_in_batch, {question.request_key for question in all_questions}))


def _values(report: ElicitationReport, quality: dict[Grain, Quality]) -> dict[str, Any]:
    return report_values(report) | {"quality": {grain: asdict(figures) for grain, figures in quality.items()}}


def _details(report: ElicitationReport, quality: dict[Grain, Quality], model: str) -> Iterator[str]:
    if report.num_skipped:
        yield f"{report.num_skipped:,} posts have no caption and get no multimodality question"
    if others := report.answered_by.keys() - {model, ""}:
        yield printable(f"warning: {', '.join(sorted(others))} answered instead of {model}")
    for grain, figures in quality.items():
        yield f"{grain:<14}{quality_line(figures)}"
