"""The recipe: from a corpus with captions and knowledge to an extractor that needs only text."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch

from cotpd.core.config import CorpusConfig, ExperimentConfig, ObjectiveConfig, Task
from cotpd.core.errors import UsageError
from cotpd.core.files import json_line, write_atomic
from cotpd.core.methods import TEACHER_METHODS, Method, preset
from cotpd.core.splitting import best_rule
from cotpd.core.tasks import ANNOTATIONS, task_of
from cotpd.corpus.corpus import Corpus
from cotpd.distillation.checks import check_dev, check_training_set
from cotpd.distillation.distributed import processes
from cotpd.distillation.progress import Listener, Progress
from cotpd.distillation.runs.run_directory import RunDirectory, State
from cotpd.distillation.trainer import Trainer
from cotpd.distillation.training_batches import TrainingBatches
from cotpd.distillation.training_set.selection import TrainingSet
from cotpd.evaluation.tasks import SCORING
from cotpd.inference.decoding import decode
from cotpd.inference.extractors import extractor_of
from cotpd.student import checkpoint
from cotpd.student.design import Design, PromptDesign
from cotpd.student.encoder import TextEncoder
from cotpd.student.memory import memory_advice
from cotpd.student.student import Student
from cotpd.views.view import ViewKind

logger = logging.getLogger(__name__)

_MAX_TEACHER_EPOCHS = 20


class Settings(TypedDict, total=False):
    """The most used settings of a run, for `distill` without a configuration."""

    method: Method
    encoder: str
    task: Task
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def _ignore(_: Progress) -> None:
    """Ignore the progress of training."""


@memory_advice("lower optimisation.batch_size or views.knowledge_pieces")
def distill(
    corpus: Corpus,
    *,
    out: str | Path,
    config: ExperimentConfig | None = None,
    resume: bool = False,
    listener: Listener = _ignore,
    **settings: Unpack[Settings],
) -> Any:
    """Train a student on a corpus with captions and knowledge, and return the extractor of its task.

    ``distill(corpus, method="cotpd", encoder="minilm", out="runs/mine")`` is a whole run; pass ``config`` to set
    everything else. A method with a teacher (`two-stage`, `self-training`) trains the teacher first, in the directory
    ``OUT-teacher``, unless the configuration names target runs. Under `accelerate launch` each process takes its share
    of every batch, and the first one writes the files.

    Args:
        corpus: The corpus, with its captions and knowledge attached.
        out: The run directory; it must not exist unless ``resume`` is set.
        config: The configuration. Its ``[corpus]`` table must be the one that the corpus was read with, or absent.
        resume: Continue a run that was stopped.
        listener: Called with the progress of training.
        **settings: ``method``, ``encoder``, ``task``, ``epochs``, ``learning_rate``, ``batch_size`` and ``seed``, in
            place of ``config``. The default task is the one that the corpus has labels for.

    Raises:
        DataError: If the corpus lacks training or dev examples, labels, or the knowledge or variants that the
            configuration needs, or if dev examples cannot be scored.
        UsageError: If the corpus was read with other settings than the configuration has, or the directory is in use.
        TrainingError: If training cannot continue.
    """
    path = Path(out)
    config = _bind_to_corpus(corpus, config or _configuration(corpus, settings))
    if config.needs_teacher:
        config = _with_teacher(corpus, config, path, resume=resume, listener=listener)
    training_set = TrainingSet.of(corpus, config)
    check_training_set(training_set, corpus, config)
    is_main = processes().is_main_process
    with processes().main_process_first():
        student = build_student(training_set, corpus, config)
        batches = TrainingBatches(student, training_set.labelled, config, unlabelled=training_set.unlabelled)
        check_dev(student, training_set.dev)
        run = RunDirectory.open(path, config, data=training_set.fingerprint(config), resume=resume or not is_main)
    if batches.num_cut and is_main:
        logger.info("cut the knowledge of %d examples to %d pieces", batches.num_cut, config.views.knowledge_pieces)
    with run.exclusive() if is_main else nullcontext():
        state = Trainer(student, batches, training_set.dev, config, run).train(listener if is_main else _ignore)
        if is_main:
            _finish(student, training_set, run, _summary(state, batches, config))
    processes().wait_for_everyone()
    return extractor_of(student.eval())


def build_student(training_set: TrainingSet, corpus: Corpus, config: ExperimentConfig) -> Student:
    """Return a student with pretrained encoder weights and seeded new weights for the head and the generator."""
    deployed = ViewKind(config.objective.student)
    encoder, tokenizer = TextEncoder.from_pretrained(
        config.student.encoder, revision=config.student.revision, layers=config.student.layers
    )
    torch.manual_seed(config.seed)
    encoder.embeddings.weight.requires_grad_(not config.student.freeze_embeddings)
    design = Design(
        task=config.task,
        labels=ANNOTATIONS[config.task].labels(corpus.examples),
        deployed_view=deployed,
        prompt=PromptDesign.of(config.prompt, encoder.hidden_size) if deployed is ViewKind.PROMPT else None,
        views=config.views,
        splitting=best_rule(training_set.labelled),
        encoder=config.student.encoder,
    )
    return Student(encoder, tokenizer, design)


def _configuration(corpus: Corpus, settings: Settings) -> ExperimentConfig:
    """Return the configuration given by the keyword arguments of `distill`."""
    sections = {"encoder": "student", "epochs": "optimisation", "learning_rate": "optimisation"}
    sections["batch_size"] = "optimisation"
    values: dict[str, Any] = {"task": task_of(corpus.train)}
    for key, value in settings.items():
        (values.setdefault(sections[key], {}) if key in sections else values)[key] = value
    return ExperimentConfig.of(values, where="distill")


def _bind_to_corpus(corpus: Corpus, config: ExperimentConfig) -> ExperimentConfig:
    """Return the configuration with the source of the corpus.

    Raises:
        UsageError: If the configuration names another corpus, or unlabelled corpora that were not read.
    """
    if config.corpus not in (None, corpus.source):
        differing = ", ".join(_differing_keys(config.corpus, corpus.source))
        raise UsageError(
            f"the corpus was read with other settings than [corpus] ({differing}); read it with read_corpus(config)"
        )
    if config.training_set.unlabelled_paths != corpus.unlabelled_paths:
        listed = ", ".join(map(str, config.training_set.unlabelled_paths)) or "none"
        read = ", ".join(map(str, corpus.unlabelled_paths)) or "none"
        raise UsageError(f"training_set.unlabelled lists {listed}, but {read} were read; use read_corpus(config)")
    return config.model_copy(update={"corpus": corpus.source})


def _differing_keys(config: CorpusConfig | None, source: CorpusConfig | None) -> list[str]:
    """Return the keys in which two ``[corpus]`` tables differ; None stands for an absent table."""
    tables = [table.model_dump() if table else {} for table in (config, source)]
    return sorted(key for key in tables[0].keys() | tables[1].keys() if tables[0].get(key) != tables[1].get(key))


def _with_teacher(
    corpus: Corpus, config: ExperimentConfig, out: Path, *, resume: bool, listener: Listener
) -> ExperimentConfig:
    """Train the teacher of a run, unless it is finished, and return the configuration with its target run."""
    path = out.with_name(f"{out.name}-teacher")
    teacher = _teacher_config(config, TrainingSet.of(corpus, config))
    if not RunDirectory(path).is_finished:
        logger.info("training the teacher (%s) in %s", teacher.method, path)
        corpus_of_teacher = corpus.without_unlabelled()
        distill(corpus_of_teacher, out=path, config=teacher, resume=resume, listener=listener)
    elif not teacher.trains_like(ExperimentConfig.of_run(path)):
        raise UsageError(f"{path}: this teacher has another configuration; move it, or choose another --out")
    objective = config.objective.model_copy(update={"target_runs": (path,)})
    return config.model_copy(update={"objective": objective})


def _teacher_config(config: ExperimentConfig, training_set: TrainingSet) -> ExperimentConfig:
    """Return the configuration of a run's teacher: as many updates as the student, in at most 20 epochs."""
    method = TEACHER_METHODS[config.method]
    num_labelled, num_unlabelled = len(training_set.labelled), len(training_set.unlabelled)
    epochs = round(config.optimisation.epochs * (num_labelled + num_unlabelled) / max(1, num_labelled))
    epochs = max(config.optimisation.epochs, min(_MAX_TEACHER_EPOCHS, epochs))
    patience = max(config.optimisation.patience, epochs if num_unlabelled else 0)
    return config.model_copy(
        update={
            "method": method,
            "objective": ObjectiveConfig(**preset(method, has_unlabelled=False)),
            "training_set": config.training_set.model_copy(update={"unlabelled": ()}),
            "optimisation": config.optimisation.model_copy(update={"epochs": epochs, "patience": patience}),
        }
    )


def _summary(state: State, batches: TrainingBatches, config: ExperimentConfig) -> dict[str, Any]:
    return {
        **asdict(state),
        "score_mode": config.corpus.score_mode if config.corpus else "conlleval",
        "num_train": len(batches.examples) - batches.num_unlabelled,
        "num_unlabelled": batches.num_unlabelled,
        "num_knowledge_cut": batches.num_cut,
        "peak_memory_mib": _peak_memory_mib(),
        "peak_device_memory_mib": torch.cuda.max_memory_allocated() // 2**20 if torch.cuda.is_available() else 0,
    }


def _peak_memory_mib() -> int | None:
    """Return the peak memory of this process; None on Windows, which does not count it."""
    if sys.platform == "win32":
        return None
    import resource

    units_per_mib = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // units_per_mib


def _finish(student: Student, training_set: TrainingSet, run: RunDirectory, summary: dict[str, Any]) -> None:
    """Write the dev predictions, the summary and, last, the model; then remove the checkpoints."""
    predictions = decode(student, training_set.dev, kind=student.design.deployed_view)
    write_atomic(
        run.path / "predictions.dev.jsonl", "".join(json_line(asdict(prediction)) for prediction in predictions)
    )
    write_atomic(run.path / "summary.json", json.dumps(summary, indent=2) + "\n")
    checkpoint.save(student, run.model, card=_card(summary, student.design.task))
    run.finish()


def _card(summary: dict[str, Any], task: Task) -> str:
    scoring = SCORING[task]
    average = scoring.dev_metric.removesuffix("_f1").capitalize()
    mode = f" ({summary['score_mode']})" if scoring.has_modes else ""
    score = f"{100 * summary['best_f1']:.2f}"
    return f"{average} F1 on its dev examples{mode}: {score}, after epoch {summary['best_epoch'] + 1}.\n"
