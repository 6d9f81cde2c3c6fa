"""Images that strangers made, found in a folder and opened safely: whatever is wrong with one is a reason.

Only JPEG, PNG, WebP and GIF are opened, told by their content; files over `MAX_BYTES`, `MAX_PIXELS`, `MAX_SEGMENTS` or
`MAX_SCANS` are not. Nothing outside the folder is read, nothing is fetched, nothing but a regular file is waited for.
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
from cotpd.core.files import hash_bytes

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
"""An image id is the name of a file, or what remains of it without one of these endings, in whichever case."""

_CASES = (str.lower, str.upper, str.title)

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 10**6
MAX_SEGMENTS = 1_000
"""Of a JPEG, which commonly has twenty: Pillow takes time by the square of those that hold EXIF."""
MAX_SCANS = 100
"""Of a progressive JPEG, which commonly has ten: each takes a hundred bytes and goes over all pixels."""

LONGEST_SIDE = 1024
"""Pixels to which longer images are scaled down: more than any captioner reads."""

_DAMAGE = (
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
"""What Pillow raises, by format and damage, for a file that is not whole."""

_ADDRESS = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What puts a picture upright, by its EXIF orientation."""
_SEGMENT = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe]")
"""The markers of JPEG before a length, and the one that ends an image; others stand alone, or no decoder knows them."""
_JPEG = b"\xff\xd8\xff"
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_WHITE = (255, 255, 255, 255)


class UnusableImageError(ValueError):
    """The reason for which an image is rejected: data for a caller to count, not a failure."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The bytes of an image as they lie on the disk, and the SHA-256 by which they are known."""

    image_id: str
    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Picture:
    """An image ready for a captioner: upright RGB without transparency, at most `LONGEST_SIDE` long."""

    image_id: str
    pixels: Image.Image
    sha256: str


class ImageFolder:
    """The images below a folder. Raises `DataError` when there is no such folder."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError("no such folder of images; check the path", where=str(root))
        self.root = root.resolve()

    def read(self, image_id: str) -> ImageFile:
        """The file of an image id.

        Raises `UnusableImageError` with a reason: ``address`` (URLs are never fetched), ``outside`` (the id or a link
        leads out of the folder), ``missing``, ``no file`` (a folder, pipe or device), ``unreadable``, ``empty``,
        ``too large``.
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
    """Decode an image: its first frame, turned upright, on white, scaled down.

    Raises `UnusableImageError` with a reason: ``not an image`` (none of `FORMATS`, whatever its name says),
    ``too many pixels``, ``too many segments`` and ``too many scans`` (a bomb is not even decoded), ``damaged`` (cut off
    or broken).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Picture(file.image_id, _ready(_decode(file.content)), file.sha256)
    except UnusableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImageError("too many pixels") from error
    except UnidentifiedImageError as error:
        raise UnusableImageError("not an image") from error
    except _DAMAGE as error:
        raise UnusableImageError("damaged") from error


def to_jpeg(picture: Picture) -> bytes:
    """A picture as the bytes of a JPEG file, without any data of its origin."""
    stream = io.BytesIO()
    picture.pixels.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _names(image_id: str) -> Iterator[str]:
    """What the file of an id may be called: the id, with each ending in each case, then its own ending in another."""
    yield image_id
    for case in _CASES:
        yield from (f"{image_id}{case(suffix)}" for suffix in SUFFIXES)
    stem, _, ending = image_id.rpartition(".")
    if f".{ending.lower()}" in SUFFIXES:
        yield from (f"{stem}{case(f'.{ending}')}" for case in _CASES)


def _content(path: Path) -> bytes:
    """The bytes of a regular file; a pipe is not waited for, a link put in the file's place meanwhile not followed."""
    try:
        with open(
            path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
        ) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnusableImageError("no file")
            if found.st_size > MAX_BYTES:
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
        _refuse_endless(content)
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise UnusableImageError("too many pixels")
    image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    image.load()
    return image


def _refuse_endless(content: bytes) -> None:
    """Raise `UnusableImageError` for a JPEG of too many parts. Pillow looks for the first scan even after an end."""
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
    """The markers of a JPEG (ITU T.81, B.1.1: a segment tells its length, a scan ends at the next marker)."""
    at = 0
    while marker := _SEGMENT.search(content, at):
        at, kind = marker.end(), content[marker.end() - 1]
        yield kind
        if kind != _END_OF_IMAGE:
            at += int.from_bytes(content[at : at + 2], "big")


def _ready(image: Image.Image) -> Image.Image:
    """Scaled down first, for what comes then takes memory by the pixel."""
    orientation = image.getexif().get(_ORIENTATION)
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    pixels = _scalable(image)
    pixels.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    pixels = _opaque(pixels)
    pixels = pixels.transpose(turn) if turn is not None else pixels
    pixels.info.clear()
    return pixels


def _scalable(image: Image.Image) -> Image.Image:
    """The image in a mode whose colours can be mixed: no palette, no colour that stands for transparency.

    Grey values of 16 bits become 8 bits: Pillow's own conversion would cut them off at 255.
    """
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _opaque(image: Image.Image) -> Image.Image:
    """On white, without transparency."""
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
