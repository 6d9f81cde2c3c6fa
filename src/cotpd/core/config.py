"""The configuration of an experiment. These models are its only definition; they are read from TOML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import Field, field_validator, model_validator

from cotpd.core.config_upgrade import upgrade
from cotpd.core.labels import Repair
from cotpd.core.methods import TEACHER_METHODS, Method, preset
from cotpd.core.records import VariantKind
from cotpd.core.toml import Section, apply_changes, read_toml, validate

Part = Literal["caption", "noun", "sentence", "multimodality"]
"""A part of the knowledge-enhanced view: the caption, or the knowledge of one grain."""

ViewName = Literal["text", "knowledge", "prompt"]

Task = Literal["entities", "relations", "sentiment"]
"""Named entity recognition, relation extraction, or the sentiment toward a target."""

REST = "rest"
"""In ``training_set.unlabelled``: the training examples outside of ``training_set.share``."""


class CorpusConfig(Section):
    """How a corpus is read."""

    path: Path
    """A corpus directory or file, relative to the working directory; `sample` is the embedded corpus."""
    captioner: str | None = None
    """Use the captions of this captioner. Default: the first one in captions.jsonl."""
    knowledge_model: str | None = None
    """Use the knowledge of this language model. Default: the first one in knowledge.jsonl."""
    label_map: dict[str, str] = Field(default={})
    """Entity types to rename, for example OTHER to MISC."""
    repair: Repair = Repair.CONLLEVAL
    """What to do with tags that break their scheme: `conlleval`, `drop` or `strict`."""
    normalise_words: bool = False
    """Write `# tag` and `@ name` as one word each, as Twitter-2015 does. Use it for runs across corpora."""

    @property
    def score_mode(self) -> Literal["conlleval", "strict"]:
        """The mode of a score against this gold: entities with broken tags count unless ``repair`` drops them."""
        return "conlleval" if self.repair is Repair.CONLLEVAL else "strict"


class AugmentationConfig(Section):
    """Which variants made by `cotpd augment` are added to the training examples."""

    kinds: tuple[VariantKind, ...] = ()
    """Any of `style`, `entity`, `image`. Default: none."""
    share: float = Field(default=1.0, ge=0.0)
    """The maximum number of variants for each training example; 0.5 adds at most half as many."""


class TrainingSetConfig(Section):
    """Which examples a run learns from."""

    share: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of the training examples, chosen by the seed. Smaller shares are subsets of larger ones."""
    fold: str | None = Field(default=None, pattern=r"^\d+/\d+$")
    """A fold of the training examples to hold out, as `K/N`. N such runs give cross-fitted targets."""
    unlabelled: tuple[str, ...] = ()
    """Corpora whose training examples (and examples without a split) are used without their labels.

    `rest` means the training examples outside of `share`. The corpora need the captions and the knowledge that the
    teacher reads, by the same captioner and language model. Near-duplicates of dev and test examples are removed.
    """
    reversed_pairs: dict[str, str] = Field(default={})
    """For corpora that state one direction of a pair: each label with the label of its reverse.

    Map a relation that holds in one direction only to `None`, and a symmetric relation to itself.
    """
    augmentation: AugmentationConfig = AugmentationConfig()
    """Variants from augmented.jsonl to train on."""
    corruption: Literal["none", "shuffled", "truncated", "noised", "missing"] = "none"
    """A control: corrupt the captions and the knowledge of the training examples, never those of dev and test.

    `shuffled`: use those of another example; `missing`: remove them; `truncated`: cut the end of each text; `noised`:
    replace words with words from other examples' knowledge.
    """
    corruption_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of examples that are shuffled or missing, or the share of words that are cut or replaced."""

    @property
    def unlabelled_paths(self) -> tuple[Path, ...]:
        """The corpora among ``unlabelled``."""
        return tuple(Path(name) for name in self.unlabelled if name != REST)

    @property
    def uses_rest(self) -> bool:
        """Whether the training examples outside of ``share`` are used without their labels."""
        return REST in self.unlabelled

    @field_validator("fold")
    @classmethod
    def _check_fold(cls, fold: str | None) -> str | None:
        number, num_folds = map(int, fold.split("/")) if fold else (1, 2)
        if not 1 <= number <= num_folds or num_folds < 2:
            raise ValueError("expected K/N with 1 <= K <= N and N > 1")
        return fold


class StudentConfig(Section):
    """The encoder."""

    encoder: str = "bert-base-uncased"
    """A directory, a Hugging Face name, or `minilm` (the weights of the extra `offline`).

    Write `hf:owner/name` if a local directory is called `owner`. An encoder with code of its own is refused.
    """
    revision: str | None = None
    """The revision of a Hugging Face name. Pin it to reproduce a run."""
    layers: int | None = Field(default=None, ge=1, le=1_000)
    """Keep only the first layers of the encoder, for a smaller and faster student. Default: all."""
    freeze_embeddings: bool = False
    """Do not train the word embeddings. This saves memory and time."""


class PromptConfig(Section):
    """The conditional prompt generator."""

    length: int = Field(default=2, ge=1, le=1_000)
    """The number of soft prompt vectors."""
    layers: int = Field(default=1, ge=1, le=1_000)
    """The number of layers of the transformer decoder."""
    source: Literal["embeddings", "states", "nothing"] = "embeddings"
    """What the learned queries attend to.

    `embeddings`: word embeddings (one encoder pass); `states`: encoder states (two passes); `nothing`: a constant, as
    a control.
    """


class ViewConfig(Section):
    """What the encoder reads."""

    parts: tuple[Part, ...] = ("caption", "noun", "sentence", "multimodality")
    """The parts of the knowledge-enhanced view, in their order after the text."""
    knowledge_pieces: int = Field(default=96, ge=0, le=1_000_000)
    """The maximum number of knowledge pieces. Longer knowledge is cut and counted; the text is never cut."""
    part_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The probability that training omits a part of an example's knowledge-enhanced view."""


class ObjectiveConfig(Section):
    """The losses. `method` sets these keys; set one here to differ from the preset."""

    student: ViewName = "prompt"
    """The deployed view: the one that is trained for inference."""
    target: Literal["text", "knowledge", "recorded", "none"] = "knowledge"
    """The view whose distribution the student's view is aligned with.

    `recorded`: read it from finished runs; `none`: train one view only.
    """
    target_runs: tuple[Path, ...] = ()
    """Finished runs that provide the recorded targets. Default for a method with a teacher: train one.

    A run with `training_set.fold` teaches only the examples of that fold. The targets of several runs are averaged.
    """
    task_loss: Literal["both", "target", "student"] = "both"
    """The views that learn from the gold labels."""
    alignment: Literal["marginals", "emissions", "paths", "none"] = "marginals"
    """What is aligned: the CRF's marginals, the softmax of its emissions, or its distribution over tag sequences."""
    aligned: Literal["all", "unlabelled"] = "all"
    """The examples that are aligned: all, or only those without labels."""
    weight: float = Field(default=1.0, ge=0.0)
    """The weight of the alignment loss."""
    warmup_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of all updates over which the alignment weight grows from zero."""
    temperature: float = Field(default=1.0, gt=0.0)
    """The temperature T of both distributions. The loss is multiplied by T squared."""
    detach: bool = True
    """Whether the alignment loss leaves the target distribution fixed."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.target_runs and self.target != "recorded":
            raise ValueError("objective.target_runs needs objective.target = 'recorded'")
        if self.target == "none" and (self.task_loss != "student" or self.alignment != "none"):
            raise ValueError("objective.target = 'none' needs task_loss = 'student' and alignment = 'none'")
        if self.alignment == "paths" and (self.temperature != 1.0 or self.target == "recorded"):
            raise ValueError("objective.alignment = 'paths' has no temperature and no recorded target")
        if self.alignment == "emissions" and self.target == "recorded":
            raise ValueError("recorded targets are marginals: set objective.alignment = 'marginals'")
        if self.target == "recorded" and self.task_loss != "student":
            raise ValueError("recorded targets are fixed: set objective.task_loss = 'student'")
        return self


class OptimisationConfig(Section):
    """How the weights are trained."""

    epochs: int = Field(default=6, ge=1, le=1_000_000)
    """The maximum number of epochs."""
    batch_size: int = Field(default=16, ge=1, le=1_000_000)
    """Examples in one update, over all devices."""
    learning_rate: float = Field(default=2e-4, gt=0.0)
    """The peak learning rate of the encoder."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of the encoder; `auto` uses bfloat16 where the device supports it. The CRF uses float64."""
    patience: int = Field(default=3, ge=1)
    """Stop after this many epochs without a better dev score. Epochs before the first score above 0 do not count."""


class ExperimentConfig(Section):
    """The configuration of one run."""

    task: Task = "entities"
    """What is learned."""
    method: Method = "cotpd"
    """How it is learned: a preset of `[objective]`."""
    corpus: CorpusConfig | None = None
    """How the corpus is read. Leave it out for a corpus that is made in memory."""
    training_set: TrainingSetConfig = TrainingSetConfig()
    student: StudentConfig = StudentConfig()
    prompt: PromptConfig = PromptConfig()
    views: ViewConfig = ViewConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimisation: OptimisationConfig = OptimisationConfig()
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seeds the new weights, the order of the examples and dropout."""
    format_version: Literal[2] = 2
    """The version of this format. Files of version 1 are upgraded."""

    @model_validator(mode="before")
    @classmethod
    def _apply_method(cls, values: Any) -> Any:
        """Fill the keys of ``[objective]`` that are not given from the preset of the method."""
        if not isinstance(values, dict):
            return values
        objective, training_set = values.get("objective", {}), values.get("training_set", {})
        if not (isinstance(objective, dict) and isinstance(training_set, dict)):
            return values
        chosen = preset(str(values.get("method", "cotpd")), has_unlabelled=bool(training_set.get("unlabelled")))
        return {**values, "objective": {**chosen, **objective}}

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        has_unlabelled = bool(self.training_set.unlabelled)
        if has_unlabelled and self.objective.alignment == "none":
            raise ValueError("examples without labels are learned by alignment: choose a method with a target")
        if self.objective.aligned == "unlabelled" and not has_unlabelled:
            raise ValueError("objective.aligned = 'unlabelled' needs training_set.unlabelled")
        if self.needs_teacher and self.method not in TEACHER_METHODS:
            raise ValueError("objective.target = 'recorded' needs target_runs, or method = 'two-stage'")
        return self

    @property
    def needs_teacher(self) -> bool:
        """Whether the run learns from a teacher that is not trained yet."""
        return self.objective.target == "recorded" and not self.objective.target_runs

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = ()) -> ExperimentConfig:
        """Read a TOML file and apply changes such as ``optimisation.epochs=3``.

        Raises:
            UsageError: If the file cannot be read, a key is unknown or a value is invalid.
        """
        values = read_toml(Path(path))
        apply_changes(values, changes)
        return cls.of(values, where=str(path))

    @classmethod
    def of(cls, values: dict[str, Any], *, where: str = "configuration") -> ExperimentConfig:
        """Validate plain values, also those of earlier versions.

        Raises:
            UsageError: If a key is unknown or a value is invalid.
        """
        return validate(cls, upgrade(values, where=where), where=where)

    @classmethod
    def of_run(cls, run: Path) -> ExperimentConfig:
        """Read the configuration that a run directory holds, also of a run that an earlier version made.

        Raises:
            UsageError: If the directory has no valid config.toml.
        """
        path = run / "config.toml"
        return validate(cls, upgrade(read_toml(path), where=str(path), is_finished=True), where=str(path))

    def trains_like(self, other: ExperimentConfig) -> bool:
        """Return True if both configurations train in the same way, whatever their methods are called."""
        return self.model_copy(update={"method": other.method}) == other

    def to_toml(self) -> str:
        """Return this configuration, with all defaults, as TOML that reads back the same."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
