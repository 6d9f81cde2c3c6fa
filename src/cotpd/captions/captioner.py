"""The protocol of a captioner: pictures in, a caption or the reason for its absence out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cotpd.captions.image_folder import Picture
from cotpd.core.records import Caption
from cotpd.llm.asking.session import AskingSession
from cotpd.llm.store.request_store import RequestStore


@dataclass(frozen=True, slots=True)
class ImageRejection:
    """An image without a caption: the image is unusable, or the answer about it is."""

    image_id: str
    reason: str
    captioner: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class CaptionerId:
    """The identity of a captioner.

    Attributes:
        name: The name under which captions are stored and chosen (``captioner`` in a configuration).
        settings: One line with the model and all settings that change captions. New settings replace old captions.
    """

    name: str
    settings: str


class Captioner(Protocol):
    """An image-to-text model."""

    @property
    def id(self) -> CaptionerId:
        """The identity of this captioner."""
        ...

    def find(self, image_id: str, sha256: str, store: RequestStore) -> Caption | ImageRejection | None:
        """Return what the store has about an image with this content; None if it has nothing."""
        ...

    def captions(self, pictures: Iterable[Picture], session: AskingSession) -> Iterator[Caption | ImageRejection]:
        """Yield one outcome for each picture, in any order, once it is in the store of the session.

        Only a few pictures may be in memory at a time. A picture that could not be described yields nothing and adds to
        the failures of the session, so that the next run tries it again.
        """
        ...
