"""Elicitation: every example asked about at every grain, each question once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cotpd.core.errors import DataError
from cotpd.core.files import hash_text
from cotpd.core.records import Example, Grain, Knowledge, Post, Rejection
from cotpd.knowledge.answer_file import AnswerFile
from cotpd.knowledge.answers import read_answer
from cotpd.knowledge.template import Template
from cotpd.llm.language_model import LanguageModel, Message, Parameters, Request

MAX_TOKENS = 90
"""The longest answer, in tokens of the language model: the templates ask for two lines."""

ALL_GRAINS = tuple(Grain)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one post. ``key`` is made of all that decides the answer: model, messages, length."""

    post: Post
    grain: Grain
    template: str
    messages: tuple[Message, ...]
    key: str


@dataclass(slots=True)
class ElicitationReport:
    """What became of the questions, in their order: the knowledge, the rejections, and what they cost.

    ``num_asked`` counts the questions put to the model now; the other answers were found in the file.
    ``num_without_caption`` counts the posts that the multimodality question was not asked about.
    """

    knowledge: list[Knowledge] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    num_questions: int = 0
    num_asked: int = 0
    num_without_caption: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def num_answered(self) -> int:
        """The questions answered so far, well or not."""
        return len(self.knowledge) + len(self.rejections)

    @property
    def rejected_share(self) -> float:
        """Rejections over answers, 0 without answers."""
        return len(self.rejections) / max(1, self.num_answered)

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason of a rejection occurs, the most frequent first."""
        return dict(Counter(rejection.reason for rejection in self.rejections).most_common())


def elicit(
    examples: Iterable[Example],
    model: LanguageModel,
    *,
    grains: Sequence[Grain] = ALL_GRAINS,
    out: Path | None = None,
    on_progress: Callable[[ElicitationReport], None] | None = None,
) -> ElicitationReport:
    """Ask ``model`` about every example at every grain, grain by grain so that its prompt cache serves the template.

    With ``out`` each answer is on the disk before the next question, and what the file answers is not asked again;
    a changed post, caption, template or model makes another question. Posts without caption have no multimodality
    question. ``on_progress`` sees the report after every answer.

    Raises `DataError` for ids that occur twice and for a file that is not ours, `LanguageModelError` when the model
    cannot be asked.
    """
    examples = tuple(examples)
    asked = tuple(questions(examples, model.name, grains))
    report = ElicitationReport(num_questions=len(asked))
    report.num_without_caption = len(examples) * len(grains) - len(asked)
    file = AnswerFile(out) if out else None
    known = _read(file) if file else {}
    for question in asked:
        answer = known.get(question.key)
        if answer is None:
            answer = _ask(question, model, report)
            if file:
                file.add(question.key, answer)
        _count(answer, report)
        if on_progress:
            on_progress(report)
    return report


def questions(examples: Iterable[Example], model: str, grains: Sequence[Grain] = ALL_GRAINS) -> Iterator[Question]:
    """The questions about the examples for the model of this name. Raises `DataError` for ids that occur twice."""
    posts = [example.post for example in examples]
    for post_id, count in Counter(post.id for post in posts).items():
        if count > 1:
            raise DataError(f"{count} examples have this id; make the ids unique", where=post_id)
    for grain in grains:
        template = Template.of(grain)
        for post in posts:
            if post.caption or grain is not Grain.MULTIMODALITY:
                yield _question(post, grain, template, model)


def _read(file: AnswerFile) -> dict[str, Knowledge | Rejection]:
    file.mend()
    return file.read()


def _question(post: Post, grain: Grain, template: Template, model: str) -> Question:
    messages = template.render(post)
    texts = (text for message in messages for text in (message.role, message.content))
    key = hash_text(post.id, grain, model, str(MAX_TOKENS), *texts)[:16]
    return Question(post, grain, template.name, messages, key)


def _ask(question: Question, model: LanguageModel, report: ElicitationReport) -> Knowledge | Rejection:
    answer = model.answer(Request(question.messages, Parameters(MAX_TOKENS)))
    report.num_asked += 1
    report.prompt_tokens += answer.prompt_tokens
    report.completion_tokens += answer.completion_tokens
    return read_answer(answer, question.post, grain=question.grain, model=model.name, template=question.template)


def _count(answer: Knowledge | Rejection, report: ElicitationReport) -> None:
    if isinstance(answer, Knowledge):
        report.knowledge.append(answer)
    else:
        report.rejections.append(answer)
