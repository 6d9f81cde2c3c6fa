"""The recipe: from a corpus with captions and knowledge to an extractor that needs only text."""

from __future__ import annotations

import json
import logging
import resource
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from cotpd.core.config import DataConfig, ExperimentConfig
from cotpd.core.errors import DataError, UsageError
from cotpd.core.files import json_line, write_atomic
from cotpd.core.records import Example, Knowledge
from cotpd.core.splitting import best_rule
from cotpd.core.tasks import ANNOTATIONS
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.distributed import processes
from cotpd.distillation.progress import Listener, Progress
from cotpd.distillation.run_directory import RunDirectory, State
from cotpd.distillation.targets import parts_read
from cotpd.distillation.tasks import LEARNING
from cotpd.distillation.trainer import Trainer
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import Material
from cotpd.inference.decoding import decode
from cotpd.inference.extractors import extractor_of
from cotpd.student import checkpoint
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.memory import enough_memory
from cotpd.student.student import Student
from cotpd.views.view import ViewKind, num_without_knowledge

logger = logging.getLogger(__name__)


def _silent(_: Progress) -> None:
    """Watch nothing."""


@enough_memory("lower optimisation.batch_size or views.knowledge_pieces")
def distill(
    corpus: Corpus,
    knowledge: Iterable[Knowledge] = (),
    *,
    config: ExperimentConfig,
    out: str | Path,
    resume: bool = False,
    listener: Listener = _silent,
) -> Any:
    """Train a student on a corpus and its knowledge, in the run directory ``out``; returns the finished extractor.

    ``knowledge`` is added to what the corpus already carries. A stopped run goes on with ``resume``. Under
    `accelerate launch` each process takes its share of every batch, and the first one writes the files. Raises
    `DataError` for a corpus without training or dev posts, entities, or the knowledge and the variants that the
    configuration asks for, and for dev posts that cannot be scored, `UsageError` for a corpus that was not read as
    ``config.data`` says (use `read_corpus`), and for a directory that is taken, by another process or by a run begun
    with other data, `TrainingError` when training cannot go on.
    """
    _check_reading(corpus, config.data)
    corpus = corpus.with_knowledge(knowledge)
    material = Material.of(corpus, config)
    _check(material, config)
    _check_knowledge(material, config)
    _check_variants(corpus, config)
    is_main = processes().is_main_process
    with processes().main_process_first():
        student = build_student(material.train, corpus, config)
        feed = TrainingBatches(student, material.train, config, unlabelled=material.unlabelled)
        _check_dev(student, corpus.dev)
        run = RunDirectory.open(Path(out), config, data=material.fingerprint(config), resume=resume or not is_main)
    if feed.num_cut and is_main:
        logger.info("knowledge was cut to %d pieces in %d posts", config.views.knowledge_pieces, feed.num_cut)
    with run.taken() if is_main else nullcontext():
        state = Trainer(student, feed, corpus.dev, config, run).train(listener if is_main else _silent)
        if is_main:
            _finish(student, corpus, run, _summary(state, feed))
    processes().wait_for_everyone()
    return extractor_of(student.eval())


def build_student(train: Sequence[Example], corpus: Corpus, config: ExperimentConfig) -> Student:
    """A student on pretrained weights, its head and generator new and seeded."""
    view = ViewKind(config.objective.student)
    pretrained = config.student
    encoder, tokenizer = TextEncoder.from_pretrained(
        pretrained.encoder, revision=pretrained.revision, layers=pretrained.layers
    )
    torch.manual_seed(config.seed)
    encoder.embeddings.weight.requires_grad_(not pretrained.freeze_embeddings)
    design = Design(
        task=config.task,
        labels=ANNOTATIONS[config.task].labels(corpus.examples),
        deployed_view=view,
        prompt=PromptDesign.of(config.prompt, encoder.hidden_size) if view is ViewKind.PROMPT else None,
        views=config.views,
        splitting=best_rule(train),
        encoder=pretrained.encoder,
    )
    return Student(encoder, tokenizer, design)


def _check_reading(corpus: Corpus, config: DataConfig) -> None:
    """Refuse a corpus that was read without its settings, as far as it shows."""
    advice = "read the corpus by `read_corpus(config.data)`"
    if config.unlabelled and not corpus.unlabelled:
        raise UsageError(f"data.unlabelled names corpora, and this corpus has no post of theirs; {advice}")
    renamed = set(config.label_map) - set(config.label_map.values())
    if left := sorted(renamed.intersection(corpus.label_set.types)):
        raise UsageError(f"data.label_map renames {', '.join(left)}, and this corpus has posts with it; {advice}")


def _check(material: Material, config: ExperimentConfig) -> None:
    train = material.train
    if not train or not material.dev:
        raise DataError("training needs train and dev posts; see `cotpd check`", where=str(config.data.path))
    annotations = ANNOTATIONS[config.task]
    if not any(annotations.of(example) for example in train):
        raise DataError(f"no training post has {config.task}; see `cotpd check`", where=str(config.data.path))
    if not any(map(annotations.has_gold, material.dev)):
        raise DataError(
            f"no dev post has {config.task}, so no score could choose the best weights; see `cotpd check`",
            where=str(config.data.path),
        )


def _check_dev(student: Student, dev: Sequence[Example]) -> None:
    """Raise `DataError` for dev posts that no epoch could be scored on, before one is trained."""
    if doubled := [post_id for post_id, count in Counter(post.id for post in dev).items() if count > 1]:
        raise DataError("several dev posts have this id; they are scored by it", where=doubled[0])
    for post in dev:
        LEARNING[student.design.task].check_dev(post, student.reader)


def _check_knowledge(material: Material, config: ExperimentConfig) -> None:
    """Refuse posts of which none has what is read of them, unless that is the control; some without are counted."""
    own, others = (config.data.path,), config.data.unlabelled
    learnt = (("training posts", material.train, own), ("posts without labels", material.unlabelled, others or own))
    for parts in filter(None, parts_read(config)):
        read = f"{', '.join(parts)} (views.parts)"
        for what, posts, paths in learnt:
            num_bare = num_without_knowledge(posts, parts)
            if num_bare and num_bare == len(posts) and config.data.corruption != "missing":
                raise DataError(
                    f"none of the {num_bare} {what} has any of {read}, which would be read; put captions.jsonl or "
                    "knowledge.jsonl beside each corpus, choose other parts, or learn from text alone, as in "
                    "configs/twitter2017-text.toml",
                    where=", ".join(map(str, paths)),
                )
            if num_bare:
                logger.warning("%d of %d %s have none of %s, which are read", num_bare, len(posts), what, read)


def _check_variants(corpus: Corpus, config: ExperimentConfig) -> None:
    there = {post.origin.kind for post in corpus.augmented if post.origin}
    if missing := [kind for kind in config.data.augmentation.kinds if kind not in there]:
        raise DataError(
            f"augmented.jsonl has no variants of kind {', '.join(missing)}, which data.augmentation.kinds names; make "
            "them with `cotpd augment`",
            where=str(config.data.path),
        )


def _summary(state: State, feed: TrainingBatches) -> dict[str, Any]:
    return {
        **asdict(state),
        "num_train": len(feed.examples) - feed.num_unlabelled,
        "num_unlabelled": feed.num_unlabelled,
        "num_knowledge_cut": feed.num_cut,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "peak_device_memory_mib": torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else 0,
    }


def _finish(student: Student, corpus: Corpus, run: RunDirectory, summary: dict[str, Any]) -> None:
    """Write the dev predictions, the summary and, last, the model; then the checkpoints are not needed any more."""
    predictions = decode(student, corpus.dev, kind=student.design.deployed_view)
    lines = [json_line(asdict(prediction)) for prediction in predictions]
    write_atomic(run.path / "predictions.dev.jsonl", "".join(lines))
    write_atomic(run.path / "summary.json", json.dumps(summary, indent=2) + "\n")
    checkpoint.save(student, run.model, card=_card(summary))
    run.finish()


def _card(summary: dict[str, Any]) -> str:
    score = f"{100 * summary['best_f1']:.2f}"
    return f"Micro F1 on its dev posts (conlleval): {score}, after epoch {summary['best_epoch'] + 1}.\n"
