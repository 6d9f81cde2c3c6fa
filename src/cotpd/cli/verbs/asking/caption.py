"""`cotpd caption`: images become captions, one line of JSON an image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cotpd.cli.display.asking_report import numbers, reasons, refuse_too_many, spent
from cotpd.cli.display.counting_bar import CountingBar
from cotpd.cli.display.live_display import LiveDisplay
from cotpd.cli.options.model_options import AskingOptions
from cotpd.cli.options.option_group import with_groups
from cotpd.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from cotpd.captions.blip2 import Blip2Options
    from cotpd.captions.captioner import Captioner, CaptionerId
    from cotpd.captions.captioning import CaptioningReport
    from cotpd.captions.image_folder import ImageFolder
    from cotpd.llm.asking.progress import AskingProgress
    from cotpd.llm.language_model import Request
    from cotpd.llm.models.chat_model import ChatModel

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, kw_only=True)
class Blip2Choice:
    """How a BLIP-2 is run."""

    revision: Annotated[str | None, typer.Option(help="The revision of a Hugging Face name.")] = None
    prompt: Annotated[str, typer.Option(help="A beginning that BLIP-2 continues, such as 'a photo of'.")] = ""
    beams: Annotated[int, typer.Option(min=1, help="Beams of BLIP-2's search; 1 is greedy.")] = 1
    device: Annotated[str, typer.Option(help="Where BLIP-2 runs: auto, cpu, cuda, cuda:1, mps.")] = "auto"
    batch_size: Annotated[int, typer.Option(min=1, help="Images that BLIP-2 reads at once.")] = 8


@with_groups
def caption(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    images: Annotated[Path, typer.Option(help="The folder of its images, named by image id with or without ending.")],
    *,
    model: Annotated[
        str, typer.Option(help="A BLIP-2: a Hugging Face name or a directory; with --base-url a vision model there.")
    ] = "Salesforce/blip2-opt-2.7b",
    base_url: Annotated[
        str | None, typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint with a vision model.")
    ] = None,
    name: Annotated[str, typer.Option(help="The captioner's name; by default the last part of --model.")] = "",
    split: Annotated[Split | None, typer.Option(help="Images of this split only.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many images only.")] = None,
    out: Annotated[Path | None, typer.Option(help="By default captions.jsonl beside the corpus.")] = None,
    blip2: Blip2Choice,
    asking: AskingOptions,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of unusable images allowed.")] = 0.05,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count; of a vision model show calls, tokens, price and the question.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Describe the images of a corpus by BLIP-2 or a vision model.

    Captions are on the disk as they come; stopped, the same command goes on where it was, and nothing is described
    twice. Several captioners lie side by side in one file; data.captioner chooses one. Images that cannot be used are
    listed in captions.rejections.jsonl; when their share is above --max-rejected the exit code is 3, when a budget is
    spent 4.

    Examples:

        cotpd caption data/twitter2017 --images data/twitter2017_images

        cotpd caption posts.jsonl --images pictures --model qwen2.5-vl-7b --base-url http://localhost:8000/v1 --dry-run
    """
    from cotpd.captions.blip2 import Blip2Options
    from cotpd.captions.image_folder import ImageFolder
    from cotpd.corpus.splits import CAPTIONS, companion
    from cotpd.llm.models.chat_model import ChatModel

    target = out or companion(data, CAPTIONS)
    job = _Job(_image_ids(data, split)[:limit], ImageFolder(images), target, dry_run, asking.ask_again)
    if base_url is None:
        _refuse_unused(asking, AskingOptions(), "is for an endpoint: name one with --base-url")
        options = Blip2Options(model, blip2.revision, name, blip2.prompt, blip2.beams)
        ended = _by_blip2(job, options, blip2)
    else:
        _refuse_unused(blip2, Blip2Choice(), "is for a BLIP-2: leave out --base-url")
        with ChatModel(model, base_url=base_url, timeout=asking.timeout) as endpoint:
            ended = _by_endpoint(job, endpoint, name, asking)
    if ended is None:
        return
    typer.echo(json.dumps(ended.to_dict()) if as_json else "\n".join(ended.summary(target)))
    advice = f"see {target.with_suffix('.rejections.jsonl')}, and mend them"
    refuse_too_many(ended.report.rejected_share, max_rejected, "images have no caption", advice)


def _image_ids(data: Path, split: Split | None) -> list[str]:
    from cotpd.corpus.corpus import Corpus

    posts = Corpus.from_path(data).posts(split)
    found = list(dict.fromkeys(post.image_id for post in posts if post.image_id is not None))
    if not found:
        raise DataError("no post names an image; see docs/captions.md", where=str(data))
    return found


def _refuse_unused(given: AskingOptions | Blip2Choice, unset: AskingOptions | Blip2Choice, why: str) -> None:
    """Raise `UsageError` for an option that nobody would read."""
    for name, value in vars(given).items():
        if value != getattr(unset, name):
            raise UsageError(f"--{name.replace('_', '-')} {why}, or leave the option out")


@dataclass(frozen=True, slots=True)
class _Job:
    """The images that are meant and the file of their captions; a rehearsal only tells what there is to do."""

    image_ids: Sequence[str]
    folder: ImageFolder
    target: Path
    is_rehearsal: bool
    ask_again: bool

    def describe(self, captioner: Captioner, on_progress: Callable[[CaptioningReport], None]) -> CaptioningReport:
        """Caption the images that have no caption."""
        from cotpd.captions.captioning import caption as describe

        return describe(
            self.image_ids,
            self.folder,
            captioner,
            out=self.target,
            on_progress=on_progress,
            ask_again=self.ask_again,
        )

    def plan(self, who: CaptionerId) -> list[str]:
        """Print how many images have no caption: the SHA-256 of each content among them."""
        from cotpd.captions.captioning import planned

        report, left = planned(self.image_ids, self.folder, who, self.target, ask_again=self.ask_again)
        typer.echo(
            f"{report.num_images - report.num_done:,} of {report.num_images:,} images to describe by {who.name}; "
            f"{len(report.captions):,} are described, {len(report.rejections):,} unusable{reasons(report.reasons)}"
        )
        return left


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of the images, and what an endpoint was paid."""

    report: CaptioningReport
    paid: AskingProgress

    def to_dict(self) -> dict[str, Any]:
        report, paid = self.report, self.paid
        counts = {"kept": len(report.captions), "rejected": len(report.rejections), "reasons": report.reasons}
        money = {"prompt_tokens": paid.prompt_tokens, "completion_tokens": paid.completion_tokens, "cost": paid.cost}
        return numbers(report) | counts | money

    def summary(self, target: Path) -> Iterator[str]:
        report = self.report
        yield (
            f"{target}: {len(report.captions):,} images described, {len(report.rejections):,} rejected"
            f"{reasons(report.reasons)}; {report.num_computed:,} looked at now"
            f"{f', {spent(self.paid)}' if self.paid.attempts else ''}"
        )
        if failed := report.num_images - report.num_done:
            yield f"{failed:,} without an answer, asked by the next run"


def _by_blip2(job: _Job, options: Blip2Options, choice: Blip2Choice) -> _Ended | None:
    from cotpd.captions.blip2 import Blip2Captioner
    from cotpd.llm.asking.progress import AskingProgress

    if job.is_rehearsal:
        job.plan(options.id)
        return None
    captioner = Blip2Captioner(options, device=choice.device, batch_size=choice.batch_size)
    with CountingBar("captions") as bar:

        def show(report: CaptioningReport) -> None:
            bar.show(report.num_done, report.num_images, f"rejected {len(report.rejections):,}")

        return _Ended(job.describe(captioner, show), AskingProgress())


def _by_endpoint(job: _Job, model: ChatModel, name: str, asking: AskingOptions) -> _Ended | None:
    """By a vision model, whose answers are kept in the store beside the captions."""
    from cotpd.captions.vision_captioner import VisionCaptioner
    from cotpd.cli.display.dry_run import show_questions, tell_price
    from cotpd.llm.asking.progress import AskingProgress

    policy, paid = asking.policy(), AskingProgress()
    with asking.open_store(job.target, only_look=job.is_rehearsal) as store:

        def listen(progress: AskingProgress) -> None:
            nonlocal paid
            paid = progress

        captioner = VisionCaptioner(model, name=name, store=store, policy=policy, listener=listen)
        if job.is_rehearsal:
            show_questions({captioner.id.name: _question("")})
            contents = job.plan(captioner.id)
            tell_price(map(_question, contents), model, store, policy)
            return None
        with LiveDisplay("asking") as display:

            def show(report: CaptioningReport) -> None:
                display.show(paid, paid.done + report.num_images - report.num_done)

            return _Ended(job.describe(captioner, show), paid)


def _question(content: str) -> Request:
    """The question about an image that is not opened."""
    from cotpd.captions.vision_captioner import question
    from cotpd.llm.language_model import Image

    return question(Image(content, "image/jpeg", bytes))
