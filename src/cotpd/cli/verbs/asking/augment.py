"""`cotpd augment`: make variants of the training posts of a corpus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cotpd.cli.display.asking_report import check_rejected_share, report_values, summary_lines
from cotpd.cli.display.terminal import echo
from cotpd.cli.options.model_options import AskingOptions, ModelOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import DataError
from cotpd.core.records import VariantKind

if TYPE_CHECKING:
    from cotpd.core.records import Example
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.llm.asking.session import Asking
    from cotpd.llm.language_model import LanguageModel


@with_groups
def augment(
    data: Annotated[Path, typer.Argument(help="Corpus directory, whose training posts are varied.")],
    llm: ModelOptions,
    *,
    kind: Annotated[
        list[VariantKind] | None, typer.Option(help="Kind of variants, repeatable. Default: all three.")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the posts that is varied.")] = 1.0,
    per_post: Annotated[int, typer.Option(min=1, help="Number of variants of each kind per post.")] = 1,
    names_from: Annotated[
        Literal["corpus", "model", "both"], typer.Option(help="Source of the names that replace others.")
    ] = "both",
    images: Annotated[
        Literal["missing", "all"], typer.Option(help="Invent images for posts without a caption, or for all posts.")
    ] = "missing",
    captioner: Annotated[
        str | None, typer.Option(help="Captioner whose captions are used. Default: the first in the file.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of posts, counted from the first.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output file. Default: augmented.jsonl beside the corpus.")] = None,
    asking: AskingOptions,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of rejected variants before exit code 3.")
    ] = 0.75,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print calls, tokens, price and one question per kind; ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make variants of training posts: in another voice, with another name, or with an invented image.

    Answers are stored as they arrive. After an interruption, the same command continues and pays for nothing twice.
    Rejected variants are listed in augmented.rejections.jsonl; the checks are strict, so there are many. The exit code
    is 3 if their share is above --max-rejected, and 4 if a budget is reached.

    Examples:

        cotpd augment data/twitter2017 --model qwen2.5-7b-instruct --base-url http://localhost:8000/v1 --share 0.5

        cotpd augment data/twitter2017 --model models/qwen2.5-1.5b.gguf --kind entity --names-from corpus --dry-run
    """
    from cotpd.cli.display.live_display import LiveDisplay
    from cotpd.corpus.corpus import Corpus
    from cotpd.corpus.splits import AUGMENTED, output_path
    from cotpd.knowledge.augmentation.augment import augment as vary
    from cotpd.knowledge.augmentation.drafts import AugmentationSettings
    from cotpd.llm.asking.session import Asking

    corpus = Corpus.from_path(data, captioner=captioner)
    if not corpus.train:
        raise DataError("the corpus has no training posts; only these are varied", where=str(data))
    train, held_out = corpus.train[:limit], (*corpus.dev, *corpus.test)
    kinds = tuple(dict.fromkeys(kind or VariantKind))
    settings = AugmentationSettings(kinds, share, per_post, names_from, images)
    policy, target = asking.policy(is_local=llm.is_local), out or output_path(data, AUGMENTED)
    with llm.open(timeout=asking.timeout) as model, asking.open_store(target, read_only=dry_run) as store:
        if dry_run:
            return _print_plan(train, settings, model, Asking(store, policy, answer_tokens=asking.answer_tokens))
        with LiveDisplay("augment") as display:
            how = Asking(store, policy, display.show_asking, answer_tokens=asking.answer_tokens)
            report = vary(train, model, held_out=held_out, settings=settings, out=target, asking=how)
    lines = summary_lines(report, target, noun="variants")
    echo(json.dumps(report_values(report)) if as_json else "\n".join(lines))
    advice = f"see {target.with_suffix('.rejections.jsonl')}, use a stronger model"
    check_rejected_share(report, max_rejected, noun="variants", advice=advice)


def _print_plan(train: Sequence[Example], settings: AugmentationSettings, model: LanguageModel, asking: Asking) -> None:
    from cotpd.cli.display.dry_run import print_plan, print_questions
    from cotpd.knowledge.augmentation.augment import check_requests, first_requests
    from cotpd.knowledge.augmentation.drafts import drafts
    from cotpd.llm.asking.plan import plan_requests

    assert asking.store
    tokens = asking.answer_tokens
    requests = list(first_requests(train, settings, answer_tokens=tokens))
    checks = list(check_requests(train, settings, answer_tokens=tokens))
    print_questions({request.about.subject.kind: request for request in reversed(requests)})
    num_planned = sum(1 for _ in drafts(train, settings))
    echo(f"{num_planned:,} variants of {len(train):,} posts")
    print_plan(plan_requests(requests, model, asking.store, asking.policy, follow_ups=checks))
    echo(f"the price includes up to {len(checks):,} more calls that check whether a new name is possible")
