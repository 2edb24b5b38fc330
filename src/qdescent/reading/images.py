"""The pixels of a PNG or JPEG file: its size is checked before anything is unpacked."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np

from qdescent._checks import ArgumentError, argument_error
from qdescent.reading.regular import named, read_bytes, said

MUST = "hold whole images"
FORMATS = ("PNG", "JPEG")  # Pillow knows forty more, whose readers are less well tried
MOST_BYTES = 16 << 20  # of a file
MOST_PIXELS = 1 << 24  # 4,096 x 4,096
# chunks of a PNG, segments of a JPEG; a file of a million empty ones would keep the reader busy
MOST_PARTS = 10_000
MOST_SCANS = 100  # of a JPEG: each passes over the whole picture again
EXPANSION = 64  # how much longer than their files the pixels may be, as in an npz file
ALWAYS = 256 << 20  # bytes of pixels that any folder may unpack to


def read_image(
    argument: str, path: Path, mode: str = "", before: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, str, int]:
    """The pixels of one image as they are stored (not turned by EXIF; of an animation the first
    picture; 16 bits where they hold 8; without transparency), and its colours.

    Args:
        argument: as the user calls it.
        path: of the file, whose content must be PNG or JPEG, whatever its name says.
        mode: "L" or "RGB"; empty: as the image has it.
        before: bytes of the files that were read before it, and of their pixels.

    Returns:
        (uint8 of shape (height, width) or (height, width, 3), its mode, bytes of the file).

    Raises:
        ArgumentError: no regular file, no whole image, one of more than 2^24 pixels, or of 16 bits
            that are not those of 8.
        ImportError: Pillow is not installed.
    """
    from PIL import Image

    content = read_bytes(argument, path, MOST_BYTES, MUST)
    name = named(path)
    if _parts(content) > MOST_PARTS or (
        content[:2] == b"\xff\xd8" and content.count(b"\xff\xda") > MOST_SCANS
    ):
        raise argument_error(argument, MUST, f"{name}, which is made of too many parts")
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd metadata
            width, height = image.size
            grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
            own = "L" if grey else "RGB"
            mode = mode or own
            if len(own) > len(mode):
                must = "hold images that are all grey or all in colour (convert them)"
                raise argument_error(argument, must, f"{name} in colour after grey ones")
            pixels = width * height * len(mode)
            if width * height > MOST_PIXELS:
                raise argument_error(
                    argument,
                    MUST,
                    f"{name} of {width} x {height} pixels, more than {MOST_PIXELS:,}",
                )
            if before[1] + pixels > max(ALWAYS, EXPANSION * (before[0] + len(content))):
                raise argument_error(
                    argument,
                    MUST,
                    f"{name}, which with those before it unpacks to far more than the files hold",
                )
            # 16 bits: Pillow would cut off at 255 instead of scaling
            if image.mode.startswith("I"):
                high, low = np.divmod(np.array(image).clip(0, 65_535), 256)
                if not (low == high).all() and low.any():
                    must = "hold images of 8 bits a colour (convert them, or use module:function)"
                    raise argument_error(argument, must, f"{name} of 16 bits")
                image_of_8 = Image.fromarray(high.astype(np.uint8))
                return np.array(image_of_8.convert(mode)), mode, len(content)
            return np.array(image.convert(mode)), mode, len(content)
    except ArgumentError:
        raise
    except Exception as error:  # Pillow's readers raise some ten types on damaged files
        raise argument_error(
            argument, MUST, f"{name}, which cannot be read ({_said(error)})"
        ) from error


def _said(error: Exception) -> str:
    """What Pillow says; where it knows no format, it quotes the file's bytes by their address."""
    from PIL import UnidentifiedImageError

    return "neither PNG nor JPEG" if isinstance(error, UnidentifiedImageError) else said(error)


def _parts(content: bytes) -> int:
    """Chunks of a PNG or segments of a JPEG, counted by their declared lengths up to one more than
    may be.
    """
    place, count = (8, 0) if content[:4] == b"\x89PNG" else (2, 0)
    while place + 8 <= len(content) and count <= MOST_PARTS:
        if content[:4] == b"\x89PNG":
            place += 12 + int(struct.unpack_from(">I", content, place)[0])
        else:
            if content[place] != 0xFF or content[place + 1] == 0xDA:
                break  # compressed numbers begin
            place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])
        count += 1
    return count
