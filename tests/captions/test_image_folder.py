"""Untrusted images: hostile files are rejected with a reason, unusual ones are decoded correctly."""

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


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(content: bytes) -> Image.Image:
    return open_picture(ImageFile("x", content, "")).pixels


def reason(content: bytes) -> str:
    with pytest.raises(UnusableImageError) as rejected:
        picture(content)
    return str(rejected.value)


def is_near(colour: Any, expected: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(colour, expected)).max() < 30)


def red_and_blue() -> Image.Image:
    """Return an image that is red on the left and blue on the right."""
    image = Image.new("RGB", (40, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))
    return image


def png(width: int, height: int, *, colours: int = 2) -> bytes:
    """Return a small PNG file whose header states this size; ``colours`` is 2 for RGB, 3 for a palette."""
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_four_formats_are_decoded(kind: str) -> None:
    pixels = picture(encode(red_and_blue(), kind))
    assert (pixels.mode, pixels.size) == ("RGB", (40, 20))
    assert is_near(pixels.getpixel((5, 10)), RED)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX"])
def test_other_formats_are_rejected_whatever_their_suffix(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(red_and_blue(), kind))
    with pytest.raises(UnusableImageError, match="not an image"):
        open_picture(ImageFolder(tmp_path).read("a"))


@pytest.mark.parametrize("content", [b"<html><body>404</body></html>", b"GIF89", b"\x89PNG\r\n\x1a\n", b"\0" * 100])
def test_a_file_without_an_image_is_rejected(content: bytes) -> None:
    assert reason(content) in ("not an image", "damaged")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_image_is_damaged(kind: str) -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    content = encode(noise, kind)
    assert reason(content[: len(content) // 2]) in ("damaged", "not an image")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_decompression_bomb_is_rejected_before_decoding(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above our limit, above the limit of Pillow's warning, and above that of its error."""
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(png(side, side)) == "too many pixels"


def test_a_jpeg_with_too_many_scans_is_rejected_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of scans would take an hour. Bytes that only look like scans do not count."""
    content = encode(
        Image.effect_noise((64, 64), 9).convert("RGB"), "JPEG", progressive=True, comment=b"\xff\xda" * 200
    )
    assert picture(content + b"\xff\xda" * 200).size == (64, 64)
    last = content[content.rindex(b"\xff\xda") : -2]
    assert picture(content[:-2] + last * 80 + content[-2:]).size == (64, 64)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:-2] + last * 101 + content[-2:]) == "too many scans"


@pytest.mark.parametrize("disguise", [b"\xff\x01", b"\xff\xf0", b"\xff\x02\xff\xff"])
def test_scans_after_a_marker_without_length_are_counted(disguise: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next marker must not be read as a length of 65,498."""
    content = encode(Image.effect_noise((64, 64), 9).convert("RGB"), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:-2] + disguise + last * 101 + content[-2:]) == "too many scans"


def test_scans_after_an_unusual_scan_header_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Component 0xFF with tables 0x11 is not a marker."""
    content = encode(Image.effect_noise((64, 64), 9), "JPEG")
    at = content.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\x01\xff\x11\x01\x3f\0" + bytes(9)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert reason(content[:at] + scan * 101 + content[-2:]) == "too many scans"


@pytest.mark.parametrize("before", [b"", b"\xff\xd9", b"\xff\xf0\xff\xff"])
def test_a_jpeg_with_too_many_segments_is_not_opened(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow needs quadratic time for them."""
    content = encode(red_and_blue(), "JPEG")
    segment = b"\xff\xe1\0\x0aExif\0\0II"
    assert is_near(picture(content[:2] + segment * 900 + content[2:]).getpixel((5, 10)), RED)
    monkeypatch.setattr(Image, "open", lambda *arguments, **options: pytest.fail("it was opened"))
    assert reason(content[:2] + before + segment * 1001 + content[2:]) == "too many segments"


def test_a_large_image_is_scaled_with_its_aspect_ratio() -> None:
    assert picture(encode(Image.new("RGB", (4000, 1000), RED), "JPEG")).size == (LONGEST_SIDE, LONGEST_SIDE // 4)
    assert picture(encode(Image.new("RGB", (1, 9000), RED))).size == (1, LONGEST_SIDE)


@pytest.mark.parametrize(
    ("orientation", "left_half"),
    [(1, RED), (2, BLUE), (3, BLUE), (4, RED)],
)
def test_exif_flips_are_applied(orientation: int, left_half: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = picture(encode(red_and_blue(), "JPEG", exif=exif))
    assert is_near(pixels.getpixel((4, 10)), left_half)


@pytest.mark.parametrize(("orientation", "top"), [(5, RED), (6, RED), (7, BLUE), (8, BLUE)])
def test_exif_rotations_are_applied(orientation: int, top: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = picture(encode(red_and_blue(), "JPEG", exif=exif))
    assert pixels.size == (20, 40)
    assert is_near(pixels.getpixel((10, 4)), top)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"]
)
def test_damaged_exif_data_is_ignored(exif: bytes) -> None:
    assert is_near(picture(encode(red_and_blue(), "JPEG", exif=exif)).getpixel((5, 10)), RED)


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (30, 30), color) for color in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        assert is_near(picture(encode(frames[0], kind, save_all=True, append_images=frames[1:])).getpixel((9, 9)), RED)


def test_cmyk_keeps_its_colours() -> None:
    assert is_near(picture(encode(red_and_blue().convert("CMYK"), "JPEG")).getpixel((5, 10)), RED)


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    grey = Image.fromarray(np.full((10, 10), 128 * 256, dtype=np.uint16))
    assert is_near(picture(encode(grey)).getpixel((5, 5)), (128, 128, 128))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert picture(encode(red_and_blue().convert(mode))).mode == "RGB"


def test_transparent_pixels_become_white() -> None:
    assert picture(encode(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).getpixel((4, 4)) == (255, 255, 255)
    palette = Image.new("P", (9, 9), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert picture(encode(palette, transparency=0)).getpixel((4, 4)) == (255, 255, 255)


def test_a_palette_without_colours_is_damaged() -> None:
    """Pillow raises an AssertionError."""
    assert reason(png(9, 9, colours=3)) == "damaged"


def test_scaling_a_transparent_image_makes_no_dark_edge() -> None:
    """Black in transparent pixels must not mix into visible pixels."""
    image = Image.new("RGBA", (3000, 30), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 1501, 30))
    assert np.asarray(picture(encode(image))).min() > 250


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
def test_damage_always_gives_a_picture_or_a_reason(kind: tuple[str, str], data: st.DataObject) -> None:
    content = bytearray(encode(red_and_blue().convert(kind[1]), kind[0]))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcome = picture(bytes(content)).mode
    except UnusableImageError as rejected:
        outcome = str(rejected)
    assert outcome in ("RGB", "damaged", "not an image", "too many pixels")


def test_an_encoded_jpeg_has_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a secret camera"
    content = to_jpeg(open_picture(ImageFile("x", encode(red_and_blue(), "JPEG", exif=exif, comment="secret"), "")))
    assert content.startswith(b"\xff\xd8")
    assert b"secret" not in content


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """Return a folder with two images, beside a file that must not be read."""
    (tmp_path / "images" / "inner").mkdir(parents=True)
    (tmp_path / "images" / "1.jpg").write_bytes(encode(red_and_blue(), "JPEG"))
    (tmp_path / "images" / "inner" / "2.png").write_bytes(encode(red_and_blue()))
    (tmp_path / "secret.jpg").write_bytes(encode(red_and_blue(), "JPEG"))
    return ImageFolder(tmp_path / "images")


def folder_reason(folder: ImageFolder, image_id: str) -> str:
    with pytest.raises(UnusableImageError) as rejected:
        folder.read(image_id)
    return str(rejected.value)


@pytest.mark.parametrize("image_id", ["1.jpg", "1", "inner/2.png", "inner/2", "inner/../1.jpg"])
def test_an_image_is_found_with_or_without_suffix(image_id: str, folder: ImageFolder) -> None:
    file = folder.read(image_id)
    assert file.image_id == image_id
    assert len(file.sha256) == 64
    assert open_picture(file).pixels.size == (40, 20)


@pytest.mark.parametrize("suffix", ["JPG", "PNG", "Jpeg", "webp"])
@pytest.mark.parametrize("image_id", ["a b.c", "a b.c.{0}", "a b.c.{1}", "a b.c.{2}"])
def test_the_case_of_a_suffix_does_not_matter(image_id: str, suffix: str, folder: ImageFolder) -> None:
    (folder.root / f"a b.c.{suffix}").write_bytes(encode(red_and_blue(), "PNG"))
    image_id = image_id.format(suffix.lower(), suffix.upper(), suffix)
    assert folder.read(image_id).image_id == image_id


def test_the_exact_name_takes_precedence_over_another_case(folder: ImageFolder) -> None:
    (folder.root / "1.JPG").write_bytes(encode(red_and_blue(), "PNG"))
    assert folder.read("1.JPG").content != folder.read("1.jpg").content == folder.read("1").content


def test_nothing_outside_the_folder_is_read(folder: ImageFolder, tmp_path: Path) -> None:
    (folder.root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder.root / "folder").symlink_to(tmp_path)
    for image_id in ("../secret.jpg", "../secret", str(tmp_path / "secret.jpg"), "link.jpg", "folder/secret.jpg"):
        assert folder_reason(folder, image_id) == "outside"


def test_links_within_the_folder_are_followed(folder: ImageFolder) -> None:
    (folder.root / "same.jpg").symlink_to("1.jpg")
    assert folder.read("same").sha256 == folder.read("1").sha256


@pytest.mark.parametrize("image_id", ["", ".", "..", "/", "nothing.jpg", "1.jpg\0", "\ud800", "x" * 5000, "~/1.jpg"])
def test_ids_without_a_file_are_missing(image_id: str, folder: ImageFolder) -> None:
    assert folder_reason(folder, image_id) == "missing"


def test_a_circular_link_is_missing(folder: ImageFolder) -> None:
    (folder.root / "a.jpg").symlink_to("b.jpg")
    (folder.root / "b.jpg").symlink_to("a.jpg")
    assert folder_reason(folder, "a.jpg") == "missing"


@pytest.mark.parametrize("address", ["https://example.org/1.jpg", "http://127.0.0.1/", "file:///etc/hosts", "data:,x"])
def test_no_address_is_fetched(address: str, folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *arguments, **options: pytest.fail("a socket was opened"))
    assert folder_reason(folder, address) == "address"


def test_only_regular_files_are_read(folder: ImageFolder) -> None:
    """Opening a pipe must not block."""
    os.mkfifo(folder.root / "pipe.jpg")
    (folder.root / "folder.jpg").mkdir()
    assert folder_reason(folder, "pipe.jpg") == "no file"
    assert folder_reason(folder, "folder") == "no file"


def test_empty_and_huge_files_are_rejected(folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.root / "empty.jpg").touch()
    assert folder_reason(folder, "empty") == "empty"
    monkeypatch.setattr(image_folder, "MAX_BYTES", 10)
    assert folder_reason(folder, "1") == "too large"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder of images does not exist"):
        ImageFolder(tmp_path / "nowhere")


def test_a_link_that_replaces_an_image_after_the_check_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.png").write_bytes(encode(Image.new("RGB", (4, 4), RED)))
    folder, find = tmp_path / "images", ImageFolder._find
    folder.mkdir()
    (folder / "a.png").write_bytes(encode(Image.new("RGB", (4, 4), BLUE)))

    def find_and_replace(self: ImageFolder, image_id: str) -> Path:
        path = find(self, image_id)
        path.unlink()
        path.symlink_to("../secret.png")
        return path

    monkeypatch.setattr(ImageFolder, "_find", find_and_replace)
    with pytest.raises(UnusableImageError, match="unreadable"):
        ImageFolder(folder).read("a.png")
