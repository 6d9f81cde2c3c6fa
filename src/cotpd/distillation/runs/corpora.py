"""The corpus of a run, read in the same way for training, evaluation, studies and diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.core.config import CorpusConfig, ExperimentConfig
from cotpd.core.errors import UsageError
from cotpd.core.labels import Repair
from cotpd.core.records import Example
from cotpd.corpus.corpus import Corpus
from cotpd.corpus.splits import CAPTIONS, KNOWLEDGE, sidecar_path
from cotpd.distillation.training_set.unlabelled import read_unlabelled


def read_corpus(config: ExperimentConfig) -> Corpus:
    """Read the corpus that a run is trained on, and the corpora whose examples it uses without their labels.

    Raises:
        UsageError: If the configuration names no corpus, or if the unlabelled corpora use a captioner or language model
            that the training examples do not.
        DataError: If a file is invalid.
    """
    corpus = Corpus.of_config(corpus_config(config))
    paths = config.training_set.unlabelled_paths
    if not paths:
        return corpus
    source = corpus_config(config)
    others = read_unlabelled(paths, captioner=source.captioner, knowledge_model=source.knowledge_model)
    whole = replace(corpus, unlabelled=tuple(others), unlabelled_paths=paths)
    _check_sources(whole.train, whole.unlabelled)
    return whole


def corpus_config(config: ExperimentConfig) -> CorpusConfig:
    """Return the ``[corpus]`` table. Raises `UsageError` if the run was trained on a corpus in memory."""
    if config.corpus is None:
        raise UsageError("this run was trained on a corpus in memory; give the path of a corpus")
    return config.corpus


class RunCorpora:
    """The corpora of runs. A corpus that several runs share is read once."""

    def __init__(self) -> None:
        self._training: dict[str, Corpus] = {}
        self._scored: dict[str, Corpus] = {}

    def training(self, config: ExperimentConfig) -> Corpus:
        """Return the corpus as `read_corpus` reads it."""
        key = corpus_config(config).model_dump_json() + str(config.training_set.unlabelled_paths)
        if key not in self._training:
            self._training[key] = read_corpus(config)
        return self._training[key]

    def scored(self, config: ExperimentConfig, path: Path | None = None, *, reads_knowledge: bool = True) -> Corpus:
        """Return the corpus on which a run is scored.

        Entities with broken tags remain in the corpus regardless of ``corpus.repair``, because the score mode decides
        whether they count (`CorpusConfig.score_mode` is the default mode of a run).

        Args:
            config: The configuration of the run.
            path: Another corpus than the run's own. It is read like the run's own, with the run's captioner and
                language model if it has captions and knowledge.
            reads_knowledge: Whether captions and knowledge are needed; if not, they may be missing.
        """
        source = as_scored(corpus_config(config), path, reads_knowledge=reads_knowledge)
        key = source.model_dump_json()
        if key not in self._scored:
            self._scored[key] = Corpus.of_config(source)
        return self._scored[key]


def as_scored(source: CorpusConfig, path: Path | None = None, *, reads_knowledge: bool = True) -> CorpusConfig:
    """Return the settings with which a corpus is read for scoring; see `RunCorpora.scored`."""
    changes: dict[str, object] = {"repair": Repair.CONLLEVAL, "path": path or source.path}
    for key, file in (("captioner", CAPTIONS), ("knowledge_model", KNOWLEDGE)):
        is_optional = path is not None or not reads_knowledge
        if is_optional and not (reads_knowledge and sidecar_path(path or source.path, file).is_file()):
            changes[key] = None
    return source.model_copy(update=changes)


def _check_sources(train: Sequence[Example], unlabelled: Sequence[Example]) -> None:
    """Raise `UsageError` if ``unlabelled`` uses a captioner or language model that ``train`` does not."""
    for key in ("captioner", "knowledge_model"):
        own, others = (set(_sources(examples, key)) for examples in (train, unlabelled))
        if len(own | others) > 1 and others - own:
            names = " and ".join(name or "(unnamed)" for name in sorted(own | others))
            raise UsageError(f"training_set.unlabelled mixes {names}; choose one with corpus.{key}")


def _sources(examples: Sequence[Example], key: str) -> Iterator[str]:
    """Yield the captioner of each caption, or the language model of each answer; empty if it is unknown."""
    for example in examples:
        if key == "knowledge_model":
            yield from (answer.model for answer in example.knowledge)
        elif example.caption:
            yield example.caption.captioner
