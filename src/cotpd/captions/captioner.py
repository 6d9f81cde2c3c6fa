"""What the library asks of a captioner: pictures in, a caption or the reason for none out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cotpd.captions.image_folder import Picture
from cotpd.core.records import Caption


@dataclass(frozen=True, slots=True)
class ImageRejection:
    """An image without a caption, and why: what is wrong with the image, or with what was said of it."""

    image_id: str
    reason: str
    captioner: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class CaptionerId:
    """The ``name`` under which captions are kept and chosen (``data.captioner``), and all that decides what is said.

    A change of the ``settings``, one line that holds the model, makes new captions in place of the old ones.
    """

    name: str
    settings: str


class Captioner(Protocol):
    """An image-to-text model."""

    @property
    def id(self) -> CaptionerId:
        """Who it is."""
        ...

    def captions(self, pictures: Iterable[Picture]) -> Iterator[Caption | ImageRejection]:
        """One outcome for each picture, in any order, holding only a few pictures at a time.

        None for a picture that could not be asked about: the next run tries it again.
        """
        ...
