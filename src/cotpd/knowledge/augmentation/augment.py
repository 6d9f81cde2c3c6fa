"""Augmentation: training posts varied by a language model, each answer paid once, each loss with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cotpd.core.overlap import comparable_words, similar_texts
from cotpd.core.records import Example, Origin, VariantKind
from cotpd.knowledge.augmentation.drafts import AugmentationSettings, CorpusNames, Draft, asks_for_name, drafts
from cotpd.knowledge.augmentation.projection import UnusableVariantError
from cotpd.knowledge.augmentation.reading import (
    IMAGINED,
    is_possible,
    read_variant,
    request_for,
    request_for_verdict,
    with_name,
)
from cotpd.knowledge.elicitation import Asking
from cotpd.llm.asking.ask import ask
from cotpd.llm.asking.budget import Spending
from cotpd.llm.asking.progress import AskingProgress
from cotpd.llm.language_model import Answer, LanguageModel, Request
from cotpd.llm.store.request_store import RequestStore


@dataclass(frozen=True, slots=True)
class VariantRejection:
    """A variant that was not kept, and why.

    ``answer``: what the model said, the post that it made or found not possible, or the id of one that it is near to.
    """

    id: str
    parent: str
    kind: VariantKind
    reason: str
    answer: str = ""


@dataclass(slots=True)
class AugmentationReport:
    """What became of the drafts, in their order: the variants, the rejections, and what they cost.

    ``failures`` are the reasons of questions without an answer: the next run asks them again.
    """

    variants: list[Example] = field(default_factory=list)
    rejections: list[VariantRejection] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    num_drafts: int = 0
    num_asked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    @property
    def rejected_share(self) -> float:
        """Rejections and failures over drafts, 0 without any."""
        return (len(self.rejections) + len(self.failures)) / max(1, self.num_drafts)

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason occurs, by kind, the most frequent first."""
        return dict(Counter(f"{each.kind}: {each.reason}" for each in self.rejections).most_common())


def augment(
    train: Iterable[Example],
    model: LanguageModel,
    *,
    held_out: Sequence[Example] = (),
    settings: AugmentationSettings | None = None,
    asking: Asking | None = None,
) -> AugmentationReport:
    """Vary training posts as ``settings`` say; every variant names its parent and how it was made (`Origin`).

    A rewritten post is kept when every gold name survives, a post with another name when the model finds it possible
    in fact. Variants that are near-duplicates of a post of ``held_out`` (dev and test) or say the same as another are
    refused. What the store of ``asking`` answers is not asked again, so a stopped run goes on where it was. Raises
    `DataError` for ids that occur twice, and what `ask` raises.
    """
    run = _Run(tuple(train), model, settings or AugmentationSettings(), asking or Asking())
    run.answer()
    return run.report(held_out)


def first_requests(train: Sequence[Example], settings: AugmentationSettings) -> Iterator[Request]:
    """What is asked first; each new name then takes one of `check_requests`."""
    names = CorpusNames(train, settings.seed)
    for draft in drafts(train, settings):
        if draft.entity is None or asks_for_name(draft, settings):
            yield request_for(draft, names, seed=settings.seed)


def check_requests(train: Sequence[Example], settings: AugmentationSettings) -> Iterator[Request]:
    """The questions whether a post is possible with its new name, while no name is known: about the post as it is."""
    for draft in drafts(train, settings):
        if draft.entity is not None:
            yield request_for_verdict(draft, draft.parent)


class _Run:
    """The drafts of one augmentation and what became of each, by id."""

    def __init__(
        self, train: Sequence[Example], model: LanguageModel, settings: AugmentationSettings, asking: Asking
    ) -> None:
        self._train, self._model, self._settings, self._asking = train, model, settings, asking
        self._store = RequestStore() if asking.store is None else asking.store
        self._drafts = {draft.id: draft for draft in drafts(train, settings)}
        self._outcomes: dict[str, Example | VariantRejection] = {}
        self._failures: list[str] = []
        self._spending = Spending(asking.policy)
        self._rounds: list[AskingProgress] = []

    def answer(self) -> None:
        """Ask for what the model is to write; then, of every post with another name, whether it is possible."""
        names = CorpusNames(self._train, self._settings.seed)
        renamed = self._renamed_from_corpus(names)
        for draft, answer in self._ask(list(first_requests(self._train, self._settings))):
            made = self._signed(draft, read_variant(draft, answer, names))
            (self._outcomes if draft.entity is None else renamed)[draft.id] = made
        checks = [request_for_verdict(each, renamed[each.id]) for each in self._drafts.values() if each.id in renamed]
        for draft, answer in self._ask(checks):
            made = renamed[draft.id]
            self._outcomes[draft.id] = made if is_possible(answer) else _rejected(draft, "not possible", made.text)

    def report(self, held_out: Sequence[Example]) -> AugmentationReport:
        """The outcome, in the order of the drafts; copies and near-duplicates are refused."""
        self._refuse_copies()
        self._refuse_leaks(held_out)
        outcomes = [self._outcomes[name] for name in self._drafts if name in self._outcomes]
        return AugmentationReport(
            [each for each in outcomes if isinstance(each, Example)],
            [each for each in outcomes if isinstance(each, VariantRejection)],
            self._failures,
            num_drafts=len(self._drafts),
            num_asked=sum(each.asked for each in self._rounds),
            prompt_tokens=self._spending.prompt_tokens,
            completion_tokens=self._spending.completion_tokens,
            cost=self._spending.cost,
        )

    def _renamed_from_corpus(self, names: CorpusNames) -> dict[str, Example]:
        """The posts with a name that the corpus gives; where that fails, a rejection is noted."""
        renamed: dict[str, Example] = {}
        for draft in self._drafts.values():
            if draft.entity is None or asks_for_name(draft, self._settings):
                continue
            try:
                renamed[draft.id] = self._signed(draft, with_name(draft, names.for_draft(draft)))
            except UnusableVariantError as reason:
                self._outcomes[draft.id] = _rejected(draft, str(reason))
        return renamed

    def _ask(self, asked: Sequence[Request]) -> Iterator[tuple[Draft, Answer]]:
        """The usable answers, within what is left of the budget; the others are noted."""
        self._rounds.append(AskingProgress())

        def listen(progress: AskingProgress) -> None:
            self._rounds[-1] = progress
            if self._asking.listener:
                self._asking.listener(progress, len(asked))

        policy, spending = self._asking.policy, self._spending
        ends = ask(asked, self._model, store=self._store, policy=policy, listener=listen, spending=spending)
        for request, end in ends:
            if isinstance(end, Answer):
                yield request.about, end
            elif end.answer:
                self._outcomes[request.about.id] = _rejected(request.about, end.reason, end.answer.text)
            else:
                self._failures.append(end.reason)

    def _signed(self, draft: Draft, variant: Example) -> Example:
        origin = Origin(draft.parent.id, draft.kind, draft.template, self._model.name)
        return replace(variant, id=draft.id, knowledge=(), origin=origin)

    def _refuse_copies(self) -> None:
        """Refuse variants that say what a post or an earlier variant says; imagined pictures may differ alone."""
        seen = {_content(post) for post in self._train}
        for name, draft in self._drafts.items():
            variant = self._outcomes.get(name)
            if isinstance(variant, Example):
                if _content(variant) in seen:
                    self._outcomes[name] = _rejected(draft, "copy", variant.text)
                seen.add(_content(variant))

    def _refuse_leaks(self, held_out: Sequence[Example]) -> None:
        kept = [each for each in self._outcomes.values() if isinstance(each, Example)]
        for overlap in similar_texts(held_out, kept):
            draft = self._drafts[kept[overlap.second].id]
            self._outcomes[draft.id] = _rejected(draft, "near a dev or test post", held_out[overlap.first].id)


def _rejected(draft: Draft, reason: str, answer: str = "") -> VariantRejection:
    return VariantRejection(draft.id, draft.parent.id, draft.kind, reason, answer)


def _content(example: Example) -> tuple[tuple[str, ...], str]:
    imagined = example.caption.text if example.caption and example.caption.captioner == IMAGINED else ""
    return tuple(comparable_words(example.text)), imagined
