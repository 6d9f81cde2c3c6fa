"""Measure what word splitting costs: compare the F1 on raw text with the F1 on the words of the corpus.

The raw text of an example is its words joined by spaces. The Extractor splits it again by its own rule. An entity is
correct if it covers exactly the characters of a gold entity. The last line is one JSON object:

    words    micro F1 on the words of the corpus, in points
    raw      micro F1 on the raw text, in points
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
    """Score both and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run directory or model directory")
    parser.add_argument("data", type=Path, help="corpus directory")
    parser.add_argument("--split", default="dev", choices=("train", "dev", "test"), help="(default: %(default)s)")
    arguments = parser.parse_args()
    extractor = Extractor.from_pretrained(arguments.run)
    gold: Sequence[Example] = getattr(Corpus.from_path(arguments.data), arguments.split)
    scores = {
        "words": micro_f1(extractor.predict(gold), gold),
        "raw": micro_f1(predict_raw_text(extractor, gold), gold),
    }
    rounded = {name: round(score, 2) for name, score in scores.items()}
    print(json.dumps({**rounded, "change": round(scores["raw"] - scores["words"], 2), "num_posts": len(gold)}))


def predict_raw_text(extractor: Extractor, gold: Sequence[Example]) -> Iterator[Prediction]:
    """Extract from the raw text of each example and yield the entities as spans of its words."""
    for example, extraction in zip(gold, extractor.stream(example.text for example in gold), strict=True):
        yield Prediction(example.id, example.words, tuple(to_word_spans(example, extraction)))


def to_word_spans(example: Example, extraction: Extraction) -> Iterator[Entity]:
    """Convert character offsets to word spans. A mention that cuts a word gets a type that no gold entity has."""
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
    """Return the micro F1 in points."""
    return 100 * evaluate(predictions, gold, resamples=0).micro_f1


if __name__ == "__main__":
    main()
