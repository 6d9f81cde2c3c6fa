"""What splitting costs: F1 from the raw text of posts beside F1 from the words that the corpus gives.

The raw text is the corpus's words joined by spaces; the Extractor splits it again by its rule, and its entities count
as found where they cover just the characters of a gold entity. The last line is one JSON object:

    words    micro F1 of the gold words, in points
    raw      micro F1 of the raw text
    change   raw - words

    python benchmarks/raw_text.py runs/twitter2017-seed1 ../shared/data/twitter2017 --split dev
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from cotpd.core.records import Entity, Example, Prediction, Span
from cotpd.corpus.corpus import Corpus
from cotpd.evaluation import evaluate
from cotpd.inference.extractor import Extraction, Extractor


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="dev", choices=("train", "dev", "test"))
    arguments = parser.parse_args()
    extractor = Extractor.from_pretrained(arguments.run)
    gold: Sequence[Example] = getattr(Corpus.from_path(arguments.data), arguments.split)
    scores = {
        "words": micro_f1(extractor.predict(gold), gold),
        "raw": micro_f1(from_raw_text(extractor, gold), gold),
    }
    rounded = {name: round(score, 2) for name, score in scores.items()}
    print(json.dumps({**rounded, "change": round(scores["raw"] - scores["words"], 2), "num_posts": len(gold)}))


def from_raw_text(extractor: Extractor, gold: Sequence[Example]) -> Iterator[Prediction]:
    """What is found in the raw text of each post, as spans of its gold words."""
    for example, extraction in zip(gold, extractor.stream(example.text for example in gold), strict=True):
        yield Prediction(example.id, example.words, tuple(in_words(example, extraction)))


def in_words(example: Example, extraction: Extraction) -> Iterator[Entity]:
    """The mentions of a text as entities of its words; one that ends inside a word gets a type that gold never has."""
    starts, ends, place = {}, {}, 0
    for number, word in enumerate(example.words):
        starts[place], ends[place + len(word)] = number, number + 1
        place += len(word) + 1
    for mention in extraction.entities:
        whole = mention.start in starts and mention.end in ends
        start = max(number for place, number in starts.items() if place <= mention.start)
        end = min(number for place, number in ends.items() if place >= mention.end)
        yield Entity(Span(start, end), mention.entity_group if whole else "inside a word", score=mention.score)


def micro_f1(predictions: Iterator[Prediction], gold: Sequence[Example]) -> float:
    """In points."""
    return 100 * evaluate(predictions, gold, resamples=0).micro_f1


if __name__ == "__main__":
    main()
