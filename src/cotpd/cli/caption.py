"""`cotpd caption`: images become captions, one line of JSON an image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cotpd.cli.counting_bar import CountingBar
from cotpd.cli.terminal import printable
from cotpd.core.errors import DataError, TooManyRejectedError

if TYPE_CHECKING:
    from cotpd.captions.blip2 import Blip2Options
    from cotpd.captions.captioner import Captioner
    from cotpd.captions.captioning import CaptioningReport
    from cotpd.captions.image_folder import ImageFolder

Split = Literal["train", "dev", "test"]


def caption(
    data: Annotated[Path, typer.Argument(help="A corpus directory, or one corpus file.")],
    images: Annotated[Path, typer.Option(help="The folder of its images, named by image id with or without ending.")],
    model: Annotated[
        str, typer.Option(help="A BLIP-2: a Hugging Face name or a directory; with --base-url a vision model there.")
    ] = "Salesforce/blip2-opt-2.7b",
    base_url: Annotated[
        str | None, typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint with a vision model.")
    ] = None,
    name: Annotated[str, typer.Option(help="The captioner's name; by default the last part of --model.")] = "",
    revision: Annotated[str | None, typer.Option(help="The revision of a Hugging Face name.")] = None,
    prompt: Annotated[str, typer.Option(help="A beginning that BLIP-2 continues, such as 'a photo of'.")] = "",
    beams: Annotated[int, typer.Option(min=1, help="Beams of BLIP-2's search; 1 is greedy.")] = 1,
    device: Annotated[str, typer.Option(help="Where BLIP-2 runs: auto, cpu, cuda, cuda:1, mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Images that BLIP-2 reads at once.")] = 8,
    split: Annotated[Split | None, typer.Option(help="Images of this split only.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many images only.")] = None,
    out: Annotated[Path | None, typer.Option(help="By default captions.jsonl beside the corpus.")] = None,
    max_rejected: Annotated[float, typer.Option(min=0, max=1, help="The share of unusable images allowed.")] = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look for the images and count; describe none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Describe the images of a corpus by BLIP-2 or a vision model.

    Captions are on the disk as they come; stopped, the same command goes on where it was, and nothing is described
    twice. Several captioners lie side by side in one file; data.captioner chooses one. Images that cannot be used are
    listed in captions.rejections.jsonl; when their share is above --max-rejected the exit code is 3.

    Examples:

        cotpd caption data/twitter2017 --images data/twitter2017_images

        cotpd caption posts.jsonl --images pictures --model qwen2.5-vl-7b --base-url http://localhost:8000/v1 --dry-run
    """
    from cotpd.captions.blip2 import Blip2Options
    from cotpd.captions.captioning import caption as describe
    from cotpd.captions.image_folder import ImageFolder
    from cotpd.corpus.splits import CAPTIONS, companion

    image_ids, folder = _image_ids(data, split)[:limit], ImageFolder(images)
    target = out or companion(data, CAPTIONS)
    options = Blip2Options(model, revision=revision, name=name, prompt=prompt, beams=beams)
    if dry_run:
        _rehearse(image_ids, folder, target, options, base_url)
        return
    opened = _blip2(options, device, batch_size) if base_url is None else _vision(options, base_url, target)
    with opened as captioner, CountingBar("captions") as bar:
        report = describe(image_ids, folder, captioner, out=target, on_progress=lambda now: _show(now, bar))
    _tell(report, target, as_json=as_json)
    if report.rejected_share > max_rejected:
        raise TooManyRejectedError(
            f"{report.rejected_share:.1%} of the images have no caption, more than {max_rejected:.1%}; "
            f"see {target.with_suffix('.rejections.jsonl')}, and mend them or raise --max-rejected"
        )


def _image_ids(data: Path, split: Split | None) -> list[str]:
    from cotpd.corpus.corpus import Corpus

    corpus = Corpus.from_path(data)
    if split and split not in corpus.splits:
        raise DataError(f"no post of {split}; there is {', '.join(corpus.splits)}", where=str(data))
    posts = corpus.splits[split] if split else corpus.examples
    found = list(dict.fromkeys(post.image_id for post in posts if post.image_id is not None))
    if not found:
        raise DataError("no post names an image; see docs/captions.md", where=str(data))
    return found


@contextmanager
def _blip2(options: Blip2Options, device: str, batch_size: int) -> Iterator[Captioner]:
    from cotpd.captions.blip2 import Blip2Captioner

    yield Blip2Captioner(options, device=device, batch_size=batch_size)


@contextmanager
def _vision(options: Blip2Options, base_url: str, target: Path) -> Iterator[Captioner]:
    """A vision model whose answers are kept in the store beside the captions."""
    from cotpd.captions.vision_captioner import VisionCaptioner
    from cotpd.cli.model_options import open_store
    from cotpd.knowledge.elicitation import STORE
    from cotpd.llm.chat_model import ChatModel

    with open_store(target.with_name(STORE)) as store, ChatModel(options.model, base_url=base_url) as model:
        yield VisionCaptioner(model, name=options.name, store=store)


def _rehearse(
    image_ids: list[str], folder: ImageFolder, target: Path, options: Blip2Options, base_url: str | None
) -> None:
    """Print how many images are to be described and, of a vision model, the question; describe nothing."""
    from cotpd.captions.captioning import planned
    from cotpd.captions.vision_captioner import VisionCaptioner, template
    from cotpd.llm.chat_model import ChatModel

    who = options.id
    if base_url is not None:
        with ChatModel(options.model, base_url=base_url) as model:
            who = VisionCaptioner(model, name=options.name).id
        typer.echo("\n\n".join(template()) + "\n")
    report = planned(image_ids, folder, who, target)
    typer.echo(
        f"{report.num_images - report.num_done:,} of {report.num_images:,} images to describe by {who.name}; "
        f"{len(report.captions):,} are described, {len(report.rejections):,} unusable{_reasons(report)}"
    )


def _show(report: CaptioningReport, bar: CountingBar) -> None:
    bar.show(report.num_done, report.num_images, f"rejected {len(report.rejections):,}")


def _tell(report: CaptioningReport, target: Path, *, as_json: bool) -> None:
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    counts |= {"kept": len(report.captions), "rejected": len(report.rejections)}
    if as_json:
        typer.echo(json.dumps(counts | {"reasons": report.reasons}))
        return
    typer.echo(
        f"{target}: {len(report.captions):,} images described, {len(report.rejections):,} rejected{_reasons(report)}; "
        f"{report.num_computed:,} looked at now"
    )
    if failed := report.num_images - report.num_done:
        typer.echo(f"{failed:,} without an answer, asked by the next run")


def _reasons(report: CaptioningReport) -> str:
    listed = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons.items())
    return f" ({printable(listed)})" if listed else ""
