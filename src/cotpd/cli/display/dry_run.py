"""Output of --dry-run: one question of each kind, the number of calls, their tokens and their price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cotpd.cli.display.terminal import echo, printable

if TYPE_CHECKING:
    from cotpd.llm.asking.plan import AskingPlan
    from cotpd.llm.language_model import Request


def print_questions(examples: Mapping[str, Request]) -> None:
    """Print questions under their names."""
    for name, request in examples.items():
        echo(f"── {printable(name)}")
        echo("\n\n".join(_lines(request)) + "\n")


def print_plan(plan: AskingPlan) -> None:
    """Print the calls, tokens and price of a plan."""
    from cotpd.llm.asking.budget import TOKENS_PER_IMAGE

    bound = f"at {TOKENS_PER_IMAGE:,} tokens per image" if plan.has_images else "at most"
    price = "unknown, give --price" if plan.cost is None else f"{plan.cost:,.4f}"
    echo(f"calls: {plan.num_calls:,}")
    echo(f"tokens, {bound}: {plan.prompt_tokens:,} prompt, {plan.completion_tokens:,} completion")
    echo(f"price, {bound}: {price}")


def _lines(request: Request) -> Iterator[str]:
    for message in request.messages:
        images = "".join(f"\n(image {image.sha256[:12]}, {image.media_type})" for image in message.images)
        yield f"[{message.role}]{images}\n{printable(message.content)}"
