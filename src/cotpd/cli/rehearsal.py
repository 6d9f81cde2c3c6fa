"""What a run would ask: how many questions, tokens, what price, and one question of each kind; nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import typer

from cotpd.cli.terminal import printable

if TYPE_CHECKING:
    from cotpd.llm.language_model import Request
    from cotpd.llm.policy import Price


def show_questions(kinds: Mapping[str, Request]) -> None:
    """Print one question of each kind, under its name."""
    for name, request in kinds.items():
        typer.echo(f"── {name}")
        typer.echo("\n\n".join(_lines(request)) + "\n")


def tell_price(requests: Iterable[Request], price: Price | None) -> None:
    """Print the calls, the tokens and the money that the requests are likely to take at most."""
    from cotpd.llm.spending import Estimate, estimate

    sizes = [estimate(request) for request in requests]
    whole = sum(sizes, Estimate(0, 0))
    money = f"{price.of(whole.prompt, whole.completion):,.4f}" if price else "unknown: give --price-in and --price-out"
    typer.echo(f"calls: {len(sizes):,}")
    typer.echo(f"tokens, at most: {whole.prompt:,} to read and {whole.completion:,} to write")
    typer.echo(f"price, at most: {money}")


def _lines(request: Request) -> Iterator[str]:
    for message in request.messages:
        images = "".join(f"\n(image {image.sha256[:12]}, {image.media_type})" for image in message.images)
        yield f"[{message.role}]{images}\n{printable(message.content)}"
