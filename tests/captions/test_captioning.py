"""Captioning: every image once, whatever stops it, and several captioners side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cotpd.captions import caption_file
from cotpd.captions.caption_file import CaptionFile
from cotpd.captions.captioner import CaptionerId, ImageRejection
from cotpd.captions.captioning import CaptioningReport, caption, planned
from cotpd.captions.image_folder import ImageFolder, Picture
from cotpd.core.errors import DataError, LanguageModelError
from cotpd.core.files import json_line, write_jsonl
from cotpd.core.records import Caption


class Script:
    """Says the colour of the first pixel, refuses black, and stops after ``num_pictures``."""

    def __init__(self, name: str = "script", settings: str = "1", num_pictures: int = 1000) -> None:
        self.id = CaptionerId(name, f"{name} {settings}")
        self.seen: list[str] = []
        self._num_pictures = num_pictures

    def captions(self, pictures: Iterable[Picture]) -> Iterator[Caption | ImageRejection]:
        for picture in pictures:
            if len(self.seen) == self._num_pictures:
                raise LanguageModelError("the endpoint is gone")
            self.seen.append(picture.image_id)
            colour = picture.pixels.getpixel((0, 0))
            if colour == (0, 0, 0):
                yield ImageRejection(picture.image_id, "refusal", self.id.name, "I cannot see.")
            else:
                yield Caption(picture.image_id, f"all is {colour}", self.id.name)


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """Images a to e: b is black, c is no image, d has the bytes of a."""
    path = tmp_path / "images"
    path.mkdir()
    for name, colour in (("a", (1, 1, 1)), ("b", (0, 0, 0)), ("d", (1, 1, 1)), ("e", (5, 5, 5))):
        Image.new("RGB", (4, 4), colour).save(path / f"{name}.png")
    (path / "c.png").write_text("<html>")
    return ImageFolder(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


IDS = ("a", "b", "c", "d", "e", "f", "a")


def rows(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def said(report: CaptioningReport) -> dict[str, str]:
    return {each.image_id: each.text for each in report.captions}


def test_each_image_is_described_or_rejected_with_its_reason(folder: ImageFolder, out: Path) -> None:
    script = Script()
    report = caption(IDS, folder, script, out=out)
    assert said(report) == {"a": "all is (1, 1, 1)", "d": "all is (1, 1, 1)", "e": "all is (5, 5, 5)"}
    assert {each.image_id: each.reason for each in report.rejections} == {
        "b": "refusal",
        "c": "not an image",
        "f": "missing",
    }
    assert script.seen == ["a", "b", "e"], "the same bytes are looked at once"
    assert (report.num_images, report.num_done, report.num_computed, report.rejected_share) == (6, 6, 3, 0.5)
    assert {(row["image_id"], row["captioner"], row["text"]) for row in rows(out)} == {
        (image_id, "script", text) for image_id, text in said(report).items()
    }
    assert {row["image_id"] for row in rows(out.with_suffix(".rejections.jsonl"))} == {"b", "c", "f"}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_stopped_and_run_again_it_computes_only_what_is_missing(number: int, folder: ImageFolder, out: Path) -> None:
    stopped, again = Script(num_pictures=number), Script()
    with pytest.raises(LanguageModelError):
        caption(IDS, folder, stopped, out=out)
    with out.open("ab") as stream:
        stream.write(b'{"image_id": "e", "capt')
    report = caption(IDS, folder, again, out=out)
    assert [*stopped.seen, *again.seen] == ["a", "b", "e"]
    assert said(report) == said(caption(IDS, folder, Script()))
    assert len(rows(out)) == 3
    assert len(rows(out.with_suffix(".rejections.jsonl"))) == 3


def test_a_third_run_changes_nothing(folder: ImageFolder, out: Path) -> None:
    caption(IDS, folder, Script(), out=out)
    before = [path.read_bytes() for path in (out, out.with_suffix(".rejections.jsonl"))]
    script = Script()
    report = caption(IDS, folder, script, out=out)
    assert (script.seen, report.num_done, report.num_outdated) == ([], 6, 0)
    assert [path.read_bytes() for path in (out, out.with_suffix(".rejections.jsonl"))] == before


def test_a_changed_image_or_setting_replaces_the_caption(folder: ImageFolder, out: Path) -> None:
    caption(IDS, folder, Script(), out=out)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(folder.root / "a.png")
    Image.new("RGB", (4, 4), (8, 8, 8)).save(folder.root / "f.png")
    script = Script()
    assert caption(IDS, folder, script, out=out).num_outdated == 2
    assert script.seen == ["a", "f"]
    assert {row["image_id"]: row["text"] for row in rows(out)}["a"] == "all is (9, 9, 9)"
    assert {row["image_id"] for row in rows(out.with_suffix(".rejections.jsonl"))} == {"b", "c"}
    other = Script(settings="2")
    assert caption(IDS, folder, other, out=out).num_outdated == 6
    assert sorted(other.seen) == ["a", "b", "d", "e", "f"]
    assert sorted(row["image_id"] for row in rows(out)) == ["a", "d", "e", "f"]


def test_what_has_no_new_outcome_keeps_its_old_one(folder: ImageFolder, out: Path) -> None:
    """An endpoint that refuses every question must not cost the captions that are there."""
    caption(IDS, folder, Script(), out=out)
    silent = Script(settings="2")
    silent.captions = lambda pictures: (Caption(each.image_id, "new", "script") for each in list(pictures)[:1])  # type: ignore[method-assign]
    assert caption(IDS, folder, silent, out=out).num_outdated == 4, "a, its twin d, and what cannot be opened"
    assert {row["image_id"]: row["text"] for row in rows(out)} == {"a": "new", "d": "new", "e": "all is (5, 5, 5)"}
    assert {row["image_id"] for row in rows(out.with_suffix(".rejections.jsonl"))} == {"b", "c", "f"}


@pytest.mark.parametrize("is_there", [True, False], ids=["unreadable", "missing"])
def test_a_wrong_folder_costs_no_caption(is_there: bool, folder: ImageFolder, out: Path) -> None:
    """Captions that were paid for would be gone because a disk was not mounted."""
    caption(IDS, folder, Script(), out=out)
    before = out.read_bytes()
    elsewhere = folder.root.with_name("elsewhere")
    elsewhere.mkdir()
    if is_there:
        for name in IDS:
            (elsewhere / f"{name}.png").write_text("<html>")
    assert caption(IDS, ImageFolder(elsewhere), Script(), out=out).captions == []
    assert out.read_bytes() == before
    back = Script()
    caption(IDS, folder, back, out=out)
    assert (back.seen, out.read_bytes()) == (["b"], before)
    assert {row["image_id"] for row in rows(out.with_suffix(".rejections.jsonl"))} == {"b", "c", "f"}


@pytest.mark.parametrize("first", ["one", "two"])
def test_whose_captions_came_first_stays_first(first: str, folder: ImageFolder, out: Path) -> None:
    """A corpus reads the first captioner's by default; a run again must not change that."""
    second = "two" if first == "one" else "one"
    for name in (first, second):
        caption(["a", "e"], folder, Script(name), out=out)
    for name in (second, first):
        caption(["a", "e"], folder, Script(name, settings="2"), out=out)
        assert [row["captioner"] for row in rows(out)] == [first, first, second, second]


def test_several_captioners_lie_side_by_side(folder: ImageFolder, out: Path) -> None:
    caption(["a"], folder, Script("one"), out=out)
    caption(["a"], folder, Script("two"), out=out)
    assert [row["captioner"] for row in rows(out)] == ["one", "two"]


def test_what_another_captioner_adds_during_a_rewrite_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = CaptionFile(out), CaptionFile(out)
    ours.add("old", Caption("a", "all is red", "ours"))
    with ThreadPoolExecutor() as pool:

        def rewrite(path: Path, rows: Iterable[dict[str, Any]]) -> None:
            wait([pool.submit(theirs.add, "key", Caption("b", "all is blue", "theirs"))], timeout=0.5)
            write_jsonl(path, rows)

        monkeypatch.setattr(caption_file, "write_jsonl", rewrite)
        assert ours.drop_outdated("ours", {"a": "new"}) == 1
    assert [row["captioner"] for row in rows(out)] == ["theirs"]


def test_rows_of_others_count_and_stay(folder: ImageFolder, out: Path) -> None:
    """A caption that somebody wrote by hand is never computed again or thrown away."""
    mine = {"image_id": "a", "captioner": "script", "text": "by hand"}
    out.write_text(json_line(mine) + json_line({"example_id": "7", "text": "for a post"}), encoding="utf-8")
    script = Script()
    report = caption(["a", "e"], folder, script, out=out)
    assert (script.seen, said(report)["a"]) == (["e"], "by hand")
    assert [row["text"] for row in rows(out)] == ["by hand", "for a post", "all is (5, 5, 5)"]


def test_a_plan_tells_what_is_to_do_and_writes_nothing(folder: ImageFolder, out: Path) -> None:
    plan, left = planned(IDS, folder, Script().id, out)
    assert (plan.num_images, plan.num_done, plan.reasons) == (6, 1, {"missing": 1})
    assert left == [folder.read(name).sha256 for name in "abce"], "d has the bytes of a"
    assert not out.exists()
    caption(["a"], folder, Script(), out=out)
    plan, left = planned(IDS, folder, Script().id, out)
    assert (plan.num_images, plan.num_done, len(left)) == (6, 3, 3)


def test_asked_again_a_rejected_image_is_described_and_rejected_no_more(folder: ImageFolder, out: Path) -> None:
    """What the file has rejected must not answer for ever; a left-over row would tell of a loss that is none."""
    refusing, kind = Script(), Script()
    caption(IDS, folder, refusing, out=out)
    kind.captions = lambda pictures: (Caption(each.image_id, "black", "script") for each in pictures)  # type: ignore[method-assign]
    assert planned(IDS, folder, kind.id, out)[1] == [folder.read("c").sha256]
    assert planned(IDS, folder, kind.id, out, ask_again=True)[1] == [folder.read(name).sha256 for name in "bc"]
    report = caption(IDS, folder, kind, out=out, ask_again=True)
    assert (said(report)["b"], report.num_computed) == ("black", 1)
    assert {row["image_id"] for row in rows(out.with_suffix(".rejections.jsonl"))} == {"c", "f"}


def test_a_file_of_something_else_is_an_error(folder: ImageFolder, out: Path) -> None:
    out.write_text('{"image_id": 3.5, "text": 7}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"captions.jsonl:1: not a row of captions \(image_id"):
        caption(["a"], folder, Script(), out=out)


@pytest.mark.parametrize("said", ['[{"image_id": "a", "text": "mine"}]', "{'a': 'mine'}", "mine", '{"a": 1, "a": 2}'])
@pytest.mark.parametrize("before", ["", "a line\n", '{"image_id": "b", "text": "kept"}\n'])
def test_a_last_line_of_something_else_is_not_taken_for_a_torn_one(
    before: str, said: str, folder: ImageFolder, out: Path
) -> None:
    out.write_text(before + said, encoding="utf-8")
    with pytest.raises(DataError, match=r"captions.jsonl:\d: not a JSON object|expected a JSON object, got list"):
        caption(["a"], folder, Script(), out=out)
    assert out.read_text("utf-8").rstrip("\n") == before + said


def test_what_is_torn_stays_in_a_file_of_something_else(folder: ImageFolder, out: Path) -> None:
    out.write_text('mine:\n{"image_id": "e", "capt', encoding="utf-8")
    with pytest.raises(DataError, match=r"captions.jsonl:1: not a JSON object"):
        caption(["a"], folder, Script(), out=out)
    assert out.read_text("utf-8") == 'mine:\n{"image_id": "e", "capt'


def test_progress_is_told_after_every_picture(folder: ImageFolder) -> None:
    seen: list[int] = []
    caption(IDS, folder, Script(), on_progress=lambda report: seen.append(report.num_done))
    assert seen == sorted(seen)
    assert seen[-1] == 6


def test_nothing_to_caption_is_fine(folder: ImageFolder, out: Path) -> None:
    report: CaptioningReport = caption([], folder, Script(), out=out)
    assert (report.num_images, report.rejected_share) == (0, 0.0)
    assert not out.exists()
