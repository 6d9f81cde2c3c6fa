"""`cotpd augment`: training posts and a language model become more training posts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.cli.display.asking_report import numbers, outcome, refuse_too_many, summary
from cotpd.cli.options.model_options import AskingOptions, ModelOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import DataError, UsageError
from cotpd.core.records import VariantKind

if TYPE_CHECKING:
    from cotpd.core.records import Example
    from cotpd.knowledge.augmentation.augment import AugmentationReport
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.knowledge.elicitation import Asking
    from cotpd.llm.language_model import LanguageModel


@with_groups
def augment(
    data: Annotated[Path, typer.Argument(help="A corpus directory; its training posts are varied.")],
    llm: ModelOptions,
    *,
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
    asking: AskingOptions,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of lost variants allowed.")] = 0.75,
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
    from cotpd.cli.display.live_display import LiveDisplay
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import AUGMENTED, sidecar_path
    from cotpd.knowledge.augmentation.augment import augment as vary
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.knowledge.elicitation import Asking

    def posts() -> tuple[Sequence[Example], Sequence[Example]]:
        corpus = Corpus.from_path(data, captioner=captioner)
        if not corpus.train:
            raise DataError("no post of train; only training posts are varied", where=str(data))
        return corpus.train[:limit], (*corpus.dev, *corpus.test)

    train, held_out = posts()
    kinds = tuple(dict.fromkeys(kind or VariantKind))
    settings = AugmentationSettings(kinds, share, per_post, cap, names_from, images, seed)
    policy, target = asking.policy(is_patient=llm.is_file), out or sidecar_path(data, AUGMENTED)
    _refuse_others(target)
    with llm.open(asking.timeout) as model, asking.open_store(target, only_look=dry_run) as store:
        if asking.wait:
            train, held_out = posts()  # who was waited for may have captioned them
        if dry_run:
            return _rehearse(train, settings, model, Asking(store, policy))
        with LiveDisplay("varying") as display:
            how = Asking(store, policy, display.show)
            report = vary(train, model, held_out=held_out, settings=settings, asking=how)
    _write(report, target)
    lines = summary(report, target, f"{len(report.variants):,} variants")
    typer.echo(json.dumps(_to_dict(report)) if as_json else "\n".join(lines))
    advice = f"see {_rejections(target)}, and ask a stronger model"
    refuse_too_many(report.rejected_share, max_rejected, "variants were lost", advice)


def _refuse_others(target: Path) -> None:
    """Raise `UsageError` or `DataError` for a file that holds anything but variants: nobody could make it again."""
    if not all(row.get("origin") and _about(row) for row in _rows(target)):
        raise UsageError(f"{target} holds rows that are no variants and would be lost; name another file with --out")


def _rehearse(train: Sequence[Example], settings: AugmentationSettings, model: LanguageModel, asking: Asking) -> None:
    from cotpd.cli.display.dry_run import show_questions, tell_price
    from cotpd.knowledge.augmentation.augment import check_requests, first_requests
    from cotpd.knowledge.augmentation.drafts import drafts

    assert asking.store
    asked = list(first_requests(train, settings))
    show_questions({request.about.kind: request for request in reversed(asked)})
    planned = list(drafts(train, settings))
    later = list(check_requests(train, settings))
    typer.echo(f"{len(planned):,} variants of {len(train):,} posts")
    tell_price(asked, model, asking.store, asking.policy, later=later)
    typer.echo(
        f"then at most {len(later):,} more calls, in this price: is a post with another name possible, yes or no?"
    )


def _write(report: AugmentationReport, target: Path) -> None:
    """Write variants and rejections, each file whole or not at all.

    They take the place of older ones of the same post and kind, whatever model made these; all others stay.
    """
    from cotpd.core.files import write_jsonl
    from cotpd.corpus.formats.parsing.example_row import to_row

    variants, rejections = [to_row(each) for each in report.variants], [asdict(each) for each in report.rejections]
    done = {_about(row) for row in (*variants, *rejections)}
    for path, rows in ((target, variants), (_rejections(target), rejections)):
        write_jsonl(path, [*(row for row in _rows(path) if _about(row) not in done), *rows])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from cotpd.core.files import read_jsonl

    return (row for _, row in (read_jsonl(path) if path.exists() else ()))


def _about(row: dict[str, Any]) -> tuple[str, str] | None:
    """The post that a variant or a rejection comes from, and the kind; None of a row that is neither."""
    match row.get("origin", row):
        case {"parent": str(parent), "kind": str(kind)}:
            return parent, kind
    return None


def _rejections(target: Path) -> Path:
    return target.with_suffix(".rejections.jsonl")


def _to_dict(report: AugmentationReport) -> dict[str, object]:
    return numbers(report) | outcome(report, kept=len(report.variants))
