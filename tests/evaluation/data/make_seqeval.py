"""Write seqeval.json: the entities and scores that seqeval 1.2.2 gives for generated tags.

seqeval is no test dependency, because it needs scikit-learn and is not maintained any more. To write the file again:

    pip install seqeval && python tests/evaluation/data/make_seqeval.py
"""

import json
import random
import warnings
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("seqeval.json")
TYPES = ("PER", "LOC", "geo-loc")
Tags = list[str]


def expected_values() -> dict[str, Any]:
    """Return the content of the file. Needs seqeval."""
    draw = random.Random(2306)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about types without predictions
        return {"entities": list(_entity_cases(draw)), "scores": list(_score_cases(draw))}


def _entity_cases(draw: random.Random) -> Any:
    from seqeval import scheme
    from seqeval.metrics import sequence_labeling

    schemes = {"BIO": scheme.IOB2, "BIOES": scheme.IOBES, "BILOU": scheme.BILOU}
    for name, strict in schemes.items():
        for _ in range(60):
            tags = _tags(draw, ["O", *(f"{p}-{t}" for p in name.replace("O", "") for t in TYPES[:2])], 10)
            yield {
                "scheme": name,
                "tags": tags,
                "strict": [[e.start, e.end, e.tag] for e in scheme.Tokens(tags, strict).entities],
                "default": [[start, end + 1, label] for label, start, end in sequence_labeling.get_entities(tags)],
            }


def _score_cases(draw: random.Random) -> Any:
    from seqeval.metrics import sequence_labeling, v1
    from seqeval.scheme import IOB2

    tags = ["O", *(f"{prefix}-{name}" for prefix in "BI" for name in TYPES)]
    for _ in range(80):
        gold = [_tags(draw, tags, 8) for _ in range(draw.randint(1, 4))]
        predicted = [[draw.choice(tags) if draw.random() < 0.4 else tag for tag in post] for post in gold]
        for mode, count, options in (("conlleval", sequence_labeling, {}), ("strict", v1, {"scheme": IOB2})):
            try:
                columns, *averages = (
                    count.precision_recall_fscore_support(gold, predicted, average=name, zero_division=0, **options)
                    for name in (None, "micro", "macro")
                )
            except ValueError:  # neither gold nor predicted entities
                continue
            yield {
                "gold": gold,
                "predicted": predicted,
                "mode": mode,
                "types": [[*map(float, row[:3]), int(row[3])] for row in zip(*columns, strict=True)],
                "micro": list(map(float, averages[0][:3])),
                "macro": list(map(float, averages[1][:3])),
            }


def _tags(draw: random.Random, tags: Tags, longest: int) -> Tags:
    return [draw.choice(tags) for _ in range(draw.randint(1, longest))]


if __name__ == "__main__":
    lines = {name: [json.dumps(case) for case in cases] for name, cases in expected_values().items()}
    body = ",\n".join(f'"{name}": [\n' + ",\n".join(cases) + "\n]" for name, cases in lines.items())
    PATH.write_text("{" + body + "}\n", encoding="utf-8")
