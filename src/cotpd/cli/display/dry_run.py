"""What a run would ask: how many questions, tokens, what price, and one question of each kind; nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.llm.asking.policy import Policy
    from cotpd.llm.language_model import LanguageModel, Request
    from cotpd.llm.store.request_store import RequestStore


def show_questions(kinds: Mapping[str, Request]) -> None:
    """Print one question of each kind, under its name."""
    for name, request in kinds.items():
        typer.echo(f"── {printable(name)}")
        typer.echo("\n\n".join(_lines(request)) + "\n")


def is_open(request: Request, model: LanguageModel, store: RequestStore, policy: Policy) -> bool:
    """Whether a run would ask this: the store has no answer to it, or one that is to be asked for again."""
    kept = store.find(request.key(model.endpoint, model.name))
    return kept is None or (policy.ask_again and request.validate(kept.answer) is not None)


def tell_price(
    requests: Iterable[Request],
    model: LanguageModel,
    store: RequestStore,
    policy: Policy,
    *,
    later: Sequence[Request] = (),
) -> None:
    """Print the calls, the tokens and the money that a run is likely to take; the same question is one call.

    ``later`` are questions like those that the answers may lead to, each a call of its own: paid, but not counted.
    """
    from cotpd.llm.asking.budget import TOKENS_PER_IMAGE, Estimate, estimate

    asked = {request.key(model.endpoint, model.name): request for request in requests}
    left = [request for request in asked.values() if is_open(request, model, store, policy)]
    whole, price = sum(map(estimate, [*left, *later]), Estimate(0, 0)), policy.price
    has_images = any(message.images for request in [*left, *later] for message in request.messages)
    bound = f"with {TOKENS_PER_IMAGE:,} tokens a picture" if has_images else "at most"
    money = f"{price.of(whole.prompt, whole.completion):,.4f}" if price else "unknown: give --price-in and --price-out"
    typer.echo(f"calls: {len(left):,}")
    typer.echo(f"tokens, {bound}: {whole.prompt:,} to read and {whole.completion:,} to write")
    typer.echo(f"price, {bound}: {money}")


def _lines(request: Request) -> Iterator[str]:
    for message in request.messages:
        images = "".join(f"\n(image {image.sha256[:12]}, {image.media_type})" for image in message.images)
        yield f"[{message.role}]{images}\n{printable(message.content)}"
