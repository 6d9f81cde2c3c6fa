"""Images of strangers: each hostile file is a reason, each odd one a right picture (faults 28 to 30)."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cotpd.captions import image_folder
from cotpd.captions.image_folder import LONGEST_SIDE, ImageFile, ImageFolder, UnusableImageError, open_picture, to_jpeg
from cotpd.core.errors import DataError

RED, BLUE = (220, 20, 20), (20, 20, 220)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(content: bytes) -> Image.Image:
    return open_picture(ImageFile("x", content, "")).pixels


def reason(content: bytes) -> str:
    with pytest.raises(UnusableImageError) as refused:
        picture(content)
    return str(refused.value)


def near(found: Any, wanted: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(found, wanted)).max() < 30)


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    return image


def png(width: int, height: int, *, colours: int = 2) -> bytes:
    """A PNG of few bytes that says it is this large; ``colours`` is 2 for RGB, 3 for a palette."""
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_four_kinds_are_opened(kind: str) -> None:
    pixels = picture(encoded(halves(), kind))
    assert (pixels.mode, pixels.size) == ("RGB", (40, 20))
    assert near(pixels.getpixel((5, 10)), RED)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX"])
def test_other_kinds_are_not_whatever_their_name(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(halves(), kind))
    with pytest.raises(UnusableImageError, match="not an image"):
        open_picture(ImageFolder(tmp_path).read("a"))


@pytest.mark.parametrize("content", [b"<html><body>404</body></html>", b"GIF89", b"\x89PNG\r\n\x1a\n", b"\0" * 100])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    assert reason(content) in ("not an image", "damaged")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_an_image_that_is_cut_off_is_damaged(kind: str) -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    content = encoded(noise, kind)
    assert reason(content[: len(content) // 2]) in ("damaged", "not an image")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over our limit, over Pillow's warning, over Pillow's error."""
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(png(side, side)) == "too many pixels"


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred bytes a scan: a megabyte of them would take an hour. What only looks like scans is let be."""
    content = encoded(
        Image.effect_noise((64, 64), 9).convert("RGB"), "JPEG", progressive=True, comment=b"\xff\xda" * 200
    )
    assert picture(content + b"\xff\xda" * 200).size == (64, 64)
    last = content[content.rindex(b"\xff\xda") : -2]
    assert picture(content[:-2] + last * 80 + content[-2:]).size == (64, 64)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:-2] + last * 101 + content[-2:]) == "too many scans"


@pytest.mark.parametrize("disguise", [b"\xff\x01", b"\xff\xf0", b"\xff\x02\xff\xff"])
def test_no_scan_hides_behind_a_marker_without_length(disguise: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows such a marker is the next one, which is not to be taken for a length of 65,498."""
    content = encoded(Image.effect_noise((64, 64), 9).convert("RGB"), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:-2] + disguise + last * 101 + content[-2:]) == "too many scans"


def test_no_scan_hides_in_the_header_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A component may be called 0xFF, and its tables 0x11: no marker, and no length after it."""
    content = encoded(Image.effect_noise((64, 64), 9), "JPEG")
    at = content.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\x01\xff\x11\x01\x3f\0" + bytes(9)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:at] + scan * 101 + content[-2:]) == "too many scans"


@pytest.mark.parametrize("before", [b"", b"\xff\xd9", b"\xff\xf0\xff\xff"])
def test_a_jpeg_of_endless_segments_is_not_even_opened(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many take Pillow four times as long."""
    content = encoded(halves(), "JPEG")
    segment = b"\xff\xe1\0\x0aExif\0\0II"
    assert near(picture(content[:2] + segment * 900 + content[2:]).getpixel((5, 10)), RED)
    monkeypatch.setattr(Image, "open", lambda *arguments, **options: pytest.fail("it was opened"))
    assert reason(content[:2] + before + segment * 1001 + content[2:]) == "too many segments"


def test_a_large_image_is_scaled_and_keeps_its_shape() -> None:
    assert picture(encoded(Image.new("RGB", (4000, 1000), RED), "JPEG")).size == (LONGEST_SIDE, LONGEST_SIDE // 4)
    assert picture(encoded(Image.new("RGB", (1, 9000), RED))).size == (1, LONGEST_SIDE)


@pytest.mark.parametrize(
    ("orientation", "left_half"),
    [(1, RED), (2, BLUE), (3, BLUE), (4, RED)],
)
def test_flipped_images_are_put_right(orientation: int, left_half: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = picture(encoded(halves(), "JPEG", exif=exif))
    assert near(pixels.getpixel((4, 10)), left_half)


@pytest.mark.parametrize(("orientation", "top"), [(5, RED), (6, RED), (7, BLUE), (8, BLUE)])
def test_turned_images_are_put_upright(orientation: int, top: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = picture(encoded(halves(), "JPEG", exif=exif))
    assert pixels.size == (20, 40)
    assert near(pixels.getpixel((10, 4)), top)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"]
)
def test_damaged_exif_leaves_the_picture(exif: bytes) -> None:
    assert near(picture(encoded(halves(), "JPEG", exif=exif)).getpixel((5, 10)), RED)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (30, 30), color) for color in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        assert near(picture(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).getpixel((9, 9)), RED)


def test_cmyk_keeps_its_colours() -> None:
    assert near(picture(encoded(halves().convert("CMYK"), "JPEG")).getpixel((5, 10)), RED)


def test_sixteen_bits_are_not_cut_off_at_white() -> None:
    grey = Image.fromarray(np.full((10, 10), 128 * 256, dtype=np.uint16))
    assert near(picture(encoded(grey)).getpixel((5, 5)), (128, 128, 128))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert picture(encoded(halves().convert(mode))).mode == "RGB"


def test_what_is_transparent_lies_on_white() -> None:
    assert picture(encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).getpixel((4, 4)) == (255, 255, 255)
    palette = Image.new("P", (9, 9), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert picture(encoded(palette, transparency=0)).getpixel((4, 4)) == (255, 255, 255)


def test_a_palette_without_colours_is_damaged() -> None:
    """Pillow asserts that there are some."""
    assert reason(png(9, 9, colours=3)) == "damaged"


def test_a_large_transparent_image_is_scaled_without_a_dark_seam() -> None:
    """Scaled before it lies on white, hidden black must not mix into what is seen."""
    image = Image.new("RGBA", (3000, 30), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 1501, 30))
    assert np.asarray(picture(encoded(image))).min() > 250


@given(
    kind=st.sampled_from(
        [
            ("JPEG", "RGB"),
            ("JPEG", "CMYK"),
            ("WEBP", "RGBA"),
            ("GIF", "P"),
            *(("PNG", m) for m in ("RGB", "P", "LA", "1")),
        ]
    ),
    data=st.data(),
)
def test_no_damage_escapes(kind: tuple[str, str], data: st.DataObject) -> None:
    """Whatever bytes are changed, it is a picture or one of the reasons: nothing else is raised."""
    content = bytearray(encoded(halves().convert(kind[1]), kind[0]))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcome = picture(bytes(content)).mode
    except UnusableImageError as refused:
        outcome = str(refused)
    assert outcome in ("RGB", "damaged", "not an image", "too many pixels")


def test_a_jpeg_is_made_without_data_of_its_origin() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a secret camera"
    content = to_jpeg(open_picture(ImageFile("x", encoded(halves(), "JPEG", exif=exif, comment="secret"), "")))
    assert content.startswith(b"\xff\xd8")
    assert b"secret" not in content


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """A folder with one image, and a secret beside it."""
    (tmp_path / "images" / "inner").mkdir(parents=True)
    (tmp_path / "images" / "1.jpg").write_bytes(encoded(halves(), "JPEG"))
    (tmp_path / "images" / "inner" / "2.png").write_bytes(encoded(halves()))
    (tmp_path / "secret.jpg").write_bytes(encoded(halves(), "JPEG"))
    return ImageFolder(tmp_path / "images")


def refusal(folder: ImageFolder, image_id: str) -> str:
    with pytest.raises(UnusableImageError) as refused:
        folder.read(image_id)
    return str(refused.value)


@pytest.mark.parametrize("image_id", ["1.jpg", "1", "inner/2.png", "inner/2", "inner/../1.jpg"])
def test_an_image_is_found_by_its_id_with_or_without_ending(image_id: str, folder: ImageFolder) -> None:
    file = folder.read(image_id)
    assert file.image_id == image_id
    assert len(file.sha256) == 64
    assert open_picture(file).pixels.size == (40, 20)


@pytest.mark.parametrize("ending", ["JPG", "PNG", "Jpeg", "webp"])
@pytest.mark.parametrize("image_id", ["a b.c", "a b.c.{0}", "a b.c.{1}", "a b.c.{2}"])
def test_the_case_of_an_ending_makes_no_difference(image_id: str, ending: str, folder: ImageFolder) -> None:
    (folder.root / f"a b.c.{ending}").write_bytes(encoded(halves(), "PNG"))
    image_id = image_id.format(ending.lower(), ending.upper(), ending)
    assert folder.read(image_id).image_id == image_id


def test_the_very_name_goes_before_another_case(folder: ImageFolder) -> None:
    (folder.root / "1.JPG").write_bytes(encoded(halves(), "PNG"))
    assert folder.read("1.JPG").content != folder.read("1.jpg").content == folder.read("1").content


def test_nothing_outside_the_folder_is_read(folder: ImageFolder, tmp_path: Path) -> None:
    (folder.root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder.root / "way").symlink_to(tmp_path)
    for image_id in ("../secret.jpg", "../secret", str(tmp_path / "secret.jpg"), "link.jpg", "way/secret.jpg"):
        assert refusal(folder, image_id) == "outside"


def test_links_within_the_folder_are_followed(folder: ImageFolder) -> None:
    (folder.root / "same.jpg").symlink_to("1.jpg")
    assert folder.read("same").sha256 == folder.read("1").sha256


@pytest.mark.parametrize("image_id", ["", ".", "..", "/", "nothing.jpg", "1.jpg\0", "\ud800", "x" * 5000, "~/1.jpg"])
def test_ids_that_name_nothing_are_missing(image_id: str, folder: ImageFolder) -> None:
    assert refusal(folder, image_id) == "missing"


def test_a_link_that_leads_round_is_missing(folder: ImageFolder) -> None:
    (folder.root / "a.jpg").symlink_to("b.jpg")
    (folder.root / "b.jpg").symlink_to("a.jpg")
    assert refusal(folder, "a.jpg") == "missing"


@pytest.mark.parametrize("address", ["https://example.org/1.jpg", "http://127.0.0.1/", "file:///etc/hosts", "data:,x"])
def test_no_address_is_fetched(address: str, folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *arguments, **options: pytest.fail("a socket was opened"))
    assert refusal(folder, address) == "address"


def test_only_regular_files_are_read(folder: ImageFolder) -> None:
    """A pipe must not be waited for."""
    os.mkfifo(folder.root / "pipe.jpg")
    (folder.root / "folder.jpg").mkdir()
    assert refusal(folder, "pipe.jpg") == "no file"
    assert refusal(folder, "folder") == "no file"


def test_empty_and_huge_files_are_refused(folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.root / "empty.jpg").touch()
    assert refusal(folder, "empty") == "empty"
    monkeypatch.setattr(image_folder, "MAX_BYTES", 10)
    assert refusal(folder, "1") == "too large"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder of images"):
        ImageFolder(tmp_path / "nowhere")
