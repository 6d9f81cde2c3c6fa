"""Rows of sidecar files (captions.jsonl, knowledge.jsonl, rejections): one schema for reading and writing.

Rows that ``cotpd caption`` and ``cotpd elicit`` write carry the key of their question. Rows without a key come from
other sources, and exports never change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cotpd.core.errors import DataError
from cotpd.core.files import read_jsonl
from cotpd.core.records import Caption, Grain, Knowledge, Rejection

RowId = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""An id in JSON: a string, or an integer that stands for it."""
RowText = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""A text in JSON: a string, or null for the empty string."""
Subject = tuple[str, ...]
"""What a row is about, for example (example id, grain, model). A new row replaces older rows with the same subject."""


_CORPUS_KEYS = frozenset(("words", "entities", "relations", "sentiments", "split", "origin", "image"))


class SidecarRow(BaseModel):
    """A row of a sidecar file.

    Attributes:
        key_field: The field with the key of the question.
        subject_fields: The fields that make the `Subject`.
    """

    model_config = ConfigDict(strict=True, extra="ignore")
    key_field: ClassVar[str] = "key"
    subject_fields: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def is_own(cls, values: Mapping[str, Any]) -> bool:
        """Return True if a JSON object may be a row of this kind, and not of another kind or of a corpus."""
        has_subject = bool(values.keys() & {"image_id", "example_id"})
        return has_subject and "text" in values and not values.keys() & {*_CORPUS_KEYS, "grain"}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of this row, without fields that are None."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def key_of(cls, values: Mapping[str, Any]) -> str:
        """Return the key in a JSON object that may be invalid; empty if there is none."""
        key = values.get(cls.key_field)
        return key if isinstance(key, str) else ""

    @classmethod
    def subject_of(cls, values: Mapping[str, Any]) -> Subject:
        """Return the subject of a JSON object that may be invalid."""
        return tuple(str(values.get(field)) for field in cls.subject_fields)

    @classmethod
    def read(cls, path: Path, *, where: Callable[[Mapping[str, Any]], object]) -> Iterator[Self]:
        """Yield the rows of a file that ``where`` selects; nothing if there is no file.

        Raises:
            DataError: With file:line, for a line that is not a JSON object, or a selected row that does not fit.
        """
        for place, values in read_jsonl(path) if path.exists() else ():
            if where(values):
                try:
                    yield cls.model_validate(values)
                except ValidationError as error:
                    raise DataError(_explain(error, cls.__name__), where=place) from error


class CaptionRow(SidecarRow):
    """A caption of an image or of one example."""

    subject_fields = ("image_id", "captioner")

    image_id: RowId | None = None
    example_id: RowId | None = None
    captioner: str = ""
    key: str = ""
    text: RowText

    @property
    def caption(self) -> Caption:
        """The caption as a record."""
        return Caption(self.image_id or "", self.text, self.captioner)


class ImageRejectionRow(SidecarRow):
    """An image without a usable caption."""

    subject_fields = ("image_id", "captioner")

    image_id: RowId
    captioner: str = ""
    key: str = ""
    reason: str = ""
    answer: str = ""


class KnowledgeRow(SidecarRow):
    """Knowledge about one example or about all examples with an image."""

    key_field = "question"
    subject_fields = ("example_id", "grain", "model")

    image_id: RowId | None = None
    example_id: RowId | None = None
    grain: Grain = Field(strict=False)
    model: str = ""
    template: str = ""
    question: str = ""
    text: RowText

    @classmethod
    def is_own(cls, values: Mapping[str, Any]) -> bool:
        """Return True if a JSON object may be knowledge."""
        return not values.keys() & _CORPUS_KEYS and values.keys() >= {"text", "grain"}

    @classmethod
    def of(cls, knowledge: Knowledge, *, key: str) -> Self:
        """Return the row of an answer to the question with this key."""
        return cls(
            image_id=knowledge.image_id,
            example_id=knowledge.example_id,
            grain=knowledge.grain,
            model=knowledge.model,
            template=knowledge.template,
            question=key,
            text=knowledge.text,
        )

    @property
    def knowledge(self) -> Knowledge:
        """The knowledge as a record. Raises ValueError if the row has neither an example id nor an image id."""
        return Knowledge(self.grain, self.text, self.model, self.template, self.example_id, self.image_id)


class RejectionRow(SidecarRow):
    """An answer about one example that could not be used. All templates share one file of rejections."""

    key_field = "question"
    subject_fields = ("example_id", "grain", "model", "template")

    example_id: RowId
    grain: Grain = Field(strict=False)
    model: str = ""
    template: str = ""
    question: str = ""
    reason: str = ""
    answer: str = ""

    @classmethod
    def of(cls, rejection: Rejection, *, key: str) -> Self:
        """Return the row of a rejected answer to the question with this key."""
        return cls(
            example_id=rejection.example_id,
            grain=rejection.grain,
            model=rejection.model,
            template=rejection.template,
            question=key,
            reason=rejection.reason,
            answer=rejection.answer,
        )

    @property
    def rejection(self) -> Rejection:
        """The rejection as a record."""
        return Rejection(self.example_id, self.grain, self.reason, self.answer, self.model, self.template)


class VariantRejectionRow(SidecarRow):
    """A variant of a training example that was not kept."""

    subject_fields = ("parent", "kind")

    id: str
    parent: str
    kind: str
    reason: str
    answer: str = ""


def _explain(error: ValidationError, row: str) -> str:
    first = error.errors()[0]
    return f"invalid {row} ({'.'.join(map(str, first['loc']))}: {first['msg']}); fix or remove the line"
