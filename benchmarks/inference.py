"""Compare the speed of the Extractor with the token-classification pipeline of transformers.

Both sides use the same texts, encoder weights, linear layer and number of threads. The Extractor adds its soft prompts
and its CRF. Repetitions are interleaved, times are medians, and each side uses its best batch size. The last line is
one JSON object:

    speedup      time of the pipeline, divided by that of the Extractor with its deployed view
    prompt_cost  time of the prompt-enhanced view, divided by that of the text view

    python benchmarks/inference.py --data ../shared/data/twitter2017 --model runs/twitter2017-seed1
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast, pipeline
from transformers.utils import logging

from cotpd.core.config import PromptConfig, StudentConfig, ViewConfig
from cotpd.core.labels import LabelSet
from cotpd.core.splitting import Rule
from cotpd.corpus.corpus import Corpus
from cotpd.inference.decoding import Precision
from cotpd.inference.extractor import Extractor
from cotpd.student.encoder import TextEncoder
from cotpd.student.student import Design, Student
from cotpd.views.view import ViewKind

BATCH_SIZES = (1, 8, 32, 64)
SHARE_OF_ENTITIES = 0.1
"""Share of words that an untrained head labels as entities. It is about that of tweets, for output of typical size."""


def main() -> None:
    """Run the measurements and print the results."""
    arguments = parse()
    logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    texts = read_texts(arguments.data, arguments.posts)
    student = (
        Extractor.from_pretrained(arguments.model, device="cpu").student
        if arguments.model
        else untrained(arguments.encoder, texts)
    )
    medians = measure(contenders(student, texts), repetitions=arguments.repetitions)
    print(json.dumps(summary(medians, ships=student.design.ships.value, num_posts=len(texts))))


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data/twitter2017"),
        help="corpus directory; if it is missing, the sample corpus is used (default: %(default)s)",
    )
    parser.add_argument("--model", help="run directory; by default an untrained student with --encoder is used")
    parser.add_argument(
        "--encoder", default="minilm", help="name on the Hugging Face Hub, or a directory (default: %(default)s)"
    )
    parser.add_argument("--posts", type=int, default=1000, help="number of texts (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each side (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    return parser.parse_args()


def read_texts(data: Path, num_posts: int) -> list[str]:
    """Return the texts of the first examples of a corpus, repeated if it is too small."""
    examples = (Corpus.from_path(data) if data.exists() else Corpus.sample()).examples
    return [examples[number % len(examples)].text for number in range(num_posts)]


def untrained(name: str, texts: list[str]) -> Student:
    """Return a student as at the start of `cotpd distill`, with a head that labels a tenth of the words as entities."""
    torch.manual_seed(1)
    encoder, tokenizer = TextEncoder.from_pretrained(name)
    labels, settings = LabelSet.of(["LOC", "MISC", "ORG", "PER"]), StudentConfig(encoder=name)
    design = Design(
        task="entities",
        label_set=labels,
        relations=(),
        student=settings,
        prompt=PromptConfig(),
        views=ViewConfig(),
        ships=ViewKind.PROMPT,
        splitting=Rule.FINE,
    )
    student = Student(encoder, tokenizer, design).eval()
    margins: list[float] = []
    hook = student.head.register_forward_hook(lambda *call: margins.extend(margins_of(call[-1])))
    Extractor(student)(texts[:100])
    hook.remove()
    with torch.no_grad():
        student.head.project.bias[0] += statistics.quantiles(margins, n=100)[int(100 - 100 * SHARE_OF_ENTITIES) - 1]
    return student


def margins_of(emissions: torch.Tensor) -> list[float]:
    """Return the score of the best entity tag minus that of ``O``, for each word."""
    margins: list[float] = (emissions[..., 1:].amax(-1) - emissions[..., 0]).flatten().tolist()
    return margins


def contenders(student: Student, texts: list[str]) -> dict[str, Callable[[int], Any]]:
    """Return the functions to measure. Each processes all texts in batches of the given size."""
    tagger = pipeline_of(student)
    functions: dict[str, Callable[[int], Any]] = {"pipeline": lambda size: tagger(texts, batch_size=size)}
    for kind in (student.design.ships, ViewKind.TEXT):
        functions[kind.value] = partial(extract, student, kind, texts)
    functions["bfloat16"] = partial(extract, student, student.design.ships, texts, precision="bfloat16")
    return functions


def extract(
    student: Student, kind: ViewKind, texts: list[str], batch_size: int, *, precision: Precision = "float32"
) -> Any:
    """Extract with any view of the student, including one that is not its deployed view."""
    design = student.design
    student.design = design._replace(ships=kind)
    extractions = Extractor(student, batch_size=batch_size, precision=precision)(texts)
    student.design = design
    return extractions


def pipeline_of(student: Student) -> Any:
    """Return the pipeline of transformers with the encoder and the linear layer of the student."""
    tags = dict(enumerate(student.label_set.tags))
    config = student.encoder.config
    config.id2label, config.label2id = tags, {tag: number for number, tag in tags.items()}
    model = AutoModelForTokenClassification.from_config(config, dtype=torch.float32)
    encoder = getattr(model, model.base_model_prefix)
    encoder.load_state_dict(student.encoder.model.state_dict())
    model.classifier.load_state_dict(student.head.project.state_dict())
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=student.reader.pieces.tokenizer, **special_pieces(student))
    tokenizer.model_max_length = student.encoder.max_pieces
    return pipeline("token-classification", model=model.eval(), tokenizer=tokenizer, aggregation_strategy="simple")


def special_pieces(student: Student) -> dict[str, str]:
    """Return the padding piece and the unknown piece under the names that transformers uses."""
    pieces = student.reader.pieces
    names = {"pad_token": pieces.pad, "unk_token": pieces.unknown}
    return {name: str(pieces.tokenizer.id_to_token(piece)) for name, piece in names.items()}


def measure(runs: dict[str, Callable[[int], Any]], *, repetitions: int) -> dict[str, dict[int, float]]:
    """Return the median seconds of each function at its two best batch sizes, chosen by one round over all sizes."""
    rough = timed(runs, dict.fromkeys(runs, BATCH_SIZES), repetitions=1)
    best = {name: sorted(rough[name], key=lambda size: rough[name][size])[:2] for name in runs}
    return timed(runs, best, repetitions=repetitions)


def timed(
    runs: dict[str, Callable[[int], Any]], sizes: Mapping[str, Iterable[int]], *, repetitions: int
) -> dict[str, dict[int, float]]:
    """Return the median seconds of each function at each of its batch sizes, with interleaved repetitions."""
    times: dict[tuple[str, int], list[float]] = {(name, size): [] for name in runs for size in sizes[name]}
    for _ in range(repetitions):
        for (name, size), seconds in times.items():
            started = time.perf_counter()
            runs[name](size)
            seconds.append(time.perf_counter() - started)
    medians: dict[str, dict[int, float]] = {name: {} for name in runs}
    for (name, size), seconds in times.items():
        medians[name][size] = statistics.median(seconds)
        print(f"{name:>10}  batch {size:>2}  {medians[name][size]:7.2f} s", flush=True)
    return medians


def summary(medians: dict[str, dict[int, float]], *, ships: str, num_posts: int) -> dict[str, Any]:
    """Return the ratios and the measurements behind them."""
    best = {name: min(found.values()) for name, found in medians.items()}
    return {
        "speedup": round(best["pipeline"] / best[ships], 3),
        "prompt_cost": round(best[ships] / best["text"], 3),
        "speedup_of_text_view": round(best["pipeline"] / best["text"], 3),
        "speedup_in_bfloat16": round(best["pipeline"] / best["bfloat16"], 3),
        "best_batch_size": {name: min(found, key=lambda size: found[size]) for name, found in medians.items()},
        "posts_per_second": {name: round(num_posts / seconds, 1) for name, seconds in best.items()},
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    main()
