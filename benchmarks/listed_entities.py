"""Score the entities that a language model lists in its noun-grain answers, without any student.

Each listed name is searched in the post, word by word and ignoring case. Every match counts as an entity. Its type is
the first type of `TYPES` with a word in the description of the name, or OTHER. Two formats are read:
"1. NAME (TYPE) 2. ...", as GPT-3.5 wrote for PGIM, and lines "NAME: TYPE, ...", as the templates of this project ask
for. Prints one JSON line per split with precision, recall and F1 in points, with and without types.

    python benchmarks/listed_entities.py ../shared/data/twitter2017 --split dev --split test
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.records import Entity, Example, Grain, Prediction, Span
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import evaluate

TYPES = {
    "PER": "person player musician artist singer actor actress rapper politician character athlete comedian people",
    "LOC": "city country location place venue state stadium region street park town neighborhood area province "
    "continent island",
    "ORG": "organization organisation team company league school university band group club brand media newspaper "
    "channel network party government website platform app",
}
_NUMBERED = re.compile(r"\d+\.\s*([^()]+?)\s*\(([^)]*)\)")
_LINE = re.compile(r"^([^:\n]+):\s*([^,(\n]*)", re.MULTILINE)


def main() -> None:
    """Score each split and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="corpus directory with knowledge.jsonl")
    parser.add_argument("--model", help="language model of the answers; by default the first one in the corpus")
    parser.add_argument("--split", action="append", choices=("train", "dev", "test"), required=True)
    arguments = parser.parse_args()
    corpus = Corpus.from_path(arguments.data, knowledge_model=arguments.model)
    for split in arguments.split:
        posts = corpus.splits[split]
        listed = [Prediction(post.id, post.words, tuple(listed_entities(post))) for post in posts]
        untyped = points(
            *([replace(one, entities=without_types(one.entities)) for one in side] for side in (listed, posts))
        )
        print(json.dumps({"split": split, "typed": points(listed, posts), "untyped": untyped}))


def listed_entities(post: Example) -> Iterator[Entity]:
    """Yield every occurrence of the listed names in the post. If two names share a span, the last one counts."""
    words = [normalise(word) for word in post.words]
    labels: dict[Span, str] = {}
    for answer in post.knowledge:
        if answer.grain is Grain.NOUN:
            for name, kind in _NUMBERED.findall(answer.text) or _LINE.findall(answer.text):
                labels |= dict.fromkeys(occurrences(normalise(name), words), type_of(kind))
    return (Entity(span, label) for span, label in labels.items())


def occurrences(name: list[str], words: Sequence[list[str]]) -> Iterator[Span]:
    """Yield the spans of words at which a name occurs, ignoring punctuation."""
    for start in range(len(words)):
        joined: list[str] = []
        for end in range(start, len(words)):
            joined += words[end]
            if joined == name and name:
                yield Span(start, end + 1)
                break
            if joined != name[: len(joined)]:
                break


def normalise(text: str) -> list[str]:
    """Split a text into lower-case words of letters and digits."""
    return re.findall(r"\w+", text.casefold())


def type_of(kind: str) -> str:
    """Return the type that a description names."""
    description = kind.casefold()
    return next(
        (label for label, words in TYPES.items() if any(word in description for word in words.split())), "OTHER"
    )


def without_types(entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Give all entities the same type."""
    return tuple(replace(each, label="NAME") for each in entities)


def points(listed: Sequence[Prediction], posts: Sequence[Example]) -> dict[str, float]:
    """Return micro precision, recall and F1 in points."""
    scores = evaluate(listed, posts, resamples=0).micro
    return {name: round(100 * getattr(scores, name), 1) for name in ("precision", "recall", "f1")}


if __name__ == "__main__":
    main()
