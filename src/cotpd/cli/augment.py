"""`cotpd augment`: training posts and a language model become more training posts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cotpd.cli.terminal import printable
from cotpd.core.errors import DataError, TooManyRejectedError
from cotpd.core.records import VariantKind

if TYPE_CHECKING:
    from cotpd.core.records import Example
    from cotpd.knowledge.augmentation.augment import AugmentationReport
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.llm.policy import Price


def augment(
    data: Annotated[Path, typer.Argument(help="A corpus directory; its training posts are varied.")],
    model: Annotated[str, typer.Option(help="A .gguf file, or the name of a model at the endpoint.")],
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint; by default OPENAI_BASE_URL."),
    ] = None,
    kind: Annotated[list[VariantKind] | None, typer.Option(help="Vary in this way only; may be repeated.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="The share of the posts that is varied.")] = 1.0,
    per_post: Annotated[int, typer.Option(min=1, help="Variants of each kind for each post.")] = 1,
    cap: Annotated[int | None, typer.Option(min=1, help="At most so many variants of each kind.")] = None,
    names_from: Annotated[
        Literal["corpus", "model", "both"], typer.Option(help="Where the names come from that replace others.")
    ] = "both",
    images: Annotated[
        Literal["missing", "all"], typer.Option(help="Imagine pictures for posts without a caption, or for all.")
    ] = "missing",
    seed: Annotated[int, typer.Option(min=0, help="Chooses posts, names and voices.")] = 1,
    captioner: Annotated[str | None, typer.Option(help="Carry on the captions of this captioner.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Vary the first so many posts only.")] = None,
    out: Annotated[Path | None, typer.Option(help="By default augmented.jsonl beside the corpus.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="The request store; by default requests.sqlite beside the variants.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="The most questions on their way at once.")] = 32,
    max_requests: Annotated[int | None, typer.Option(min=0, help="Budget: attempts, failed ones too.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Budget: tokens read and written.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Budget: money; needs the prices.")] = None,
    price_in: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens read.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens written.")] = None,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of lost variants allowed.")] = 0.75,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of a .gguf file; 0: its engine decides.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show calls, tokens, price and one question each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Vary training posts: in another voice, with another name, with an imagined picture.

    Answers are in the request store as they come; stopped in any way, the same command goes on where it was and pays
    for nothing twice. Variants that are not kept are in augmented.rejections.jsonl, each with its reason. Many are
    rejected by design; when their share is above --max-rejected the exit code is 3, when a budget is spent 4.

    Examples:

        cotpd augment data/twitter2017 --model qwen2.5-7b-instruct --base-url http://localhost:8000/v1 --share 0.5

        cotpd augment data/twitter2017 --model models/qwen2.5-1.5b.gguf --kind entity --names-from corpus --dry-run
    """
    from cotpd.cli.live_display import LiveDisplay
    from cotpd.cli.model_options import longest_answer, open_model, open_store, price_of
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import AUGMENTED, companion
    from cotpd.knowledge.augmentation.augment import augment as vary
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.knowledge.elicitation import STORE, Asking
    from cotpd.llm.policy import Budget, Policy

    corpus = Corpus.from_path(data, captioner=captioner)
    if not corpus.train:
        raise DataError("no post of train; only training posts are varied", where=str(data))
    train, held_out = corpus.train[:limit], (*corpus.dev, *corpus.test)
    kinds = tuple(dict.fromkeys(kind or VariantKind))
    settings = AugmentationSettings(kinds, share, per_post, cap, names_from, images, seed)
    price, target = price_of(price_in, price_out), out or companion(data, AUGMENTED)
    if dry_run:
        return _rehearse(train, settings, price)
    policy = Policy(
        concurrency=concurrency,
        longest_answer=longest_answer(model),
        budget=Budget(max_requests, max_tokens, max_cost),
        price=price,
    )
    with ExitStack() as stack:
        opened = open_model(model, base_url, threads=threads)
        stack.enter_context(opened)
        kept = stack.enter_context(open_store(store or target.with_name(STORE)))
        display = stack.enter_context(LiveDisplay("varying"))
        asking = Asking(kept, policy, display.show)
        report = vary(train, opened, held_out=held_out, settings=settings, asking=asking)
    _write(report, target)
    typer.echo(json.dumps(_to_dict(report)) if as_json else _summary(report, target))
    if report.rejected_share > max_rejected:
        raise TooManyRejectedError(
            f"{report.rejected_share:.1%} of the variants were lost, more than {max_rejected:.1%}; "
            f"see {_rejections(target)}, and ask a stronger model or raise --max-rejected"
        )


def _rehearse(train: Sequence[Example], settings: AugmentationSettings, price: Price | None) -> None:
    from cotpd.cli.rehearsal import show_questions, tell_price
    from cotpd.knowledge.augmentation.augment import first_requests
    from cotpd.knowledge.augmentation.drafts import drafts

    asked = list(first_requests(train, settings))
    show_questions({request.about.kind: request for request in reversed(asked)})
    planned = list(drafts(train, settings))
    num_checked = sum(draft.entity is not None for draft in planned)
    typer.echo(f"{len(planned):,} variants of {len(train):,} posts")
    tell_price(asked, price)
    typer.echo(f"then at most {num_checked:,} more calls: is a post with another name possible, yes or no?")


def _write(report: AugmentationReport, target: Path) -> None:
    """Write variants and rejections, each file whole or not at all."""
    from cotpd.core.example_row import to_row
    from cotpd.core.files import write_jsonl

    write_jsonl(target, (to_row(variant) for variant in report.variants))
    write_jsonl(_rejections(target), (asdict(rejection) for rejection in report.rejections))


def _rejections(target: Path) -> Path:
    return target.with_suffix(".rejections.jsonl")


def _to_dict(report: AugmentationReport) -> dict[str, object]:
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    return counts | {
        "kept": len(report.variants),
        "rejected": len(report.rejections),
        "failed": len(report.failures),
        "reasons": report.reasons,
        "cost": report.cost,
    }


def _summary(report: AugmentationReport, target: Path) -> str:
    reasons = printable(", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items()))
    cost = "" if report.cost is None else f", cost {report.cost:.4f}"
    lines = [
        f"{target}: {len(report.variants):,} variants kept, {len(report.rejections):,} rejected"
        f"{f' ({reasons})' if reasons else ''}; {report.num_asked:,} asked now, "
        f"{report.prompt_tokens:,} tokens read, {report.completion_tokens:,} written{cost}"
    ]
    if report.failures:
        lines.append(f"{len(report.failures):,} without an answer, asked by the next run: {report.failures[0]}")
    return "\n".join(lines)
