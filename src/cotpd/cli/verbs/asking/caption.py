"""`cotpd caption`: describe the images of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cotpd.cli.display.asking_report import check_rejected_share, report_values, summary_lines
from cotpd.cli.display.terminal import echo
from cotpd.cli.options.model_options import AskingOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from cotpd.captions.captioner import Captioner
    from cotpd.captions.image_folder import ImageFolder
    from cotpd.llm.asking.session import Asking
    from cotpd.llm.language_model import LanguageModel

Split = Literal["train", "dev", "test"]
_ENDPOINT_OPTIONS = ("concurrency", "rpm", "max_requests", "max_tokens", "max_cost", "price", "answer_tokens")


@dataclass(frozen=True, kw_only=True)
class Blip2RunOptions:
    """How a BLIP-2 runs."""

    device: Annotated[str, typer.Option(help="Device of BLIP-2: auto, cpu, cuda, cuda:1 or mps.")] = "auto"
    batch_size: Annotated[int, typer.Option(min=1, help="Number of images that BLIP-2 describes at once.")] = 8


@with_groups
def caption(
    data: Annotated[Path, typer.Argument(help="Corpus directory, or one corpus file.")],
    images: Annotated[Path, typer.Option(help="Directory of the images; file names are image ids, with any suffix.")],
    *,
    model: Annotated[
        str,
        typer.Option(
            help="BLIP-2: a directory, or a Hugging Face name as NAME or NAME@REVISION. With --base-url: the name of a "
            "vision model."
        ),
    ] = "Salesforce/blip2-opt-2.7b",
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="OpenAI-compatible endpoint of a vision model.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the captioner. Default: the last part of --model.")] = "",
    split: Annotated[Split | None, typer.Option(help="Split whose images are described. Default: all splits.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of images, counted from the first.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output file. Default: captions.jsonl beside the corpus.")] = None,
    blip2: Blip2RunOptions,
    asking: AskingOptions,
    max_rejected: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of images without a caption before exit code 3.")
    ] = 0.05,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the number of images; of a vision model also tokens and price.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Describe the images of a corpus with BLIP-2 or a vision model.

    Captions are stored as they arrive. After an interruption, the same command continues and describes nothing twice.
    A file may hold the captions of several captioners; a configuration chooses one. Unusable images are listed in
    captions.rejections.jsonl. The exit code is 3 if their share is above --max-rejected, and 4 if a budget is reached.

    Examples:

        cotpd caption data/twitter2017 --images data/twitter2017_images

        cotpd caption posts.jsonl --images pictures --model qwen2.5-vl-7b --base-url http://localhost:8000/v1 --dry-run
    """
    from cotpd.captions.captioning import caption as describe
    from cotpd.captions.image_folder import ImageFolder
    from cotpd.cli.display.live_display import LiveDisplay
    from cotpd.corpus.splits import CAPTIONS, output_path
    from cotpd.llm.asking.session import Asking

    target, folder = out or output_path(data, CAPTIONS), ImageFolder(images)
    image_ids = _image_ids(data, split)[:limit]
    _check_options(base_url, blip2, asking)
    policy = asking.policy()
    with (
        _captioner(model, base_url, name, blip2, asking) as (captioner, endpoint),
        asking.open_store(target, read_only=dry_run) as store,
    ):
        if dry_run:
            return _print_plan(image_ids, folder, captioner, endpoint, target, Asking(store, policy))
        with LiveDisplay("caption") as display:
            how = Asking(store, policy, display.show_asking)
            report = describe(image_ids, folder, captioner, out=target, asking=how)
    lines = summary_lines(report, target, noun="captions")
    echo(json.dumps(report_values(report)) if as_json else "\n".join(lines))
    advice = f"see {target.with_suffix('.rejections.jsonl')}, correct the images"
    check_rejected_share(report, max_rejected, noun="images", advice=advice)


def _image_ids(data: Path, split: Split | None) -> list[str]:
    from cotpd.corpus.corpus import Corpus

    examples = Corpus.from_path(data).posts(split)
    image_ids = list(dict.fromkeys(example.image_id for example in examples if example.image_id is not None))
    if not image_ids:
        raise DataError("no example has an image id; see docs/guides/captions.md", where=str(data))
    return image_ids


def _check_options(base_url: str | None, blip2: Blip2RunOptions, asking: AskingOptions) -> None:
    """Raise `UsageError` for an option without effect."""
    if base_url is None:
        for name in _ENDPOINT_OPTIONS:
            if getattr(asking, name) != getattr(AskingOptions(), name):
                raise UsageError(f"--{name.replace('_', '-')} only applies to an endpoint; add --base-url or remove it")
        return
    for name, value in vars(blip2).items():
        if value != getattr(Blip2RunOptions(), name):
            raise UsageError(f"--{name.replace('_', '-')} only applies to BLIP-2; remove it or --base-url")


@contextmanager
def _captioner(
    model: str, base_url: str | None, name: str, blip2: Blip2RunOptions, asking: AskingOptions
) -> Iterator[tuple[Captioner, LanguageModel | None]]:
    """Open a captioner, and its vision model if it has one."""
    from cotpd.captions.blip2 import Blip2Captioner, Blip2Options
    from cotpd.captions.vision_captioner import MAX_TOKENS, VisionCaptioner
    from cotpd.llm.models.chat_model import ChatModel

    if base_url is None:
        repository, _, revision = (model, "", "") if Path(model).exists() else model.partition("@")
        options = Blip2Options(repository, revision or None, name)
        yield Blip2Captioner(options, device=blip2.device, batch_size=blip2.batch_size), None
        return
    with ChatModel(model, base_url=base_url, timeout=asking.timeout) as endpoint:
        yield VisionCaptioner(endpoint, name=name, answer_tokens=asking.answer_tokens or MAX_TOKENS), endpoint


def _print_plan(
    image_ids: list[str],
    folder: ImageFolder,
    captioner: Captioner,
    endpoint: LanguageModel | None,
    target: Path,
    asking: Asking,
) -> None:
    """Print how many images have no caption, and what a vision model would be asked."""
    from cotpd.captions.captioning import plan_captions
    from cotpd.captions.vision_captioner import VisionCaptioner
    from cotpd.cli.display.dry_run import print_plan, print_questions
    from cotpd.llm.asking.plan import plan_requests

    report, contents = plan_captions(image_ids, folder, captioner, out=target, asking=asking)
    if isinstance(captioner, VisionCaptioner):
        print_questions({captioner.id.name: captioner.request_for_content("")})
    num_open = report.num_total - report.num_answered
    echo(
        f"{num_open:,} of {report.num_total:,} images to describe with {captioner.id.name}; "
        f"{len(report.results):,} have a caption, {len(report.rejections):,} are unusable"
    )
    if endpoint and isinstance(captioner, VisionCaptioner):
        assert asking.store
        print_plan(plan_requests(map(captioner.request_for_content, contents), endpoint, asking.store, asking.policy))
