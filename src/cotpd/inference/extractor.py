"""The finished product: text in, entities out. It reads text alone, so nothing else can be needed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, overload

import torch

from cotpd.core.errors import CheckpointError, MissingExtraError
from cotpd.core.records import Entity, Example, Prediction
from cotpd.core.splitting import Word, split_words
from cotpd.inference.decoding import Precision, decode
from cotpd.student import checkpoint
from cotpd.student.hub import fetch
from cotpd.student.student import Student
from cotpd.views.view import ViewKind


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity in a text, with the fields of transformers' token-classification pipeline.

    ``word == text[start:end]``, counted in code points; ``score`` is the probability of the entity under the CRF.
    """

    entity_group: str
    score: float
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Extraction:
    """A text and its entities, in order."""

    text: str
    entities: tuple[Mention, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values: ``{"text", "entities": [{entity_group, score, word, start, end}]}``."""
        return {"text": self.text, "entities": [asdict(mention) for mention in self.entities]}


class Extractor:
    """Extracts entities from text with a trained student, by the view that was trained to stand alone.

    extractor = Extractor.from_pretrained("runs/twitter2017")
    extractor("Messi lifts the cup in Lusail").entities
    """

    def __init__(self, student: Student, *, batch_size: int = 32, precision: Precision = "float32") -> None:
        self.student = student
        self.batch_size = batch_size
        self.precision = precision

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path,
        *,
        device: str | None = None,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a model directory, a finished run's directory, or a model of the Hugging Face hub.

        ``device`` is a torch device, by default the GPU if there is one; the other options concern the hub alone. A
        directory is read without opening a socket. Raises `CheckpointError` where no intact model is found and
        `MissingExtraError` where the hub or the device cannot be had.
        """
        directory = _local(str(path_or_name))
        if directory is None:
            directory = fetch(
                str(path_or_name),
                _HUB_FILES,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
            )
        return cls(_on_device(checkpoint.load(directory), device))

    @overload
    def __call__(self, texts: str) -> Extraction: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, texts: Sequence[str]) -> list[Extraction]: ...

    def __call__(self, texts: str | Sequence[str]) -> Extraction | list[Extraction]:
        """The entities of a text, or of each of several texts. Raises TypeError for anything but text."""
        if isinstance(texts, str):
            return next(self.stream([texts]))
        if not isinstance(texts, Sequence) or isinstance(texts, bytes):
            raise TypeError(f"text is extracted from: a str or a sequence of str, not {type(texts).__name__}")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Extraction]:
        """The entities of each text as they come, in order; as many are held as `decode` pools."""
        waiting: deque[tuple[str, list[Word]]] = deque()

        def examples() -> Iterator[Example]:
            for number, text in enumerate(texts, 1):
                words = split_words(_require_text(text), self.student.design.splitting)
                waiting.append((text, words))
                yield Example(f"text {number}", tuple(word.text for word in words))

        for prediction in self.predict(examples()):
            text, words = waiting.popleft()
            yield Extraction(text, tuple(_mention(text, words, entity) for entity in prediction.entities))

    def predict(self, examples: Iterable[Example], *, kind: ViewKind | None = None) -> Iterator[Prediction]:
        """Predict examples, their words as they are, from the view that ships or from another ``kind``."""
        return decode(
            self.student,
            examples,
            kind=kind or self.student.design.ships,
            batch_size=self.batch_size,
            precision=self.precision,
        )

    def save_pretrained(self, path: str | Path) -> None:
        """Write a model directory that `from_pretrained` reads. Raises `UsageError` if it exists."""
        checkpoint.save(self.student, Path(path))


_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_HUB_FILES = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "manifest.json"]


def _require_text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text is extracted from: a str was expected, not {type(text).__name__}")
    return text


def _mention(text: str, words: Sequence[Word], entity: Entity) -> Mention:
    start, end = words[entity.span.start].start, words[entity.span.end - 1].end
    return Mention(entity.label, entity.score or 0.0, text[start:end], start, end)


def _local(name: str) -> Path | None:
    """The model directory at a path: itself, or a run's ``model``. None for what can only be a hub name."""
    path = Path(name)
    for directory in (path, path / "model"):
        if (directory / "config.json").is_file():
            return directory
    if (path / "config.toml").is_file():
        raise CheckpointError(f"{path}: this run is not finished; go on with `cotpd distill … --resume`")
    if path.exists() or not _HUB_NAME.fullmatch(name):
        raise CheckpointError(f"{path}: no model here; give a run, a model directory or a hub name like owner/model")
    return None


def _on_device(student: Student, device: str | None) -> Student:
    try:
        return student.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise MissingExtraError(f"the device {device!r} cannot be used: {reason}") from error
