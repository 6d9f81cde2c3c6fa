"""Options of verbs that ask a language model: the model, the request store, rates and budgets."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cotpd.core.errors import UsageError

if TYPE_CHECKING:
    from cotpd.llm.asking.policy import Policy, Price
    from cotpd.llm.models.chat_model import ChatModel
    from cotpd.llm.models.local_model import LocalModel
    from cotpd.llm.store.request_store import RequestStore


@dataclass(frozen=True, kw_only=True)
class AskingOptions:
    """Where answers are stored, and the rates and budgets of a run."""

    store: Annotated[
        Path | None, typer.Option(help="Request store. Default: requests.sqlite beside the output file.")
    ] = None
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent requests.")] = 32
    rpm: Annotated[float, typer.Option(min=0.01, help="Maximum number of requests per minute.")] = math.inf
    tpm: Annotated[float, typer.Option(min=0.01, help="Maximum number of tokens per minute.")] = math.inf
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that an endpoint may take for one answer.")] = 120.0
    max_requests: Annotated[int | None, typer.Option(min=0, help="Budget of requests, including failed ones.")] = None
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Budget of tokens, prompts and answers.")] = None
    max_cost: Annotated[float | None, typer.Option(min=0, help="Budget of money. Requires --price.")] = None
    price: Annotated[
        str | None,
        typer.Option(metavar="IN,OUT", help="Price of a million prompt tokens and of a million completion tokens."),
    ] = None
    answer_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Token limit of an answer, which includes the thoughts of a reasoning model."),
    ] = None
    ask_again: Annotated[bool, typer.Option("--ask-again", help="Ask again where an answer was rejected.")] = False

    def policy(self, *, is_local: bool = False) -> Policy:
        """Return the policy of these options. A local model may take any time for an answer.

        Raises:
            UsageError: If the price is invalid, or missing for a budget of money.
        """
        from cotpd.llm.asking.policy import Budget, Policy

        return Policy(
            budget=Budget(self.max_requests, self.max_tokens, self.max_cost),
            price=_parse_price(self.price) if self.price else None,
            concurrency=self.concurrency,
            requests_per_minute=self.rpm,
            tokens_per_minute=self.tpm,
            answer_timeout=math.inf if is_local else 2 * self.timeout,
            ask_again=self.ask_again,
        )

    def open_store(self, out: Path, *, read_only: bool) -> RequestStore:
        """Open the request store for an output file. A read-only store that does not exist is empty."""
        from cotpd.llm.asking.session import REQUEST_STORE
        from cotpd.llm.store.request_store import RequestStore

        path = self.store or out.with_name(REQUEST_STORE)
        if read_only and not path.exists():
            return RequestStore()
        return RequestStore(path, read_only=read_only)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A language model in a file or behind an endpoint."""

    model: Annotated[str, typer.Option(help="Path of a .gguf file, or name of a model at the endpoint.")]
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="OpenAI-compatible endpoint. Default: $OPENAI_BASE_URL.")
    ] = None

    @property
    def is_local(self) -> bool:
        """Whether the model runs in this process."""
        return self.model.lower().endswith(".gguf")

    def open(self, *, timeout: float) -> ChatModel | LocalModel:
        """Open the model.

        Args:
            timeout: Seconds that an endpoint may take for one answer.

        Raises:
            UsageError: If the model is a name and there is no endpoint.
        """
        if self.is_local:
            from cotpd.llm.models.local_model import LocalModel

            return LocalModel(self.model)
        if not (self.base_url or os.environ.get("OPENAI_BASE_URL")):
            raise UsageError(f"{self.model} is not a .gguf file, so it needs an endpoint; give --base-url URL")
        from cotpd.llm.models.chat_model import ChatModel

        return ChatModel(self.model, base_url=self.base_url, timeout=timeout)


def _parse_price(text: str) -> Price:
    from cotpd.llm.asking.policy import Price

    try:
        prompt, completion = map(float, text.split(","))
    except ValueError as error:
        raise UsageError(f"--price must be two numbers such as 0.15,0.60, got {text!r}") from error
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        raise UsageError(f"--price must not be negative, got {text!r}")
    return Price(prompt, completion)
