"""Augmentation: a language model varies training examples; rejected variants are reported with their reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cotpd.core.errors import UsageError
from cotpd.core.overlap import comparable_words, similar_texts
from cotpd.core.records import Example, Origin, VariantKind
from cotpd.core.sidecars.export import export_variants, has_only_variants
from cotpd.core.sidecars.rows import VariantRejectionRow
from cotpd.knowledge.augmentation.drafts import AugmentationSettings, CorpusNames, Draft, asks_for_name, drafts
from cotpd.knowledge.augmentation.projection import UnusableVariantError
from cotpd.knowledge.augmentation.reading import IMAGINED, request_for, request_for_verdict, with_name
from cotpd.llm.asking.session import Asking, AskingReport, AskingSession, UnusableAnswer
from cotpd.llm.language_model import LanguageModel, Request


@dataclass(frozen=True, slots=True)
class VariantRejection:
    """A variant that was not kept.

    Attributes:
        id: The id that the variant would have.
        parent: The id of the training example.
        answer: The answer of the model, the text of a variant that is a copy or not possible, or the id of the
            held-out example that the variant resembles.
    """

    id: str
    parent: str
    kind: VariantKind
    reason: str
    answer: str = ""


AugmentationReport = AskingReport[Example, VariantRejection]


def augment(
    train: Iterable[Example],
    model: LanguageModel,
    *,
    held_out: Sequence[Example] = (),
    settings: AugmentationSettings | None = None,
    out: Path | None = None,
    asking: Asking | None = None,
) -> AugmentationReport:
    """Vary training examples. Every variant names its parent and how it was made (`Origin`).

    A rewritten post is kept if it still has every gold name, and a post with another name if the model finds it
    factually possible. Variants that nearly duplicate a held-out example, or say the same as another, are rejected. A
    question that the request store answers is not asked again, so an interrupted run continues where it stopped.

    Args:
        train: The training examples.
        model: The language model.
        held_out: The examples of dev and test.
        settings: What is varied and how often.
        out: The file of variants, usually augmented.jsonl beside a corpus, written when all variants are finished.
            Variants of other examples and kinds stay in the file.
        asking: Store, policy and listener.

    Raises:
        DataError: If two examples have the same id.
        UsageError: If ``out`` has rows that are not variants, which would be lost.
        BudgetReachedError, LanguageModelError, StoreError: As `AskingSession.answers` does.
    """
    asking = asking or Asking()
    if out and not has_only_variants(out):
        raise UsageError(f"{out} has rows that are not variants and would be lost; choose another file with --out")
    with asking.open_store(out) as store:
        run = AugmentationRun(tuple(train), model, settings or AugmentationSettings(), AskingSession(store, asking))
        run.ask()
    report = run.report(held_out)
    if out:
        rejections = [VariantRejectionRow(**asdict(each)) for each in report.rejections]
        export_variants(out, report.results, rejections)
    return report


def first_requests(
    train: Sequence[Example], settings: AugmentationSettings, *, answer_tokens: int | None = None
) -> Iterator[Request]:
    """Yield the requests of the first round. Each new name then leads to one of `check_requests`."""
    names = CorpusNames(train, settings.seed)
    for draft in drafts(train, settings):
        if draft.entity is None or asks_for_name(draft, settings):
            yield request_for(draft, names, seed=settings.seed, answer_tokens=answer_tokens)


def check_requests(
    train: Sequence[Example], settings: AugmentationSettings, *, answer_tokens: int | None = None
) -> Iterator[Request]:
    """Yield stand-ins for the requests of the second round, whether a post with a new name is factually possible.

    The new names are not known before the first round, so these requests have the original posts.
    """
    for draft in drafts(train, settings):
        if draft.entity is not None:
            yield request_for_verdict(draft, draft.parent, answer_tokens=answer_tokens)


class AugmentationRun:
    """The state of one call of `augment`: the drafts, and the outcome of each by id."""

    def __init__(
        self, train: Sequence[Example], model: LanguageModel, settings: AugmentationSettings, session: AskingSession
    ) -> None:
        self._train, self._model, self._settings, self._session = train, model, settings, session
        self._drafts = {draft.id: draft for draft in drafts(train, settings)}
        self._outcomes: dict[str, Example | VariantRejection] = {}

    def ask(self) -> None:
        """Ask for rewritten posts, names and captions; then ask whether each post with a new name is possible."""
        names = CorpusNames(self._train, self._settings.seed)
        renamed, tokens = self._rename_from_corpus(names), self._session.answer_tokens
        for draft, variant in self._answers(list(first_requests(self._train, self._settings, answer_tokens=tokens))):
            signed = self._sign(draft, variant)
            (self._outcomes if draft.entity is None else renamed)[draft.id] = signed
        checks = [
            request_for_verdict(each, renamed[each.id], answer_tokens=tokens)
            for each in self._drafts.values()
            if each.id in renamed
        ]
        for draft, is_possible in self._answers(checks):
            variant = renamed[draft.id]
            self._outcomes[draft.id] = variant if is_possible else _rejected(draft, "not possible", variant.text)

    def report(self, held_out: Sequence[Example]) -> AugmentationReport:
        """Reject copies and near-duplicates, and return the outcomes in the order of the drafts."""
        self._reject_copies()
        self._reject_leaks(held_out)
        outcomes = [self._outcomes[name] for name in self._drafts if name in self._outcomes]
        variants = [each for each in outcomes if isinstance(each, Example)]
        rejections = [each for each in outcomes if isinstance(each, VariantRejection)]
        reasons = (f"{each.kind}: {each.reason}" for each in rejections)
        return self._session.report(variants, rejections, reasons=reasons, total=len(self._drafts))

    def _rename_from_corpus(self, names: CorpusNames) -> dict[str, Example]:
        """Return the posts whose new name comes from the corpus; record a rejection where that fails."""
        renamed: dict[str, Example] = {}
        for draft in self._drafts.values():
            if draft.entity is None or asks_for_name(draft, self._settings):
                continue
            try:
                renamed[draft.id] = self._sign(draft, with_name(draft, names.for_draft(draft)))
            except UnusableVariantError as reason:
                self._outcomes[draft.id] = _rejected(draft, str(reason))
        return renamed

    def _answers(self, requests: Sequence[Request]) -> Iterator[tuple[Draft, Any]]:
        """Yield the usable answers; record a rejection for the others."""
        self._session.total = len(requests)
        for draft, result in self._session.answers(requests, self._model):
            if isinstance(result, UnusableAnswer):
                self._outcomes[draft.id] = _rejected(draft, result.reason, result.text)
            else:
                yield draft, result

    def _sign(self, draft: Draft, variant: Example) -> Example:
        origin = Origin(draft.parent.id, draft.kind, draft.template, self._model.name)
        return replace(variant, id=draft.id, knowledge=(), origin=origin)

    def _reject_copies(self) -> None:
        """Reject variants that say what an example or an earlier variant says; imagined images may also differ."""
        seen = {_content(example) for example in self._train}
        for name, draft in self._drafts.items():
            variant = self._outcomes.get(name)
            if isinstance(variant, Example):
                if _content(variant) in seen:
                    self._outcomes[name] = _rejected(draft, "copy", variant.text)
                seen.add(_content(variant))

    def _reject_leaks(self, held_out: Sequence[Example]) -> None:
        """Reject near-duplicates of held-out examples: they would carry dev or test into training."""
        kept = [each for each in self._outcomes.values() if isinstance(each, Example)]
        for overlap in similar_texts(held_out, kept):
            draft = self._drafts[kept[overlap.second].id]
            self._outcomes[draft.id] = _rejected(draft, "near a dev or test post", held_out[overlap.first].id)


def _rejected(draft: Draft, reason: str, answer: str = "") -> VariantRejection:
    return VariantRejection(draft.id, draft.parent.id, draft.kind, reason, answer)


def _content(example: Example) -> tuple[tuple[str, ...], str]:
    imagined = example.caption.text if example.caption and example.caption.captioner == IMAGINED else ""
    return tuple(comparable_words(example.text)), imagined
