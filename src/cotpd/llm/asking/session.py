"""Asking sessions: the contract that `elicit`, `caption` and `augment` share.

A `Question` joins a request with the parser of its answer. An `AskingSession` puts questions to a model under one
budget, through one request store, and counts what happened in an `AskingReport`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar

from cotpd.core.errors import UsageError
from cotpd.llm.answer_text import UnusableAnswerError
from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.budget import Spending
from cotpd.llm.asking.policy import Policy
from cotpd.llm.asking.progress import AskingProgress, ProgressCounter
from cotpd.llm.language_model import Answer, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

REQUEST_STORE = "requests.sqlite"
"""The request store beside a sidecar file."""

Result = TypeVar("Result")
RejectedResult = TypeVar("RejectedResult")


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked.

    Attributes:
        store: The request store; by default requests.sqlite beside the output file, or in memory without a file.
        policy: Concurrency, rates, retries, budget and price.
        listener: Called with the progress and the total number of questions after each answer.
        store_only: Use the answers in the store and ask nothing. Open questions are not failures.
        answer_tokens: The token limit of an answer; the thoughts of a reasoning model count towards it. None leaves it
            to the kind of question. A `VisionCaptioner` has a limit of its own.
    """

    store: RequestStore | None = None
    policy: Policy = field(default_factory=Policy)
    listener: Callable[[AskingProgress, int], None] | None = None
    store_only: bool = False
    answer_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.answer_tokens is not None and self.answer_tokens < 1:
            raise UsageError(f"answer_tokens must be at least 1, got {self.answer_tokens}")

    def open_store(self, out: Path | None) -> AbstractContextManager[RequestStore]:
        """Open the store for answers that are exported to ``out``."""
        if self.store:
            return nullcontext(self.store)
        return RequestStore(out.with_name(REQUEST_STORE)) if out else RequestStore()


@dataclass(slots=True, kw_only=True)
class AskingReport(Generic[Result, RejectedResult]):
    """What came of asking about examples or images. Iterating over a report yields its results.

    Attributes:
        results: Knowledge, captions or variants, in the order of their questions.
        rejections: Answers that could not be used.
        failures: Error messages of questions without an answer. The next run asks them again.
        reasons: The number of rejections by reason, the most frequent first.
        num_total: Questions, images or planned variants.
        num_skipped: Posts without a caption, which get no question at the multimodality grain.
        num_asked: Questions that the model answered or failed to answer in this run; duplicates count once.
        num_reused: Questions that the request store or an earlier export answered.
        prompt_tokens: Prompt tokens that the server reported.
        completion_tokens: Completion tokens that the server reported.
        unreported_tokens: Estimated number of tokens that the server did not report.
        cost: None if no price is known or the server did not report all tokens.
        seconds: Duration of this run.
        answered_by: The number of answers by the name under which the server's model answered.
    """

    results: list[Result]
    rejections: list[RejectedResult]
    failures: list[str]
    reasons: dict[str, int]
    num_total: int = 0
    num_skipped: int = 0
    num_asked: int = 0
    num_reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreported_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    answered_by: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def num_answered(self) -> int:
        """Results and rejections."""
        return len(self.results) + len(self.rejections)

    @property
    def rejected_share(self) -> float:
        """Rejections and failures divided by ``num_total``; 0 if that is 0."""
        return (len(self.rejections) + len(self.failures)) / max(1, self.num_total)


class Question(Generic[Result]):
    """A request and the parser of its answer. Each answer is parsed once, for its validation and for its result.

    Args:
        subject: What the question is about; it comes back with the answer.
        messages: The messages of the request.
        parameters: The sampling parameters of the request.
        parse: Returns the result in an answer, or raises `UnusableAnswerError` with the reason why there is none.
    """

    def __init__(
        self,
        subject: Any,
        messages: Sequence[Message],
        parameters: Parameters,
        *,
        parse: Callable[[Answer], Result],
    ) -> None:
        self.subject = subject
        self.request = Request(tuple(messages), parameters, validate=self._validate, about=self)
        self._parse = parse
        self._parsed: tuple[Answer, Result | None, str | None] | None = None

    @property
    def result(self) -> Result:
        """The result in the last answer that was validated. Only defined if that answer is usable."""
        assert self._parsed
        result: Result = self._parsed[1]  # type: ignore[assignment]
        return result

    def _validate(self, answer: Answer) -> str | None:
        if self._parsed is None or self._parsed[0] is not answer:
            try:
                self._parsed = (answer, self._parse(answer), None)
            except UnusableAnswerError as reason:
                self._parsed = (answer, None, str(reason))
        return self._parsed[2]


@dataclass(frozen=True, slots=True)
class UnusableAnswer:
    """An answer without a result: the reason, and the text of the answer."""

    reason: str
    text: str


class AskingSession:
    """One or more rounds of questions under one budget.

    Attributes:
        store: The request store of the session.
        policy: The policy of the session.
        store_only: Whether open questions stay open; see `Asking`.
        answer_tokens: The token limit of an answer; see `Asking`.
        total: The number of questions, for the listener.
        failures: Error messages of questions without an answer.
        num_reused: Questions that an earlier export answered; the store's own answers are counted separately.
    """

    def __init__(self, store: RequestStore, asking: Asking, *, total: int = 0) -> None:
        self.store, self.policy, self.store_only, self.total = store, asking.policy, asking.store_only, total
        self.answer_tokens = asking.answer_tokens
        self.failures: list[str] = []
        self.num_reused = 0
        self._listener = asking.listener
        self._spending = Spending(asking.policy)
        self._rounds = [AskingProgress()]
        self._counter = ProgressCounter()
        self._answered_by: Counter[str] = Counter()
        self._began = monotonic()

    def answers(self, requests: Iterable[Request], model: LanguageModel) -> Iterator[tuple[Any, Any]]:
        """Ask the requests of `Question` objects; yield ``(subject, result or UnusableAnswer)`` as answers arrive.

        Every answer is in the store before it is yielded. Questions without an answer are added to ``failures``.

        Raises:
            BudgetReachedError: If the next request would exceed the budget.
            LanguageModelError: If the model cannot be asked at all.
            StoreError: If an answer cannot be stored.
        """
        self._rounds.append(AskingProgress())
        if self.store_only:
            requests = (each for each in requests if self.store.find(each.key(model.endpoint, model.name)))
        ends = ask(
            requests, model, store=self.store, policy=self.policy, listener=self._listen, spending=self._spending
        )
        for request, end in ends:
            question: Question[Any] = request.about
            answer = end if isinstance(end, Answer) else end.answer
            if answer:
                self._answered_by[answer.model] += 1
            if isinstance(end, Answer):
                yield question.subject, question.result
            elif end.answer:
                yield question.subject, UnusableAnswer(end.reason, end.answer.text)
            else:
                self.failures.append(end.reason)

    def add(self, answers: Sequence[StoredAnswer]) -> None:
        """Store answers that did not come from `answers`, such as those of a captioner, in one transaction."""
        self.store.add(answers)
        for stored in answers:
            self._counter.asked += 1
            self._counter.rejected += stored.rejected is not None
            self._counter.answered += stored.rejected is None
        self._listen(self._counter.progress(self._spending, in_flight=0))

    def report(
        self, results: list[Result], rejections: list[RejectedResult], *, reasons: Iterable[str], total: int
    ) -> AskingReport[Result, RejectedResult]:
        """Return the report of this session; ``reasons`` has one entry for each rejection."""
        return AskingReport(
            results=results,
            rejections=rejections,
            failures=self.failures,
            reasons=dict(Counter(reasons).most_common()),
            num_total=total,
            num_asked=sum(each.asked for each in self._rounds),
            num_reused=self.num_reused + sum(each.served for each in self._rounds),
            prompt_tokens=self._spending.prompt_tokens,
            completion_tokens=self._spending.completion_tokens,
            unreported_tokens=self._spending.unreported.total,
            cost=self._spending.cost,
            seconds=monotonic() - self._began,
            answered_by=self._answered_by,
        )

    def _listen(self, progress: AskingProgress) -> None:
        self._rounds[-1] = progress
        if self._listener:
            self._listener(progress, self.total)
