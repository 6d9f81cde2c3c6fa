"""Elicitation: ask a language model about every example at every grain, each question once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import hash_text
from cotpd.core.records import Example, Grain, Knowledge, Post, Rejection
from cotpd.core.sidecars.export import export_knowledge, knowledge_rejections_path, require_own_file
from cotpd.core.sidecars.rows import KnowledgeRow, RejectionRow
from cotpd.knowledge.answers import parse_knowledge
from cotpd.knowledge.template import WORDINGS, Template
from cotpd.llm.asking.plan import is_open
from cotpd.llm.asking.session import Asking, AskingReport, AskingSession, Question, UnusableAnswer
from cotpd.llm.language_model import Answer, LanguageModel, Message, Parameters, Request
from cotpd.llm.store.request_store import RequestStore

MAX_TOKENS = 90
"""The token limit of an answer: the templates ask for two lines."""

ALL_GRAINS = tuple(Grain)

AnswerOutcome = Knowledge | Rejection
ElicitationReport = AskingReport[Knowledge, Rejection]


@dataclass(frozen=True, slots=True)
class KnowledgeQuestion:
    """One question about one post for one model.

    Attributes:
        request_key: The key of the answer in the request store.
        key: The key of the answer in knowledge.jsonl: of the post, the grain and ``request_key``.
    """

    post: Post
    grain: Grain
    template: str
    messages: tuple[Message, ...]
    parameters: Parameters
    model: str
    request_key: str
    key: str

    @property
    def request(self) -> Request:
        """The request, whose ``about`` is a `Question` with this object as its subject."""
        return Question(self, self.messages, self.parameters, parse=self._parse).request

    def outcome(self, result: Knowledge | UnusableAnswer) -> AnswerOutcome:
        """Return knowledge unchanged, and an unusable answer as a `Rejection`."""
        if isinstance(result, Knowledge):
            return result
        return Rejection(self.post.id, self.grain, result.reason, result.text, self.model, self.template)

    def _parse(self, answer: Answer) -> Knowledge:
        return parse_knowledge(answer, self.post, grain=self.grain, model=self.model, template=self.template)


def elicit(
    examples: Iterable[Example],
    model: LanguageModel,
    *,
    grains: Sequence[Grain] = ALL_GRAINS,
    wording: str = WORDINGS[0],
    out: Path | None = None,
    asking: Asking | None = None,
) -> ElicitationReport:
    """Ask a language model about every example.

    The model sees only the `Post` of an example, never a label. Answers are stored as they arrive, and exported to
    ``out`` and rejections.jsonl beside it at the end, also after an error. A question that the request store answers is
    not asked again, so an interrupted run continues where it stopped. The same holds for questions that only ``out``
    answers, for example because its store is not published with it.

    Args:
        examples: The examples. Those without a caption get no question at the multimodality grain.
        model: The language model.
        grains: The grains to ask at.
        wording: One of `WORDINGS`.
        out: The file of knowledge, usually knowledge.jsonl beside a corpus.
        asking: Store, policy and listener.

    Returns:
        A report whose ``results`` are `Knowledge` and whose ``rejections`` are `Rejection` records, by grain and then
        in the order of the examples.

    Raises:
        DataError: If two examples have the same id, or ``out`` has an invalid row.
        BudgetReachedError, LanguageModelError, StoreError: As `AskingSession.answers` does.
    """
    examples, asking = list(examples), asking or Asking()
    tokens = asking.answer_tokens
    all_questions = list(
        questions(examples, model.name, endpoint=model.endpoint, grains=grains, wording=wording, answer_tokens=tokens)
    )
    outcomes = _read_export(all_questions, out, asking)
    with asking.open_store(out) as store:
        session = AskingSession(store, asking)
        to_ask = _to_ask(all_questions, outcomes, store)
        session.total = len(to_ask)
        session.num_reused = len(outcomes.keys() - {question.key for question in to_ask})
        try:
            for question, result in session.answers((each.request for each in to_ask), model):
                outcomes[question.key] = question.outcome(result)
        finally:
            if out:
                export_knowledge(out, _in_order(outcomes, all_questions))
    return _report(session, all_questions, outcomes, num_examples=len(examples), grains=grains)


def questions(
    examples: Iterable[Example],
    model: str,
    *,
    endpoint: str = "",
    grains: Sequence[Grain] = ALL_GRAINS,
    wording: str = WORDINGS[0],
    answer_tokens: int | None = None,
) -> Iterator[KnowledgeQuestion]:
    """Yield the questions about examples, grain by grain. Without ``answer_tokens``, the limit is `MAX_TOKENS`.

    Raises:
        DataError: If two examples have the same id.
    """
    posts = [example.post for example in examples]
    refuse_repeated_ids(posts)
    parameters = Parameters(MAX_TOKENS).with_tokens(answer_tokens)
    for grain in grains:
        template = Template.of(grain, wording)
        for post in posts:
            if post.caption or grain is not Grain.MULTIMODALITY:
                yield _question(post, template, parameters, grain=grain, model=model, endpoint=endpoint)


def open_questions(
    all_questions: Sequence[KnowledgeQuestion], model: LanguageModel, out: Path, asking: Asking
) -> list[KnowledgeQuestion]:
    """Return the questions that `elicit` would put to the model, since neither store nor ``out`` answers them."""
    exported = _read_export(all_questions, out, asking)
    with asking.open_store(None) as store:
        candidates = _to_ask(all_questions, exported, store)
        return [each for each in candidates if is_open(each.request, model, store, asking.policy)]


def refuse_repeated_ids(posts: Iterable[Example | Post]) -> None:
    """Raise `DataError` if an id occurs twice, since the answers about one post would replace those of the other."""
    for post_id, count in Counter(post.id for post in posts).items():
        _refuse_repeated_id(post_id, count)


def refuse_shared_ids(examples: Iterable[Example], corpus: Iterable[Example]) -> None:
    """Raise `DataError` if the corpus has another text with the id of an example: they would share their answers."""
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for example in corpus:
        texts[example.id].add(example.text)
    for example in examples:
        _refuse_repeated_id(example.id, len(texts[example.id]))


def _refuse_repeated_id(post_id: str, count: int) -> None:
    if count > 1:
        raise DataError(f"{count} examples have this id; make the ids unique", where=post_id)


def _question(
    post: Post, template: Template, parameters: Parameters, *, grain: Grain, model: str, endpoint: str
) -> KnowledgeQuestion:
    messages = template.render(post)
    request_key = Request(messages, parameters).key(endpoint, model)
    key = hash_text(post.id, grain, request_key)[:16]
    return KnowledgeQuestion(post, grain, template.name, messages, parameters, model, request_key, key)


def _read_export(
    all_questions: Sequence[KnowledgeQuestion], out: Path | None, asking: Asking
) -> dict[str, AnswerOutcome]:
    """Return the answers in a file of knowledge to these questions; without rejections that are asked again."""
    if out is None:
        return {}
    require_own_file(out, KnowledgeRow)
    keys = {question.key for question in all_questions}
    outcomes: dict[str, AnswerOutcome] = {}
    if not asking.policy.ask_again:
        rejected = RejectionRow.read(knowledge_rejections_path(out), where=lambda row: RejectionRow.key_of(row) in keys)
        outcomes |= {row.question: row.rejection for row in rejected}
    kept = KnowledgeRow.read(out, where=lambda row: KnowledgeRow.key_of(row) in keys and row.get("example_id"))
    return outcomes | {row.question: row.knowledge for row in kept}


def _to_ask(
    all_questions: Sequence[KnowledgeQuestion], exported: dict[str, AnswerOutcome], store: RequestStore
) -> list[KnowledgeQuestion]:
    """Return the questions that the store answers or the model must answer; the store takes precedence over exports."""
    return [question for question in all_questions if question.key not in exported or store.find(question.request_key)]


def _in_order(
    outcomes: dict[str, AnswerOutcome], all_questions: Sequence[KnowledgeQuestion]
) -> dict[str, AnswerOutcome]:
    return {question.key: outcomes[question.key] for question in all_questions if question.key in outcomes}


def _report(
    session: AskingSession,
    all_questions: Sequence[KnowledgeQuestion],
    outcomes: dict[str, AnswerOutcome],
    *,
    num_examples: int,
    grains: Sequence[Grain],
) -> ElicitationReport:
    ordered = _in_order(outcomes, all_questions).values()
    knowledge = [each for each in ordered if isinstance(each, Knowledge)]
    rejections = [each for each in ordered if isinstance(each, Rejection)]
    report = session.report(
        knowledge, rejections, reasons=(each.reason for each in rejections), total=len(all_questions)
    )
    report.num_skipped = num_examples * len(grains) - len(all_questions)
    return report
