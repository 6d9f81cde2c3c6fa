"""Untrusted images in a folder: find them by image id and decode them safely.

Only JPEG, PNG, WebP and GIF are decoded, recognised by their content, and only up to `MAX_BYTES`, `MAX_PIXELS`,
`MAX_SEGMENTS` and `MAX_SCANS`. Nothing outside the folder is read, no address is fetched, and pipes never block.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from cotpd.core.errors import DataError
from cotpd.core.files import hash_bytes, real_path

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
"""An image id is a file name, with or without one of these suffixes in any case."""

_OPENING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Flags that Windows lacks, which has neither pipes nor usual links in folders."""

_CASES = (str.lower, str.upper, str.title)

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 10**6
MAX_SEGMENTS = 1_000
"""Limit for a JPEG, which usually has twenty. Pillow needs quadratic time for segments with EXIF data."""
MAX_SCANS = 100
"""Limit for a progressive JPEG, which usually has ten. A scan of a hundred bytes processes all pixels."""

LONGEST_SIDE = 1024
"""Pixels to which larger images are scaled down. No captioner uses more."""

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    BufferError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow raises for damaged files, depending on format and damage."""

_ADDRESS = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by EXIF orientation."""
_SEGMENT = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe]")
"""JPEG markers that precede a length, and the end-of-image marker. The others have no length or are unknown."""
_JPEG = b"\xff\xd8\xff"
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_WHITE = (255, 255, 255, 255)


class UnusableImageError(ValueError):
    """Raised for an image that cannot be used; the message is the reason, for the caller to count."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The bytes of an image file and their SHA-256."""

    image_id: str
    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image for a captioner: upright RGB without transparency, at most `LONGEST_SIDE` pixels long."""

    image_id: str
    pixels: Image.Image
    sha256: str


class ImageFolder:
    """The images in a folder and its subfolders.

    Raises:
        DataError: If the folder does not exist.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError("the folder of images does not exist; check the path", where=str(root))
        self.root = real_path(root)

    def read(self, image_id: str) -> ImageFile:
        """Read the file of an image id.

        Raises:
            UnusableImageError: With one of the reasons ``address`` (a URL, which is never fetched), ``outside`` (the id
                or a link leads out of the folder), ``missing``, ``no file`` (a folder, pipe or device),
                ``unreadable``, ``empty`` or ``too large``.
        """
        content = _content(self._find(image_id))
        return ImageFile(image_id, content, hash_bytes(content))

    def _find(self, image_id: str) -> Path:
        if _ADDRESS.match(image_id):
            raise UnusableImageError("address")
        if not image_id.strip("./"):
            raise UnusableImageError("missing")
        for name in _names(image_id):
            try:
                path = (self.root / name).resolve(strict=True)
            except (OSError, RuntimeError, ValueError):
                continue
            if not path.is_relative_to(self.root):
                raise UnusableImageError("outside")
            if name != image_id or not path.is_dir():
                return path
        raise UnusableImageError("missing")


def open_picture(file: ImageFile) -> Picture:
    """Decode the first frame of an image, turn it upright, put it on white and scale it down.

    Raises:
        UnusableImageError: With one of the reasons ``not an image`` (none of `FORMATS`, whatever the file name says),
            ``too many pixels``, ``too many segments``, ``too many scans`` (all three before decoding) or ``damaged``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Picture(file.image_id, _normalise(_decode(file.content)), file.sha256)
    except UnusableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImageError("too many pixels") from error
    except UnidentifiedImageError as error:
        raise UnusableImageError("not an image") from error
    except _DECODING_ERRORS as error:
        raise UnusableImageError("damaged") from error


def to_jpeg(picture: Picture) -> bytes:
    """Encode a picture as JPEG, without the metadata of the original."""
    stream = io.BytesIO()
    picture.pixels.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _names(image_id: str) -> Iterator[str]:
    """Yield possible file names: the id, the id with each suffix, and the id with its own suffix in another case."""
    yield image_id
    for case in _CASES:
        yield from (f"{image_id}{case(suffix)}" for suffix in SUFFIXES)
    stem, _, ending = image_id.rpartition(".")
    if f".{ending.lower()}" in SUFFIXES:
        yield from (f"{stem}{case(f'.{ending}')}" for case in _CASES)


def _content(path: Path) -> bytes:
    """Read a regular file. A pipe does not block, and a link that has replaced the file meanwhile is not followed."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _OPENING)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnusableImageError("no file")
            if status.st_size > MAX_BYTES:
                raise UnusableImageError("too large")
            content = stream.read(MAX_BYTES)
    except IsADirectoryError as error:
        raise UnusableImageError("no file") from error
    except OSError as error:
        raise UnusableImageError("unreadable") from error
    if not content:
        raise UnusableImageError("empty")
    return content


def _decode(content: bytes) -> Image.Image:
    if content.startswith(_JPEG):
        _check_jpeg_structure(content)
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise UnusableImageError("too many pixels")
    image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    image.load()
    return image


def _check_jpeg_structure(content: bytes) -> None:
    """Raise `UnusableImageError` for too many segments or scans. Pillow searches a first scan even after an end."""
    num_scans = 0
    for num_segments, kind in enumerate(_segments(content), 1):
        if num_scans and kind == _END_OF_IMAGE:
            return
        num_scans += kind == _START_OF_SCAN
        if num_scans > MAX_SCANS:
            raise UnusableImageError("too many scans")
        if num_segments > MAX_SEGMENTS:
            raise UnusableImageError("too many segments")


def _segments(content: bytes) -> Iterator[int]:
    """Yield the markers of a JPEG (ITU T.81, B.1.1: a segment has a length, a scan ends at the next marker)."""
    at = 0
    while marker := _SEGMENT.search(content, at):
        at, kind = marker.end(), content[marker.end() - 1]
        yield kind
        if kind != _END_OF_IMAGE:
            at += int.from_bytes(content[at : at + 2], "big")


def _normalise(image: Image.Image) -> Image.Image:
    """Scale, flatten and turn an image. Scaling comes first, because the other steps need memory per pixel."""
    orientation = image.getexif().get(_ORIENTATION)
    turn = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    pixels = _to_scalable_mode(image)
    pixels.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    pixels = _on_white(pixels)
    pixels = pixels.transpose(turn) if turn is not None else pixels
    pixels.info.clear()
    return pixels


def _to_scalable_mode(image: Image.Image) -> Image.Image:
    """Convert an image to a mode that can be scaled: no palette, no colour that stands for transparency.

    Grey values of 16 bits are divided to 8 bits, because Pillow's own conversion clips them at 255.
    """
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Put an image on white."""
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
