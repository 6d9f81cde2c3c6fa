"""A language model that says again what a store has kept, and nothing else."""

from __future__ import annotations

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, Request
from cotpd.llm.store.request_store import RequestStore


class ReplayingModel:
    """Stands for the model of this name at ``endpoint``, as a store has it: for runs that must cost nothing."""

    most_at_once = 1

    def __init__(self, store: RequestStore, *, name: str, endpoint: str) -> None:
        self._store = store
        self.name = name
        self.endpoint = endpoint

    def answer(self, request: Request) -> Answer:
        """What was answered. Raises `CallError` where nothing was."""
        kept = self._store.find(request.key(self.endpoint, self.name))
        if kept is None:
            raise CallError(f"{self.name} was never asked this", Fault.NOT_RECORDED)
        return kept.answer
