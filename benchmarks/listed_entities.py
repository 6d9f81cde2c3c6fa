"""What a language model's own list of entities is worth without any student: the noun grain against gold.

Each name that an answer lists is looked for in the post, word for word and in any case; wherever it stands, it
counts as an entity. Its type is told by a word of `TYPES` in what the answer says of it, and is OTHER without one. Two
forms of lists are read: "1. NAME (TYPE) 2. …", as GPT-3.5 wrote for PGIM, and lines "NAME: TYPE, …", as this project
asks. One JSON line for each split: precision, recall and F1 in points, with and without types.

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
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", help="Whose answers; by default those of the model that the corpus names first.")
    parser.add_argument("--split", action="append", choices=("train", "dev", "test"), required=True)
    arguments = parser.parse_args()
    corpus = Corpus.from_path(arguments.data, knowledge_model=arguments.model)
    for split in arguments.split:
        posts = corpus.splits[split]
        listed = [Prediction(post.id, post.words, tuple(found_in(post))) for post in posts]
        untyped = points(
            *([replace(one, entities=of_one_type(one.entities)) for one in side] for side in (listed, posts))
        )
        print(json.dumps({"split": split, "typed": points(listed, posts), "untyped": untyped}))


def found_in(post: Example) -> Iterator[Entity]:
    """The listed names wherever they stand in the post; of one place the last that is listed there."""
    words = [plain(word) for word in post.words]
    places: dict[Span, str] = {}
    for answer in post.knowledge:
        if answer.grain is Grain.NOUN:
            for name, kind in _NUMBERED.findall(answer.text) or _LINE.findall(answer.text):
                places |= dict.fromkeys(places_of(plain(name), words), type_of(kind))
    return (Entity(span, label) for span, label in places.items())


def places_of(name: list[str], words: Sequence[list[str]]) -> Iterator[Span]:
    """Where a name stands: from one word of the post to another, whatever their punctuation."""
    for start in range(len(words)):
        read: list[str] = []
        for end in range(start, len(words)):
            read += words[end]
            if read == name and name:
                yield Span(start, end + 1)
                break
            if read != name[: len(read)]:
                break


def plain(text: str) -> list[str]:
    """Letters and digits alone, in lower case."""
    return re.findall(r"\w+", text.casefold())


def type_of(kind: str) -> str:
    """The type that a description tells."""
    told = kind.casefold()
    return next((label for label, words in TYPES.items() if any(word in told for word in words.split())), "OTHER")


def of_one_type(entities: Sequence[Entity]) -> tuple[Entity, ...]:
    """Entities of which the place alone counts."""
    return tuple(replace(each, label="NAME") for each in entities)


def points(listed: Sequence[Prediction], posts: Sequence[Example]) -> dict[str, float]:
    """Micro precision, recall and F1 in points."""
    scores = evaluate(listed, posts, resamples=0).micro
    return {name: round(100 * getattr(scores, name), 1) for name in ("precision", "recall", "f1")}


if __name__ == "__main__":
    main()
