"""Captioning: every image is described once, interrupted runs continue, captioners share a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.captioning import CaptioningReport, caption, plan_captions
from cotpd.captions.image_folder import ImageFolder, Picture
from cotpd.core.errors import DataError, LanguageModelError, UsageError
from cotpd.core.files import hash_text, json_line
from cotpd.core.records import Caption
from cotpd.llm.asking.policy import Policy
from cotpd.llm.asking.session import REQUEST_STORE, Asking, AskingSession
from cotpd.llm.language_model import Answer
from cotpd.llm.store.request_store import RequestStore, StoredAnswer

IDS = ("a", "b", "c", "d", "e", "f", "a")
ASK_AGAIN = Asking(policy=Policy(ask_again=True))


class ColourCaptioner:
    """Describes the colour of the first pixel, rejects black images, and fails after ``num_pictures``."""

    def __init__(
        self, name: str = "script", settings: str = "1", *, num_pictures: int = 1000, sees_black: bool = False
    ) -> None:
        self.id = CaptionerId(name, f"{name} {settings}")
        self.seen: list[str] = []
        self._num_pictures, self._sees_black = num_pictures, sees_black

    def find(self, image_id: str, sha256: str, store: RequestStore) -> Caption | ImageRejection | None:
        stored = store.find(hash_text(self.id.settings, sha256))
        return self._outcome(image_id, stored.answer.text) if stored else None

    def captions(self, pictures: Iterable[Picture], session: AskingSession) -> Iterator[Caption | ImageRejection]:
        for picture in pictures:
            if len(self.seen) == self._num_pictures:
                raise LanguageModelError("the endpoint is gone")
            self.seen.append(picture.image_id)
            colour = picture.pixels.getpixel((0, 0))
            text = "black" if self._sees_black else "" if colour == (0, 0, 0) else f"all is {colour}"
            key = hash_text(self.id.settings, picture.sha256)
            session.add([StoredAnswer(key, "here", self.id.name, Answer(text), None if text else "refusal")])
            yield self._outcome(picture.image_id, text)

    def _outcome(self, image_id: str, text: str) -> Caption | ImageRejection:
        if text:
            return Caption(image_id, text, self.id.name)
        return ImageRejection(image_id, "refusal", self.id.name, "I cannot see.")


class SilentCaptioner(ColourCaptioner):
    """Describes only the first picture and has no answer for the others."""

    def captions(self, pictures: Iterable[Picture], session: AskingSession) -> Iterator[Caption | ImageRejection]:
        for number, picture in enumerate(pictures):
            if number == 0:
                yield Caption(picture.image_id, "new", self.id.name)


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """Images a to e: b is black, c is not an image, d has the content of a."""
    path = tmp_path / "images"
    path.mkdir()
    for name, colour in (("a", (1, 1, 1)), ("b", (0, 0, 0)), ("d", (1, 1, 1)), ("e", (5, 5, 5))):
        Image.new("RGB", (4, 4), colour).save(path / f"{name}.png")
    (path / "c.png").write_text("<html>")
    return ImageFolder(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


def rejections_of(out: Path) -> Path:
    return out.with_suffix(".rejections.jsonl")


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rejected_ids(out: Path) -> set[str]:
    return {row["image_id"] for row in rows(rejections_of(out))}


def texts(report: CaptioningReport) -> dict[str, str]:
    return {each.image_id: each.text for each in report.results}


def test_each_image_is_described_or_rejected_with_its_reason(folder: ImageFolder, out: Path) -> None:
    captioner = ColourCaptioner()
    report = caption(IDS, folder, captioner, out=out)
    assert texts(report) == {"a": "all is (1, 1, 1)", "d": "all is (1, 1, 1)", "e": "all is (5, 5, 5)"}
    reasons = {each.image_id: each.reason for each in report.rejections}
    assert reasons == {"b": "refusal", "c": "not an image", "f": "missing"}
    assert captioner.seen == ["a", "b", "e"], "equal contents are described once"
    assert (report.num_total, report.num_answered, report.num_asked, report.rejected_share) == (6, 6, 3, 0.5)
    assert {(row["image_id"], row["captioner"], row["text"]) for row in rows(out)} == {
        (image_id, "script", text) for image_id, text in texts(report).items()
    }
    assert rejected_ids(out) == {"b", "c", "f"}


def test_an_interrupted_run_continues_and_exports_what_an_uninterrupted_run_does(
    folder: ImageFolder, out: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole" / "captions.jsonl"
    caption(IDS, folder, ColourCaptioner(), out=whole)
    for num_pictures in range(3):
        target = tmp_path / str(num_pictures) / "captions.jsonl"
        stopped, resumed = ColourCaptioner(num_pictures=num_pictures), ColourCaptioner()
        with pytest.raises(LanguageModelError):
            caption(IDS, folder, stopped, out=target)
        caption(IDS, folder, resumed, out=target)
        assert [*stopped.seen, *resumed.seen] == ["a", "b", "e"]
        assert target.read_bytes() == whole.read_bytes()
        assert rejections_of(target).read_bytes() == rejections_of(whole).read_bytes()


def test_either_the_store_or_the_export_is_enough_to_reuse_captions(folder: ImageFolder, out: Path) -> None:
    """Version 0.1.0 had the captions of BLIP-2 only in captions.jsonl."""
    caption(IDS, folder, ColourCaptioner(), out=out)
    before = [out.read_bytes(), rejections_of(out).read_bytes()]
    for lost in ([out, rejections_of(out)], [out.with_name(REQUEST_STORE)], []):
        for path in lost:
            path.unlink()
        captioner = ColourCaptioner()
        report = caption(IDS, folder, captioner, out=out)
        assert (captioner.seen, report.num_answered, report.num_asked, report.num_reused) == ([], 6, 0, 4)
        assert [out.read_bytes(), rejections_of(out).read_bytes()] == before


def test_a_changed_image_or_setting_replaces_the_caption(folder: ImageFolder, out: Path) -> None:
    caption(IDS, folder, ColourCaptioner(), out=out)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(folder.root / "a.png")
    Image.new("RGB", (4, 4), (8, 8, 8)).save(folder.root / "f.png")
    captioner = ColourCaptioner()
    caption(IDS, folder, captioner, out=out)
    assert captioner.seen == ["a", "f"]
    assert {row["image_id"]: row["text"] for row in rows(out)}["a"] == "all is (9, 9, 9)"
    assert rejected_ids(out) == {"b", "c"}
    other = ColourCaptioner(settings="2")
    caption(IDS, folder, other, out=out)
    assert other.seen == ["a", "b", "d", "e", "f"]
    assert [row["image_id"] for row in rows(out)] == ["a", "d", "e", "f"]


def test_an_image_without_an_answer_keeps_its_old_caption(folder: ImageFolder, out: Path) -> None:
    """An endpoint that refuses every request must not remove existing captions."""
    caption(IDS, folder, ColourCaptioner(), out=out)
    caption(IDS, folder, SilentCaptioner(settings="2"), out=out)
    assert {row["image_id"]: row["text"] for row in rows(out)} == {"a": "new", "d": "new", "e": "all is (5, 5, 5)"}
    assert rejected_ids(out) == {"b", "c", "f"}


@pytest.mark.parametrize("is_there", [True, False], ids=["unreadable", "missing"])
def test_a_wrong_folder_removes_no_caption(is_there: bool, folder: ImageFolder, out: Path) -> None:
    """The disk with the images may not be mounted."""
    caption(IDS, folder, ColourCaptioner(), out=out)
    before = out.read_bytes()
    elsewhere = folder.root.with_name("elsewhere")
    elsewhere.mkdir()
    if is_there:
        for name in IDS:
            (elsewhere / f"{name}.png").write_text("<html>")
    assert caption(IDS, ImageFolder(elsewhere), ColourCaptioner(), out=out).results == []
    assert out.read_bytes() == before
    captioner = ColourCaptioner()
    caption(IDS, folder, captioner, out=out)
    assert (captioner.seen, out.read_bytes()) == ([], before)
    assert rejected_ids(out) == {"b", "c", "f"}


@pytest.mark.parametrize("first", ["one", "two"])
def test_the_first_captioner_in_the_file_stays_the_first(first: str, folder: ImageFolder, out: Path) -> None:
    """A corpus uses the captions of the first captioner by default."""
    second = "two" if first == "one" else "one"
    for name in (first, second):
        caption(["a", "e"], folder, ColourCaptioner(name), out=out)
    for name in (second, first):
        caption(["a", "e"], folder, ColourCaptioner(name, settings="2"), out=out)
        assert [row["captioner"] for row in rows(out)] == [first, first, second, second]


def test_rows_from_other_sources_are_used_and_kept(folder: ImageFolder, out: Path) -> None:
    """A caption that a person wrote is never replaced."""
    by_hand = {"image_id": "a", "captioner": "script", "text": "by hand"}
    out.write_text(json_line(by_hand) + json_line({"example_id": "7", "text": "for a post"}), encoding="utf-8")
    captioner = ColourCaptioner()
    report = caption(["a", "e"], folder, captioner, out=out)
    assert (captioner.seen, texts(report)["a"]) == (["e"], "by hand")
    assert [row["text"] for row in rows(out)] == ["by hand", "for a post", "all is (5, 5, 5)"]


def test_a_plan_lists_open_contents_and_writes_nothing(folder: ImageFolder, out: Path) -> None:
    plan, contents = plan_captions(IDS, folder, ColourCaptioner(), out=out, asking=Asking())
    assert (plan.num_total, plan.num_answered, plan.reasons) == (6, 1, {"missing": 1})
    assert contents == [folder.read(name).sha256 for name in "abce"], "d has the content of a"
    assert not out.exists()
    caption(["a"], folder, ColourCaptioner(), out=out)
    plan, contents = plan_captions(IDS, folder, ColourCaptioner(), out=out, asking=Asking())
    assert (plan.num_total, plan.num_answered, len(contents)) == (6, 3, 3)


def test_ask_again_describes_rejected_images_again(folder: ImageFolder, out: Path) -> None:
    caption(IDS, folder, ColourCaptioner(), out=out)
    captioner = ColourCaptioner(sees_black=True)
    plan = plan_captions(IDS, folder, captioner, out=out, asking=Asking())
    assert plan[1] == [folder.read("c").sha256]
    plan = plan_captions(IDS, folder, captioner, out=out, asking=ASK_AGAIN)
    assert plan[1] == [folder.read(name).sha256 for name in "bc"]
    report = caption(IDS, folder, captioner, out=out, asking=ASK_AGAIN)
    assert (texts(report)["b"], report.num_asked) == ("black", 1)
    assert rejected_ids(out) == {"c", "f"}


def test_a_file_without_captions_is_an_error_and_stays_unchanged(folder: ImageFolder, out: Path) -> None:
    for content, message in (
        (
            '{"image_id": 3.5, "text": 7, "captioner": "script"}\n',
            r"captions.jsonl:1: invalid CaptionRow \(image_id|captions.jsonl:1: not a caption",
        ),
        ('{"image_id": "b", "text": "x"}\nmine', r"captions.jsonl:2: not a caption"),
        ('[{"image_id": "a", "text": "mine"}]', r"captions.jsonl:1: not a caption"),
    ):
        out.write_text(content, encoding="utf-8")
        with pytest.raises((DataError, UsageError), match=message):
            caption(["a"], folder, ColourCaptioner(), out=out)
        assert out.read_text("utf-8") == content


def test_the_listener_is_called_with_progress_and_total(folder: ImageFolder) -> None:
    seen: list[tuple[int, int]] = []
    asking = Asking(listener=lambda progress, total: seen.append((progress.done, total)))
    caption(IDS, folder, ColourCaptioner(), asking=asking)
    assert [done for done, _ in seen] == [1, 2, 3]
    assert seen[-1] == (3, 4), "c and the copy d are no questions; f is read after the last answer"


def test_no_images_give_an_empty_report_and_no_file(folder: ImageFolder, out: Path) -> None:
    report = caption([], folder, ColourCaptioner(), out=out)
    assert (report.num_total, report.rejected_share) == (0, 0.0)
    assert not out.exists()
