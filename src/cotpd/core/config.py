"""The configuration of an experiment: these models are its only definition, read from TOML."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cotpd.core.errors import UsageError
from cotpd.core.labels import Repair, Scheme
from cotpd.core.records import VariantKind

Part = Literal["caption", "noun", "sentence", "multimodality"]
"""A part of the knowledge-enhanced view: the caption, or the knowledge of one grain."""

ViewName = Literal["text", "knowledge", "prompt"]

Task = Literal["entities", "relations"]
"""Multimodal named entity recognition, or multimodal relation extraction."""


class Section(BaseModel):
    """A table of a TOML file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class AugmentationConfig(Section):
    """Which of the posts that `cotpd augment` made are trained on, beside those that people wrote."""

    kinds: tuple[VariantKind, ...] = ()
    """Any of `style`, `entity`, `image`; none by default."""
    share: float = Field(default=1.0, ge=0.0)
    """At most so many for each training post: 0.5 adds half as many."""
    cap: int | None = Field(default=None, ge=1)
    """At most so many of each kind."""


class DataConfig(Section):
    """Which posts, captions and knowledge are read."""

    path: Path
    """A corpus directory (train, dev and test files) relative to the working directory."""
    captioner: str | None = None
    """Use the captions of this captioner; by default the first one found."""
    knowledge_model: str | None = None
    """Use the knowledge of this language model; by default the first one found."""
    label_map: dict[str, str] = {}
    """Entity types to rename, for instance OTHER to MISC."""
    repair: Repair = Repair.CONLLEVAL
    """What to do with tags that break the scheme."""
    normalise_words: bool = False
    """Write `# tag` and `@ name` as one word each, as Twitter-2015 does: for runs across corpora."""
    train_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of the training posts to train on, drawn by the seed; smaller shares nest in larger ones."""
    left_out: str | None = Field(default=None, pattern=r"^\d+/\d+$")
    """A fold of the training posts to leave out, as `K/N`: N such runs give cross-fitted targets."""
    unlabelled: tuple[Path, ...] = ()
    """Other corpora whose training posts (and posts without a split) are taught by the target, without their labels.

    They need the captions and knowledge that the target reads, by the same captioner and model. Near-duplicates of dev
    and test posts are left out.
    """
    rest_unlabelled: bool = False
    """Whether the training posts outside `train_share` are taught without their labels."""
    reversed_pairs: dict[str, str] = {}
    """For corpora that state one direction of a pair: the label of its reverse by its own, learnt, too.

    A relation that holds one way has `None`, a symmetric one itself; see corpora.md.
    """
    augmentation: AugmentationConfig = AugmentationConfig()
    """Posts of augmented.jsonl beside the corpus to train on."""
    corruption: Literal["none", "shuffled", "truncated", "noised", "missing"] = "none"
    """A control: damage the captions and knowledge of the training posts, never of dev and test.

    `shuffled`: another post's; `missing`: none at all; `truncated`: the end of each text cut; `noised`: words replaced
    by words of other posts' knowledge.
    """
    corruption_share: float = Field(default=1.0, gt=0.0, le=1.0)
    """The share of the posts that are shuffled or missing, or of the words of each text that are cut or noised."""

    @field_validator("left_out")
    @classmethod
    def _is_fold(cls, fold: str | None) -> str | None:
        number, num_folds = map(int, fold.split("/")) if fold else (1, 2)
        if not 1 <= number <= num_folds or num_folds < 2:
            raise ValueError("K/N with 1 <= K <= N and N > 1 was expected")
        return fold


class StudentConfig(Section):
    """The network."""

    encoder: str = "bert-base-uncased"
    """A Hugging Face name, a directory, or `minilm` (the weights of the extra `offline`)."""
    revision: str | None = None
    """The revision of a Hugging Face name; pin it to reproduce a run."""
    layers: int | None = Field(default=None, ge=1)
    """Keep the encoder's first layers alone, so many: a smaller and faster student of the same weights."""
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Dropout before the head."""
    scheme: Scheme = "BIO"
    """The tag scheme of the head."""
    freeze_embeddings: bool = False
    """Keep the word embeddings as they were pretrained: less memory, and a cheaper step for small encoders."""


class PromptConfig(Section):
    """The conditional prompt generator."""

    length: int = Field(default=2, ge=1)
    """Soft prompt vectors for each post."""
    layers: int = Field(default=1, ge=1)
    """Layers of the transformer decoder."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of the decoder; a divisor of the encoder's hidden size."""
    source: Literal["embeddings", "states", "nothing"] = "embeddings"
    """Where the learned queries look: word embeddings (one encoder pass), encoder states (two), nothing (a control)."""


class ViewConfig(Section):
    """What the encoder reads."""

    parts: tuple[Part, ...] = ("caption", "noun", "sentence", "multimodality")
    """The parts of the knowledge-enhanced view, in their order behind the post."""
    knowledge_pieces: int = Field(default=96, ge=0)
    """At most so many pieces of knowledge; the rest is cut and counted, the post never."""
    part_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """In training, the probability that a part is left out of a post's knowledge-enhanced view."""


class ObjectiveConfig(Section):
    """The losses. `student` and `target` name views; the student's view is the one that ships."""

    student: ViewName = "prompt"
    """The view that is trained to stand alone."""
    target: Literal["text", "knowledge", "recorded", "none"] = "knowledge"
    """The view whose distribution is the target; `recorded` reads it from `target_runs`; `none`: one view alone."""
    target_runs: tuple[Path, ...] = ()
    """Finished runs whose knowledge-enhanced view gives the recorded targets (two-stage distillation).

    A run with `data.left_out` teaches the posts of that fold alone; what several runs teach is averaged.
    """
    task_loss: Literal["both", "target", "student"] = "both"
    """The views that learn from the gold labels."""
    alignment: Literal["marginals", "emissions", "paths", "none"] = "marginals"
    """What is aligned: the CRF's posterior marginals of each word, the softmax of its emissions, or whole paths."""
    aligned: Literal["all", "unlabelled"] = "all"
    """Which posts are aligned: all, or those alone whose labels nobody gave (`data.unlabelled`)."""
    weight: float = Field(default=1.0, ge=0.0)
    """Weight of the alignment loss."""
    warmup_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of all steps over which the alignment weight grows from zero."""
    temperature: float = Field(default=1.0, gt=0.0)
    """Temperature T of both distributions; the loss is scaled by T squared."""
    detach: bool = True
    """Whether the target distribution is held fixed in the alignment loss."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.target == "recorded") != bool(self.target_runs):
            raise ValueError("objective.target = 'recorded' and objective.target_runs go together")
        if self.target == "none" and (self.task_loss != "student" or self.alignment != "none"):
            raise ValueError("with objective.target = 'none', set task_loss = 'student' and alignment = 'none'")
        if self.alignment == "paths" and (self.temperature != 1.0 or self.target == "recorded"):
            raise ValueError("objective.alignment = 'paths' has no temperature and needs the target's emissions")
        if self.alignment == "emissions" and self.target == "recorded":
            raise ValueError("recorded targets are marginals: set objective.alignment = 'marginals'")
        if self.target == "recorded" and self.task_loss != "student":
            raise ValueError("recorded targets learn nothing: set objective.task_loss = 'student'")
        return self


class OptimisationConfig(Section):
    """How the weights are found."""

    epochs: int = Field(default=6, ge=1)
    batch_size: int = Field(default=16, ge=1)
    """Posts in one update, over all devices."""
    learning_rate: float = Field(default=2e-4, gt=0.0)
    """Of the encoder."""
    head_learning_rate: float = Field(default=1e-3, gt=0.0)
    """Of the head and the CRF."""
    generator_learning_rate: float = Field(default=3e-4, gt=0.0)
    """Of the prompt generator."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """The share of all updates over which the learning rates grow; then they fall linearly to zero."""
    clip: float = Field(default=1.0, gt=0.0)
    """The largest norm of the gradient."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """bfloat16 autocast; auto takes it where the device has it. The CRF counts in float64 all the same."""
    patience: int = Field(default=3, ge=1)
    """Stop after so many epochs without a better dev F1; those before the first F1 above 0 do not count."""
    checkpoint_steps: int = Field(default=200, ge=1)
    """Save a checkpoint to resume from after so many updates, and after each epoch."""


class ExperimentConfig(Section):
    """One experiment, whole."""

    data: DataConfig
    task: Task = "entities"
    """What is learnt."""
    student: StudentConfig = StudentConfig()
    prompt: PromptConfig = PromptConfig()
    views: ViewConfig = ViewConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimisation: OptimisationConfig = OptimisationConfig()
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seeds the initial head and generator, the order of the posts and every dropout."""
    format_version: Literal[1] = 1
    """The version of this format."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        has_unlabelled = bool(self.data.unlabelled) or self.data.rest_unlabelled
        if has_unlabelled and self.objective.alignment == "none":
            raise ValueError("posts without labels are taught by alignment alone: set objective.target and alignment")
        if self.objective.aligned == "unlabelled" and not has_unlabelled:
            raise ValueError("objective.aligned = 'unlabelled' needs posts without labels: set data.unlabelled")
        return self

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = ()) -> ExperimentConfig:
        """Read a TOML file and apply changes such as ``optimisation.epochs=3``.

        Raises `UsageError` for a file that cannot be read, an unknown key (with a suggestion) or a wrong value.
        """
        values = read_toml(Path(path))
        apply_changes(values, changes)
        return cls.of(values, where=str(path))

    @classmethod
    def of(cls, values: dict[str, Any], *, where: str = "configuration") -> ExperimentConfig:
        """Check plain values. Raises `UsageError` naming each wrong key."""
        return checked(cls, values, where=where)

    def to_toml(self) -> str:
        """This configuration, resolved, as TOML that reads back the same."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


LABEL_TABLES = frozenset({"label_map", "reversed_pairs"})
"""Settings that are tables by label: a dot in their keys is part of a label."""

_Table = TypeVar("_Table", bound=Section)


def read_toml(path: Path) -> dict[str, Any]:
    """The plain values of a TOML file. Raises `UsageError` for a file that cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; configs/ holds ready ones") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def checked(table: type[_Table], values: dict[str, Any], *, where: str) -> _Table:
    """Plain values as a table. Raises `UsageError` naming each wrong key, an unknown one with a suggestion."""
    try:
        return table.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{where}: " + "; ".join(_explain(detail, table) for detail in error.errors())) from error


def apply_changes(values: dict[str, Any], changes: Sequence[str]) -> None:
    """Apply changes such as ``optimisation.epochs=3`` to plain values. Raises `UsageError` for one of another form."""
    for change in changes:
        _apply(values, change)


def _apply(values: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not key:
        raise UsageError(f"--set {change}: write section.key=value")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UsageError(f"--set {change}: {section!r} is a value, not a section")
    values[key] = _value(text.strip())


def _value(text: str) -> Any:
    """TOML or JSON where it parses as such, else the plain text."""
    for parse in (json.loads, lambda value: tomllib.loads(f"v = {value}")["v"]):
        try:
            return parse(text)
        except (ValueError, RecursionError):
            continue
    return text


def _explain(detail: Any, table: type[Section]) -> str:
    place = [str(part) for part in detail["loc"]]
    if place == ["format_version"]:
        return f"format_version is {detail['input']!r}, and this version of cotpd reads 1; upgrade cotpd"
    if detail["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {detail['msg']}".removeprefix(": ")
    close = difflib.get_close_matches(place[-1], _keys_at(table, place[:-1]), n=1)
    return f"unknown key {'.'.join(place)}" + (f"; did you mean {close[0]}?" if close else "")


def _keys_at(table: Any, place: Sequence[str]) -> list[str]:
    """The keys of the table at a place; names in between are those of the entries of a dict or a tuple."""
    for part in place:
        if fields := getattr(table, "model_fields", None):
            table = fields[part].annotation
        else:
            table = next((kind for kind in get_args(table)[::-1] if kind is not Ellipsis), table)
    return list(getattr(table, "model_fields", ()))
