"""Elicitation: every example asked about at every grain, each question once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import hash_text
from cotpd.core.records import Example, Grain, Knowledge, Post, Rejection
from cotpd.knowledge.answer_file import AnswerFile
from cotpd.knowledge.answers import read_answer
from cotpd.knowledge.quality import Quality, measure
from cotpd.knowledge.template import WORDINGS, Template
from cotpd.llm.asking.ask import Failure, ask
from cotpd.llm.asking.policy import Policy
from cotpd.llm.asking.progress import AskingProgress
from cotpd.llm.language_model import Answer, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore

MAX_TOKENS = 90
"""The longest answer, in tokens of the language model: the templates ask for two lines."""

STORE = "requests.sqlite"
"""The request store beside a file of knowledge."""

ALL_GRAINS = tuple(Grain)

Outcome = Knowledge | Rejection


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one post, for the model of a name.

    ``request_key`` is made of all that decides the answer, ``key`` also of the post and the grain. ``old_key`` knows
    no endpoint: by it answers were kept before there was a request store.
    """

    post: Post
    grain: Grain
    template: str
    messages: tuple[Message, ...]
    model: str
    request_key: str
    key: str
    old_key: str

    @property
    def request(self) -> Request:
        """What the model is asked."""
        return Request(self.messages, Parameters(MAX_TOKENS), validate=self._reject, about=self)

    def outcome(self, answer: Answer) -> Outcome:
        """What becomes of an answer to it."""
        return read_answer(answer, self.post, grain=self.grain, model=self.model, template=self.template)

    def _reject(self, answer: Answer) -> str | None:
        outcome = self.outcome(answer)
        return outcome.reason if isinstance(outcome, Rejection) else None


@dataclass(frozen=True, slots=True)
class Asking:
    """How a run asks: where answers are kept, how politely and dearly, and who watches, with the total number.

    ``only_kept``: nothing is asked; what the store does not answer stays open, and is no failure.
    """

    store: RequestStore | None = None
    policy: Policy = field(default_factory=Policy)
    listener: Callable[[AskingProgress, int], None] | None = None
    only_kept: bool = False


@dataclass(slots=True)
class ElicitationReport:
    """What became of the questions, in their order: the knowledge, the rejections, and what they cost.

    ``num_asked`` counts the questions put to the model now, each once; the other answers were found. ``failures`` are
    the reasons of those that stay without an answer: the next run asks them again. ``num_without_caption`` counts the
    posts that the multimodality question was not asked about. ``answered_by`` counts what the models called
    themselves in the answers that came now, also from the store. ``cost`` is None where no price is known.
    """

    model: str = ""
    knowledge: list[Knowledge] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    num_questions: int = 0
    num_asked: int = 0
    num_without_caption: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    answered_by: Counter[str] = field(default_factory=Counter)
    quality: dict[Grain, Quality] = field(default_factory=dict)

    @property
    def num_answered(self) -> int:
        """The questions answered so far, well or not."""
        return len(self.knowledge) + len(self.rejections)

    @property
    def rejected_share(self) -> float:
        """Rejections and failures over questions, 0 without any."""
        lost = len(self.rejections) + len(self.failures)
        return lost / max(1, self.num_answered + len(self.failures))

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason of a rejection occurs, the most frequent first."""
        return dict(Counter(rejection.reason for rejection in self.rejections).most_common())


def elicit(
    examples: Iterable[Example],
    model: LanguageModel,
    *,
    grains: Sequence[Grain] = ALL_GRAINS,
    wording: str = WORDINGS[0],
    out: Path | None = None,
    asking: Asking | None = None,
) -> ElicitationReport:
    """Ask ``model`` about every example at every grain, grain by grain so that its prompt cache serves the template.

    Answers are kept in the request store as they come, and nothing that it or ``out`` answers is asked again; a
    changed post, caption, template, model or endpoint makes another question. With ``out`` the store lies beside it
    unless ``asking`` brings one, and the file is written at the end, also of a run that is stopped. Posts without
    caption have no multimodality question.

    Raises `DataError` for ids that occur twice and for a file that is not ours, and what `ask` raises.
    """
    examples, asking = tuple(examples), asking or Asking()
    asked = tuple(questions(examples, model.name, endpoint=model.endpoint, grains=grains, wording=wording))
    file = AnswerFile(out) if out else None
    run = _Run(asked, _known(asked, file, ask_again=asking.policy.ask_again) if file else {}, asking)
    with _store(asking, out) as store:
        try:
            run.ask(model, store)
        finally:
            if file:
                file.write(run.answers)
    return run.report(model.name, examples, num_possible=len(examples) * len(grains))


def questions(
    examples: Iterable[Example],
    model: str,
    *,
    endpoint: str = "",
    grains: Sequence[Grain] = ALL_GRAINS,
    wording: str = WORDINGS[0],
) -> Iterator[Question]:
    """The questions about the examples for a model. Raises `DataError` for ids that occur twice."""
    posts = [example.post for example in examples]
    refuse_repeated_ids(posts)
    for grain in grains:
        template = Template.of(grain, wording)
        for post in posts:
            if post.caption or grain is not Grain.MULTIMODALITY:
                yield _question(post, template, grain=grain, model=model, endpoint=endpoint)


def refuse_repeated_ids(posts: Iterable[Example | Post]) -> None:
    """Raise `DataError` for an id that occurs twice: what is made of one post would take the place of another's."""
    for post_id, count in Counter(post.id for post in posts).items():
        _refuse_repeated(post_id, count)


def refuse_shared_ids(examples: Iterable[Example], corpus: Iterable[Example]) -> None:
    """Raise `DataError` for an example whose id another text of its corpus has: they would share their answers."""
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for example in corpus:
        texts[example.id].add(example.text)
    for example in examples:
        _refuse_repeated(example.id, len(texts[example.id]))


def unanswered(asked: Sequence[Question], out: Path, *, ask_again: bool = False) -> list[Question]:
    """The questions that the file does not answer, or, to ask again, whose answer was rejected."""
    known = _known(asked, AnswerFile(out), ask_again=ask_again).keys()
    return [question for question in asked if not known & {question.key, question.old_key}]


def _refuse_repeated(post_id: str, count: int) -> None:
    if count > 1:
        raise DataError(f"{count} examples have this id; make the ids unique", where=post_id)


class _Run:
    """One elicitation as it goes; ``answers`` has a key for every question that is answered."""

    def __init__(self, asked: Sequence[Question], known: dict[str, Outcome], asking: Asking) -> None:
        self._asked, self._known, self._asking = asked, known, asking
        self._failures: list[str] = []
        self._answered_by: Counter[str] = Counter()
        self._last = AskingProgress()

    @property
    def answers(self) -> dict[str, Outcome]:
        """The answers so far, in the order of their questions."""
        keys = (key for question in self._asked for key in (question.key, question.old_key))
        return {key: self._known[key] for key in keys if key in self._known}

    def ask(self, model: LanguageModel, store: RequestStore) -> None:
        """Find an answer to every question."""
        left = [each for each in self._asked if not self._known.keys() & {each.key, each.old_key}]
        if self._asking.only_kept:
            left = [each for each in left if store.find(each.request_key)]
        requests = (question.request for question in left)
        listener = partial(self._listen, len(left))
        for request, end in ask(requests, model, store=store, policy=self._asking.policy, listener=listener):
            question: Question = request.about
            answer = end.answer if isinstance(end, Failure) else end
            if answer:
                self._known[question.key] = question.outcome(answer)
                self._answered_by[answer.model] += 1
            elif isinstance(end, Failure):
                self._failures.append(end.reason)

    def report(self, model: str, examples: Sequence[Example], *, num_possible: int) -> ElicitationReport:
        """The outcome."""
        outcomes = self.answers.values()
        knowledge = [each for each in outcomes if isinstance(each, Knowledge)]
        rejections = [each for each in outcomes if isinstance(each, Rejection)]
        return ElicitationReport(
            model,
            knowledge,
            rejections,
            self._failures,
            num_questions=len(self._asked),
            num_asked=self._last.asked,
            num_without_caption=num_possible - len(self._asked),
            prompt_tokens=self._last.prompt_tokens,
            completion_tokens=self._last.completion_tokens,
            cost=self._last.cost,
            answered_by=self._answered_by,
            quality=measure(knowledge, rejections, (example.post for example in examples)),
        )

    def _listen(self, total: int, progress: AskingProgress) -> None:
        self._last = progress
        if self._asking.listener:
            self._asking.listener(progress, total)


def _store(asking: Asking, out: Path | None) -> AbstractContextManager[RequestStore]:
    if asking.store:
        return nullcontext(asking.store)
    return RequestStore(out.with_name(STORE)) if out else RequestStore()


def _known(asked: Sequence[Question], file: AnswerFile, *, ask_again: bool) -> dict[str, Outcome]:
    known = file.read({key for question in asked for key in (question.key, question.old_key)})
    return {key: end for key, end in known.items() if not (ask_again and isinstance(end, Rejection))}


def _question(post: Post, template: Template, *, grain: Grain, model: str, endpoint: str) -> Question:
    messages = template.render(post)
    texts = (text for message in messages for text in (message.role, message.content))
    old_key = hash_text(post.id, grain, model, str(MAX_TOKENS), *texts)[:16]
    request_key = Request(messages, Parameters(MAX_TOKENS)).key(endpoint, model)
    key = hash_text(post.id, grain, request_key)[:16]
    return Question(post, grain, template.name, messages, model, request_key, key, old_key)
