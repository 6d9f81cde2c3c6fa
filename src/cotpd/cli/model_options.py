"""What the options of verbs that ask a language model say: the model, its store, and how it is asked."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cotpd.core.errors import UsageError

if TYPE_CHECKING:
    from cotpd.llm.chat_model import ChatModel
    from cotpd.llm.local_model import LocalModel
    from cotpd.llm.policy import Price
    from cotpd.llm.request_store import RequestStore


def is_file(model: str) -> bool:
    """Whether a model is a GGUF file."""
    return model.lower().endswith(".gguf")


def open_model(model: str, base_url: str | None, *, threads: int = 0) -> ChatModel | LocalModel:
    """The model of a file or an endpoint. Raises `UsageError` for a name without an endpoint."""
    if is_file(model):
        from cotpd.llm.local_model import LocalModel

        return LocalModel(model, threads=threads)
    if not (base_url or os.environ.get("OPENAI_BASE_URL")):
        raise UsageError(f"{model} is no .gguf file; name the endpoint that has it with --base-url URL")
    from cotpd.llm.chat_model import ChatModel

    return ChatModel(model, base_url=base_url)


def open_store(path: Path, *, only_look: bool = False) -> RequestStore:
    """The request store at a path; to look only, an empty one where there is none."""
    from cotpd.llm.request_store import RequestStore

    return RequestStore() if only_look and not path.exists() else RequestStore(path, read_only=only_look)


def price_of(price_in: float | None, price_out: float | None) -> Price | None:
    """The price of tokens. Raises `UsageError` for half a price."""
    from cotpd.llm.policy import Price

    if (price_in is None) != (price_out is None):
        raise UsageError("a price needs both --price-in and --price-out")
    return None if price_in is None or price_out is None else Price(price_in, price_out)


def longest_answer(model: str) -> float:
    """Seconds after which an attempt is given up: a file of ours may take its time."""
    return math.inf if is_file(model) else 240.0
