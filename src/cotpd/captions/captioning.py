"""Captioning: every image described once, whatever stops it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cotpd.captions.caption_file import FOREIGN, CaptionFile, Outcome
from cotpd.captions.captioner import Captioner, CaptionerId, ImageRejection
from cotpd.captions.image_folder import ImageFile, ImageFolder, Picture, UnusableImageError, open_picture
from cotpd.core.files import hash_text
from cotpd.core.records import Caption

Known = Mapping[str, Mapping[str, Outcome]]
"""What a file holds of each image, by key."""


@dataclass(slots=True)
class CaptioningReport:
    """What became of the images: captions, rejections with reasons, and how many pictures were looked at now.

    The other outcomes were found in the file, or are those of an image with the same bytes.
    """

    captions: list[Caption] = field(default_factory=list)
    rejections: list[ImageRejection] = field(default_factory=list)
    num_images: int = 0
    num_computed: int = 0
    num_outdated: int = 0

    @property
    def num_done(self) -> int:
        """The images that have an outcome."""
        return len(self.captions) + len(self.rejections)

    @property
    def rejected_share(self) -> float:
        """Images without a caption over images, 0 without images."""
        return (self.num_images - len(self.captions)) / max(1, self.num_images)

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason of a rejection occurs, the most frequent first."""
        return dict(Counter(rejection.reason for rejection in self.rejections).most_common())


def _silent(_: CaptioningReport) -> None:
    """Watch nothing."""


def caption(
    image_ids: Iterable[str],
    folder: ImageFolder,
    captioner: Captioner,
    *,
    out: Path | None = None,
    on_progress: Callable[[CaptioningReport], object] = _silent,
    ask_again: bool = False,
) -> CaptioningReport:
    """Describe every image, each once however often it is named.

    With ``out`` each caption is on the disk as it comes, and what the file holds is not computed again: rows by this
    captioner with the same settings and the same bytes of the image, and all rows that somebody else wrote. Those of
    a changed image or setting are replaced at the end where there is a new outcome; the caption of an image that cannot
    be read now stays. Rows of other captioners stay. To ``ask_again``, what this captioner rejected is forgotten first.
    Raises `DataError` for a file without captions.
    """
    file = CaptionFile(out) if out else None
    if file:
        file.mend()
    if file and ask_again:
        file.forget_rejections(captioner.id.name)
    run = _Run(folder, captioner.id, file.read(captioner.id.name) if file else {}, file)
    run.caption(dict.fromkeys(image_ids), captioner, on_progress)
    return run.report


def planned(
    image_ids: Iterable[str], folder: ImageFolder, captioner: CaptionerId, out: Path, *, ask_again: bool = False
) -> tuple[CaptioningReport, list[str]]:
    """What is done already, and the SHA-256 of each content that `caption` would describe.

    Nothing is computed or written; images are found and hashed, not decoded.
    """
    run = _Run(folder, captioner, CaptionFile(out).read(captioner.name, also_rejected=not ask_again))
    ids = dict.fromkeys(image_ids)
    run.report.num_images = len(ids)
    left = [file.sha256 for image_id in ids if (file := run.file_to_describe(image_id))]
    return run.report, list(dict.fromkeys(left))


class _Run:
    """One captioning: what is known, what is on its way, what has been settled."""

    def __init__(
        self, folder: ImageFolder, captioner: CaptionerId, known: Known, file: CaptionFile | None = None
    ) -> None:
        self.report = CaptioningReport()
        self._folder, self._id, self._known, self._file = folder, captioner, known, file
        self._said = {key: outcome for outcomes in known.values() for key, outcome in outcomes.items()}
        self._keys: dict[str, str] = {}
        self._settled: dict[str, str] = {}
        self._unread: set[str] = set()
        self._waiting: dict[str, list[str]] = {}

    def caption(
        self, image_ids: Collection[str], captioner: Captioner, on_progress: Callable[[CaptioningReport], object]
    ) -> None:
        """Settle every image, then drop what is outdated."""
        self.report.num_images = len(image_ids)
        for outcome in captioner.captions(self._pictures(image_ids)):
            self.report.num_computed += 1
            key = self._keys[outcome.image_id]
            for image_id in self._waiting.pop(key):
                self._settle(image_id, key, outcome)
            on_progress(self.report)
        on_progress(self.report)
        if self._file:
            self.report.num_outdated = self._file.drop_outdated(self._id.name, self._settled, unread=self._unread)

    def file_to_describe(self, image_id: str) -> ImageFile | None:
        """The file of an image that nothing is known of; every other image is settled."""
        if foreign := self._known.get(image_id, {}).get(FOREIGN):
            self._settle(image_id, FOREIGN, foreign)
            return None
        try:
            file = self._folder.read(image_id)
        except UnusableImageError as reason:
            self._reject(image_id, str(reason))
            return None
        key = hash_text(self._id.settings, file.sha256)[:16]
        if said := self._said.get(key):
            self._settle(image_id, key, said)
            return None
        self._keys[image_id] = key
        return file

    def _pictures(self, image_ids: Iterable[str]) -> Iterator[Picture]:
        """The pictures to describe, each content once."""
        for image_id in image_ids:
            if file := self.file_to_describe(image_id):
                key = self._keys[image_id]
                try:
                    picture = None if key in self._waiting else open_picture(file)
                except UnusableImageError as reason:
                    self._reject(image_id, str(reason))
                    continue
                self._waiting.setdefault(key, []).append(image_id)
                if picture:
                    yield picture

    def _reject(self, image_id: str, reason: str) -> None:
        """Settle an image that cannot be used; it is looked at again in every run, but told once.

        It may be the folder that is wrong or not mounted: a caption that is there stays.
        """
        self._unread.add(image_id)
        key = hash_text(self._id.settings, reason)[:16]
        self._settle(image_id, key, ImageRejection(image_id, reason, self._id.name))

    def _settle(self, image_id: str, key: str, outcome: Outcome) -> None:
        outcome = replace(outcome, image_id=image_id)
        self._settled[image_id], self._said[key] = key, outcome
        if isinstance(outcome, Caption):
            self.report.captions.append(outcome)
        else:
            self.report.rejections.append(outcome)
        if self._file and key not in self._known.get(image_id, {}):
            self._file.add(key, outcome)
