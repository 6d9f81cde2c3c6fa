"""The options of verbs that ask a language model: which one, where its answers are kept, and how it is asked."""

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
    """How an endpoint is asked: politely, persistently, within a budget, and never twice."""

    store: Annotated[
        Path | None, typer.Option(help="The request store; by default requests.sqlite beside what is written.")
    ] = None
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process writes the store.")] = False
    concurrency: Annotated[int, typer.Option(min=1, help="The most questions on their way at once.")] = 32
    rpm: Annotated[float, typer.Option(min=0.01, help="The most requests a minute.")] = math.inf
    tpm: Annotated[float, typer.Option(min=0.01, help="The most tokens a minute.")] = math.inf
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one answer of an endpoint.")] = 120.0
    max_requests: Annotated[int | None, typer.Option(min=0, help="Budget: attempts, failed ones too.")] = None
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Budget: tokens read and written.")] = None
    max_cost: Annotated[float | None, typer.Option(min=0, help="Budget: money; needs the prices.")] = None
    price_in: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens read.")] = None
    price_out: Annotated[float | None, typer.Option(min=0, help="The price of a million tokens written.")] = None
    ask_again: Annotated[bool, typer.Option("--ask-again", help="Ask anew where an answer was rejected.")] = False

    @property
    def price(self) -> Price | None:
        """The price of tokens, None where none is given. Raises `UsageError` for half of one."""
        from cotpd.llm.asking.policy import Price

        if (self.price_in is None) != (self.price_out is None):
            raise UsageError("a price needs both --price-in and --price-out")
        return None if self.price_in is None or self.price_out is None else Price(self.price_in, self.price_out)

    def policy(self, *, is_patient: bool = False) -> Policy:
        """The same for the asking layer; a patient one gives up no answer that is slow.

        Raises `UsageError` for a budget of money without a price.
        """
        from cotpd.llm.asking.policy import Budget, Policy

        return Policy(
            budget=Budget(self.max_requests, self.max_tokens, self.max_cost),
            price=self.price,
            concurrency=self.concurrency,
            requests_per_minute=self.rpm,
            tokens_per_minute=self.tpm,
            longest_answer=math.inf if is_patient else 2 * self.timeout,
            ask_again=self.ask_again,
        )

    def open_store(self, written: Path, *, only_look: bool) -> RequestStore:
        """The request store for what goes to a file; to look only, an empty one where there is none."""
        from cotpd.knowledge.elicitation import STORE
        from cotpd.llm.store.request_store import RequestStore

        path = self.store or written.with_name(STORE)
        if only_look and not path.exists():
            return RequestStore()
        return RequestStore(path, wait=self.wait, read_only=only_look)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A language model in a file or behind an endpoint."""

    model: Annotated[str, typer.Option(help="A .gguf file, or the name of a model at the endpoint.")]
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", "--endpoint", help="An OpenAI-compatible endpoint; by default OPENAI_BASE_URL."),
    ] = None
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of a .gguf file; 0: its engine decides.")] = 0

    @property
    def is_file(self) -> bool:
        """Whether the model is run in this process, which may take its time."""
        return self.model.lower().endswith(".gguf")

    def open(self, timeout: float) -> ChatModel | LocalModel:
        """The model; ``timeout``: seconds for one answer of an endpoint. Raises `UsageError` for a name without one."""
        if self.is_file:
            from cotpd.llm.models.local_model import LocalModel

            return LocalModel(self.model, threads=self.threads)
        if not (self.base_url or os.environ.get("OPENAI_BASE_URL")):
            raise UsageError(f"{self.model} is no .gguf file; name the endpoint that has it with --base-url URL")
        from cotpd.llm.models.chat_model import ChatModel

        return ChatModel(self.model, base_url=self.base_url, timeout=timeout)
