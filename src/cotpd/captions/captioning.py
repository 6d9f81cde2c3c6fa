"""Captioning: describe every image once, even if runs are interrupted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cotpd.captions.captioner import Captioner, ImageRejection
from cotpd.captions.image_folder import ImageFile, ImageFolder, Picture, UnusableImageError, open_picture
from cotpd.core.files import hash_text
from cotpd.core.records import Caption
from cotpd.core.sidecars.export import export_captions, rejections_path, require_own_file
from cotpd.core.sidecars.rows import CaptionRow, ImageRejectionRow
from cotpd.llm.asking.session import Asking, AskingReport, AskingSession
from cotpd.llm.store.request_store import RequestStore

CaptioningReport = AskingReport[Caption, ImageRejection]
CaptionOutcome = Caption | ImageRejection


def caption(
    image_ids: Iterable[str],
    folder: ImageFolder,
    captioner: Captioner,
    *,
    out: Path | None = None,
    asking: Asking | None = None,
) -> CaptioningReport:
    """Describe every image once, even if several ids name the same content.

    Outcomes are stored as they arrive, and exported to ``out`` at the end, also after an error. What the request store
    or the file has is not computed again: outcomes of this captioner with the same settings and the same content, and
    captions that somebody else wrote under its name. New captions replace those of a changed image or setting. The
    caption of an image that cannot be read now stays in the file, and so do the rows of other captioners.

    Args:
        image_ids: Ids of images in ``folder``.
        folder: The images.
        captioner: A `Blip2Captioner` or a `VisionCaptioner`.
        out: The file of captions, usually captions.jsonl beside a corpus.
        asking: Store, policy and listener. With ``ask_again`` in the policy, rejected images are described again.

    Raises:
        DataError: If ``out`` is not a file of captions.
    """
    ids, asking = list(dict.fromkeys(image_ids)), asking or Asking()
    with asking.open_store(out) as store:
        session = AskingSession(store, asking, total=len(ids))
        run = CaptioningRun(folder, captioner, session, out=out)
        try:
            run.describe(ids)
        finally:
            run.export(ids)
    return run.report(ids)


def plan_captions(
    image_ids: Iterable[str], folder: ImageFolder, captioner: Captioner, *, out: Path, asking: Asking
) -> tuple[CaptioningReport, list[str]]:
    """Return the outcomes that `caption` would reuse, and the SHA-256 of each content that it would describe.

    Images are found and hashed, but not decoded. Nothing is described or written.
    """
    ids = list(dict.fromkeys(image_ids))
    session = AskingSession(asking.store or RequestStore(), asking, total=len(ids))
    run = CaptioningRun(folder, captioner, session, out=out)
    files = [file for image_id in ids if (file := run.find_or_read(image_id))]
    return run.report(ids), list(dict.fromkeys(file.sha256 for file in files))


class CaptioningRun:
    """The state of one call of `caption`: the outcome of each image, and the pictures that wait for one."""

    def __init__(
        self, folder: ImageFolder, captioner: Captioner, session: AskingSession, *, out: Path | None = None
    ) -> None:
        self._folder, self._captioner, self._session, self._out = folder, captioner, session, out
        self._outcomes: dict[str, CaptionOutcome] = {}
        self._keys: dict[str, str] = {}
        self._unreadable: set[str] = set()
        self._waiting: dict[str, list[str]] = {}
        self._foreign: dict[str, Caption] = {}
        self._exported: dict[str, CaptionOutcome] = {}
        self._by_key: dict[str, CaptionOutcome] = {}
        if out:
            self._read_export(out)

    def describe(self, image_ids: Sequence[str]) -> None:
        """Find or make an outcome for every image."""
        for outcome in self._captioner.captions(self._pictures(image_ids), self._session):
            key = self._keys[outcome.image_id]
            self._by_key[key] = outcome
            for image_id in self._waiting.pop(key):
                self._outcomes[image_id] = replace(outcome, image_id=image_id)

    def find_or_read(self, image_id: str) -> ImageFile | None:
        """Return the file of an image that must be described; None if it has an outcome already."""
        if foreign := self._foreign.get(image_id):
            self._reuse(image_id, foreign)
            return None
        try:
            file = self._folder.read(image_id)
        except UnusableImageError as reason:
            self._reject(image_id, str(reason))
            return None
        key = self._keys[image_id] = hash_text(self._captioner.id.settings, file.sha256)[:16]
        if outcome := self._by_key.get(key) or self._find_in_store(file) or self._exported.get(key):
            self._by_key[key] = outcome
            self._reuse(image_id, outcome)
            return None
        return file

    def export(self, image_ids: Iterable[str]) -> None:
        """Write the outcomes so far to the file of captions."""
        if self._out is None:
            return
        captions, rejections = [], []
        for image_id in image_ids:
            outcome, key = self._outcomes.get(image_id), self._keys.get(image_id)
            if outcome is None or key is None:
                continue
            row = {"image_id": image_id, "captioner": outcome.captioner, "key": key}
            if isinstance(outcome, Caption):
                captions.append(CaptionRow(**row, text=outcome.text))
            else:
                rejections.append(ImageRejectionRow(**row, reason=outcome.reason, answer=outcome.answer))
        export_captions(self._out, captions, rejections, unreadable=self._unreadable)

    def report(self, image_ids: Sequence[str]) -> CaptioningReport:
        """Return the outcomes in the order of the images."""
        outcomes = [self._outcomes[image_id] for image_id in image_ids if image_id in self._outcomes]
        captions = [each for each in outcomes if isinstance(each, Caption)]
        rejections = [each for each in outcomes if isinstance(each, ImageRejection)]
        reasons = (each.reason for each in rejections)
        return self._session.report(captions, rejections, reasons=reasons, total=len(image_ids))

    def _read_export(self, out: Path) -> None:
        """Read the rows of this captioner. Captions without a key are from other sources and final."""
        require_own_file(out, CaptionRow)
        name = self._captioner.id.name
        for row in CaptionRow.read(out, where=lambda row: row.get("captioner", "") == name):
            if row.key:
                self._exported.setdefault(row.key, row.caption)
            elif row.image_id is not None:
                self._foreign.setdefault(row.image_id, row.caption)
        if self._session.policy.ask_again:
            return
        for rejected in ImageRejectionRow.read(rejections_path(out), where=lambda row: row.get("captioner") == name):
            rejection = ImageRejection(rejected.image_id, rejected.reason, rejected.captioner, rejected.answer)
            self._exported.setdefault(rejected.key, rejection)

    def _find_in_store(self, file: ImageFile) -> CaptionOutcome | None:
        outcome = self._captioner.find(file.image_id, file.sha256, self._session.store)
        is_rejection = isinstance(outcome, ImageRejection)
        return None if is_rejection and self._session.policy.ask_again else outcome

    def _pictures(self, image_ids: Iterable[str]) -> Iterator[Picture]:
        """Yield the pictures to describe, each content once."""
        for image_id in image_ids:
            file = self.find_or_read(image_id)
            if file and not self._session.store_only:
                key = self._keys[image_id]
                try:
                    picture = None if key in self._waiting else open_picture(file)
                except UnusableImageError as reason:
                    self._reject(image_id, str(reason))
                    continue
                self._waiting.setdefault(key, []).append(image_id)
                if picture:
                    yield picture
                else:
                    self._session.total -= 1

    def _reuse(self, image_id: str, outcome: CaptionOutcome) -> None:
        self._outcomes[image_id] = replace(outcome, image_id=image_id)
        self._session.num_reused += 1
        self._session.total -= 1

    def _reject(self, image_id: str, reason: str) -> None:
        """Record an image that cannot be used. Every run tries to read it again."""
        self._unreadable.add(image_id)
        self._keys[image_id] = hash_text(self._captioner.id.settings, reason)[:16]
        self._outcomes[image_id] = ImageRejection(image_id, reason, self._captioner.id.name)
        self._session.total -= 1
