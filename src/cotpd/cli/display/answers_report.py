"""What can be said of the knowledge beside a corpus, model by model, and of how far the models agree."""

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
    """The figures of every model that answered, by grain, and of every two of them."""

    quality: Mapping[str, Mapping[Grain, Quality]]
    agreement: Mapping[tuple[str, str], Mapping[Grain, Agreement]]

    @classmethod
    def of(cls, corpus: Corpus) -> AnswersReport:
        """Measure every row of the knowledge beside a corpus that belongs to one of its posts."""
        from cotpd.corpus.formats.parsing.reading import Reading
        from cotpd.corpus.sidecars import add_knowledge, read_knowledge
        from cotpd.knowledge.agreement import agreement
        from cotpd.knowledge.quality import measure

        if corpus.knowledge is None:
            return cls({}, {})
        posts = [example.post for example in corpus.examples]
        bare = [replace(example, knowledge=()) for example in corpus.examples]
        answers = {}
        for model in corpus.knowledge.rows:
            found = read_knowledge(corpus.knowledge.path, model, Reading(lambda _: None)).found
            known = add_knowledge(bare, found)
            answers[model] = [replace(row, example_id=post.id) for post in known for row in post.knowledge]
        return cls(
            {model: measure(said, (), posts) for model, said in answers.items()},
            {pair: agreement(answers[pair[0]], answers[pair[1]], posts) for pair in combinations(answers, 2)},
        )

    def lines(self) -> Iterator[str]:
        """What a person reads."""
        for model, grains in self.quality.items():
            yield f"\nanswers of {_named(model)}"
            yield from (f"  {grain:<14}{quality_figures(quality)}" for grain, quality in grains.items())
        for (one, other), agreed in self.agreement.items():
            yield f"\n{_named(one)} and {_named(other)} agree"
            yield from (f"  {grain:<14}{_agreement_figures(figures)}" for grain, figures in agreed.items())

    def to_dict(self) -> dict[str, Any]:
        """What a program reads."""
        return {
            "answers": {model: _by_grain(grains) for model, grains in self.quality.items()},
            "agreement": [{"models": pair, **_by_grain(grains)} for pair, grains in self.agreement.items()],
        }


def quality_figures(quality: Quality) -> str:
    """The figures of one grain in a line."""
    refused = f"refused {quality.refused:5.1%}, " if quality.refused else ""
    return (
        f"{quality.answers:>7,} answers of {quality.words:4.1f} words; grounded {quality.grounding:6.1%}, {refused}"
        f"duplicates {quality.duplicates:5.1%}, diversity {quality.diversity:.2f}"
    )


def _agreement_figures(agreement: Agreement) -> str:
    return (
        f"on {agreement.posts:,} posts: in {agreement.names:.1%} of the names, "
        f"in {agreement.words:.1%} of the words they add ({agreement.by_chance:.1%} by chance)"
    )


def _named(model: str) -> str:
    return printable(model) or "nobody named"


def _by_grain(figures: Mapping[Grain, Quality] | Mapping[Grain, Agreement]) -> dict[str, Any]:
    return {str(grain): asdict(each) for grain, each in figures.items()}
