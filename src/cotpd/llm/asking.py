"""Asking: every request answered once, from the store or by the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cotpd.llm.call_error import CallError, Fault
from cotpd.llm.language_model import Answer, LanguageModel, Request
from cotpd.llm.policy import Policy
from cotpd.llm.progress import Progress
from cotpd.llm.request_store import Kept, RequestStore


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a usable answer: ``answer`` is what was rejected, None where none came."""

    reason: str
    answer: Answer | None = None

    @property
    def is_rejection(self) -> bool:
        """Whether the model answered, but not well."""
        return self.answer is not None


def ask(
    requests: Iterable[Request],
    model: LanguageModel,
    *,
    store: RequestStore | None = None,
    policy: Policy | None = None,
    listener: Callable[[Progress], None] | None = None,
) -> Iterator[tuple[Request, Answer | Failure]]:
    """Yield every request with its answer, in the order of completion; each answer is in the store before.

    The same question is asked once. Raises `BudgetReachedError`, and `LanguageModelError` when the run cannot go on.
    """
    store, progress = store or RequestStore(), Progress()
    for request in requests:
        key = request.key(model.endpoint, model.name)
        kept = store.find(key)
        answer = kept.answer if kept else None
        if answer is None:
            try:
                answer = model.answer(request)
            except CallError as error:
                if error.fault is not Fault.REFUSED:
                    raise
                yield request, Failure(str(error))
                continue
            store.add([Kept(key, model.endpoint, model.name, answer, request.validate(answer))])
        reason = request.validate(answer)
        progress = replace(progress, answered=progress.answered + 1)
        if listener:
            listener(progress)
        yield request, Failure(reason, answer) if reason else answer
