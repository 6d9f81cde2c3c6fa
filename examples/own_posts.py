"""Train on posts made in Python, without files:  python examples/own_posts.py [ENCODER]

With the default encoder it prints ``[('Bergen', 'LOC')]``.
"""

import sys
import tempfile
from pathlib import Path

from cotpd import Corpus, Entity, Example, ExperimentConfig, Grain, Knowledge, Span, distill

CITIES = ("Lima", "Oslo", "Cairo", "Quito", "Turin", "Accra", "Perth", "Porto")


def post(city: str) -> Example:
    """Return a post about a city, with its knowledge."""
    knowledge = Knowledge(Grain.NOUN, f"{city} is a city, so it is a location.", example_id=city)
    words = ("rainy", "morning", "in", city, "again")
    return Example(city, words, entities=(Entity(Span(3, 4), "LOC"),), knowledge=(knowledge,))


def main(encoder: str = "minilm") -> None:
    posts = tuple(post(city) for city in CITIES)
    corpus = Corpus(train=posts[:6], dev=posts[6:])
    config = ExperimentConfig.of(
        {
            "data": {"path": "in memory"},
            "student": {"encoder": encoder},
            "optimisation": {"epochs": 4, "batch_size": 2, "patience": 4},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        extractor = distill(corpus, config=config, out=Path(folder) / "run")
    print([(mention.word, mention.entity_group) for mention in extractor("snow in Bergen tonight").entities])


if __name__ == "__main__":
    main(*sys.argv[1:])
