"""The report of ``cotpd check --answers``: quality of the knowledge of every model, and agreement between models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from cotpd.cli.display.terminal import printable

if TYPE_CHECKING:
    from cotpd.core.records import Grain
    from cotpd.corpus.corpus import Corpus
    from cotpd.knowledge.agreement import Agreement
    from cotpd.knowledge.quality import Quality


@dataclass(frozen=True, slots=True)
class AnswersReport:
    """The quality of each model by grain, and the agreement of each pair of models by grain."""

    quality: Mapping[str, Mapping[Grain, Quality]]
    agreement: Mapping[tuple[str, str], Mapping[Grain, Agreement]]

    @classmethod
    def of(cls, corpus: Corpus) -> AnswersReport:
        """Measure the knowledge in the sidecar file of a corpus that belongs to its examples."""
        from cotpd.corpus.formats.parsing.reading import Reading
        from cotpd.corpus.sidecars import add_knowledge, read_knowledge
        from cotpd.knowledge.agreement import agreement
        from cotpd.knowledge.quality import measure

        if corpus.knowledge is None:
            return cls({}, {})
        posts = [example.post for example in corpus.examples]
        without_knowledge = [replace(example, knowledge=()) for example in corpus.examples]
        answers = {}
        for model in corpus.knowledge.rows:
            values = read_knowledge(corpus.knowledge.path, model, Reading(lambda _: None)).values
            examples = add_knowledge(without_knowledge, values)
            answers[model] = [replace(row, example_id=example.id) for example in examples for row in example.knowledge]
        return cls(
            {model: measure(knowledge, (), posts) for model, knowledge in answers.items()},
            {pair: agreement(answers[pair[0]], answers[pair[1]], posts) for pair in combinations(answers, 2)},
        )

    def lines(self) -> Iterator[str]:
        """Yield the report as text."""
        for model, grains in self.quality.items():
            yield f"\nanswers of {_display_name(model)}"
            yield from (f"  {grain:<14}{quality_line(quality)}" for grain, quality in grains.items())
        for (first, second), grains_agreed in self.agreement.items():
            yield f"\n{_display_name(first)} and {_display_name(second)} agree"
            yield from (f"  {grain:<14}{_agreement_line(figures)}" for grain, figures in grains_agreed.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "answers": {model: _by_grain(grains) for model, grains in self.quality.items()},
            "agreement": [{"models": pair, **_by_grain(grains)} for pair, grains in self.agreement.items()],
        }


def quality_line(quality: Quality) -> str:
    """Return the figures of one grain in one line."""
    refused = f"refused {quality.refused:5.1%}, " if quality.refused else ""
    return (
        f"{quality.answers:>7,} answers of {quality.words:4.1f} words; grounded {quality.grounding:6.1%}, {refused}"
        f"duplicates {quality.duplicates:5.1%}, diversity {quality.diversity:.2f}"
    )


def _agreement_line(agreement: Agreement) -> str:
    return (
        f"on {agreement.posts:,} posts: in {agreement.names:.1%} of the names, "
        f"in {agreement.words:.1%} of the words they add ({agreement.by_chance:.1%} by chance)"
    )


def _display_name(model: str) -> str:
    return printable(model) or "(no model name)"


def _by_grain(figures: Mapping[Grain, Quality] | Mapping[Grain, Agreement]) -> dict[str, Any]:
    return {str(grain): asdict(values) for grain, values in figures.items()}
