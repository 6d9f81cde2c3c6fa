"""The design of a student: everything that decides what it computes, except weights and tokenizer."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from cotpd.core.config import PromptConfig, Task, ViewConfig
from cotpd.core.labels import LabelSet, Scheme
from cotpd.core.splitting import Rule
from cotpd.views.view import ViewKind

PromptSource = Literal["embeddings", "states", "nothing"]

_HEAD_SIZE = 64


class PromptDesign(NamedTuple):
    """The shape of the conditional prompt generator.

    Attributes:
        length: The number of soft prompt vectors.
        layers: The number of layers of the transformer decoder.
        heads: The number of attention heads of each layer.
        source: What the learned queries attend to: word embeddings, encoder states, or nothing (a control).
    """

    length: int = 2
    layers: int = 1
    heads: int = 6
    source: PromptSource = "embeddings"

    @classmethod
    def of(cls, config: PromptConfig, hidden_size: int) -> Self:
        """Return the design of a new generator for an encoder with this hidden size, with heads of about 64 units."""
        max_heads = max(1, hidden_size // _HEAD_SIZE)
        heads = next(heads for heads in range(max_heads, 0, -1) if hidden_size % heads == 0)
        return cls(config.length, config.layers, heads, config.source)


class Design(NamedTuple):
    """The design of a student; with the weights and the tokenizer it is the whole model.

    Attributes:
        task: What the student predicts.
        labels: The labels of its task, see `cotpd.core.tasks`: entity types, or relation labels.
        deployed_view: The view that is used unless another one is requested.
        prompt: The design of the prompt generator; None for a student without prompts.
        views: The settings of the knowledge-enhanced view.
        splitting: The rule by which running text is split into words.
        scheme: The tag scheme of entities.
        encoder: The name of the pretrained encoder.
    """

    task: Task
    labels: tuple[str, ...]
    deployed_view: ViewKind = ViewKind.TEXT
    prompt: PromptDesign | None = None
    views: ViewConfig = ViewConfig()
    splitting: Rule = Rule.FINE
    scheme: Scheme = "BIO"
    encoder: str = ""

    @property
    def label_set(self) -> LabelSet:
        """The tags of the labels in the tag scheme."""
        return LabelSet(self.labels, self.scheme)
