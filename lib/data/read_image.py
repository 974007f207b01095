"""One image of a file, or a clear reason why it is none."""

import io
import os
import re
import tempfile
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import decode_jpeg
from torchvision.transforms import functional as TF

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")  # none that runs a program
LARGEST_RATIO = 100  # of an image's sides
LONGEST_ZEROS = 64  # bytes
COMPLAINT = re.compile(
    rb"^(Corrupt JPEG data|Premature end|Invalid SOS|Inconsistent prog).*$", re.M
)
STDERR = Lock()


def read_image(path: str | Path, size: int, channels: int) -> Tensor:
    """``(channels, size, size)`` in [0, 1]: shorter side resized (bilinear, antialiased), centre
    cropped.

    What is transparent lies on white; 16-bit images are divided by 65,535. Cameras' orientation is
    applied.

    Args:
        path: of the file.
        size: side of what is returned, in pixels.
        channels: 1 or 3.

    Raises:
        ValueError: not an image, incomplete, damaged, of several pictures, too large or too long;
            of numbers whose range is not known.
    """
    image = decode(path)
    if image.mode == "F":
        image = TF.to_tensor(TF.center_crop(TF.resize(image, size), size))
        return image.clamp(0, 1).expand(channels, -1, -1).clone()
    image = image.convert("L" if channels == 1 else "RGB")
    return TF.to_tensor(TF.center_crop(TF.resize(image, size), size))


def decode(path: str | Path) -> Image.Image:
    """The whole picture of a file: of 8-bit channels, or grey in [0, 1] as mode ``F``.

    Raises:
        ValueError: see :func:`read_image`.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data), formats=FORMATS) as file:
            _check_shape(file, path)
            file.load()
            if file.format in ("JPEG", "MPO") and (reason := jpeg_damage(data)):
                raise ValueError(reason)
            return _plain(ImageOps.exif_transpose(file))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large: {error}") from error
    except Image.DecompressionBombWarning as error:  # where warnings are errors
        raise ValueError(f"{path} is too large: {error}") from error
    except TooBig as error:
        raise ValueError(f"{path} {error}") from error
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} is not a complete image: {reason}") from error
    except Exception as error:  # Pillow's readers raise many kinds for a damaged file
        raise ValueError(f"{path} is not a complete image: {error}") from error


class TooBig(Exception):
    """An image that is whole, but not one to read."""


def _check_shape(file: Image.Image, path: str | Path) -> None:
    """Refuse what would fill the memory, and what is several pictures.

    Raises:
        TooBig: with what was expected and what came.
    """
    width, height = file.size
    if width * height > Image.MAX_IMAGE_PIXELS:
        raise TooBig(
            f"is too large: {width} × {height} pixels, expected at most {Image.MAX_IMAGE_PIXELS:,}"
        )
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise TooBig(
            f"is too long: {width} × {height} pixels, expected sides of at most {LARGEST_RATIO}"
            " to 1"
        )
    frames = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)  # MPO: beside its preview
    if frames > 1:
        raise TooBig(f"holds {frames} pictures (an animation or pages), expected one")


def _plain(image: Image.Image) -> Image.Image:
    """The picture in 8-bit channels on white, or grey in [0, 1] as mode ``F``.

    Raises:
        ValueError: numbers whose range is not known.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image, np.float32) / 65_535)
    if image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        low, high = float(values.min()), float(values.max())
        if image.mode == "I" and image.format == "PNG" and 0 <= low and high <= 65_535:
            return Image.fromarray(values / 65_535)
        if image.mode == "F" and 0 <= low and high <= 1:  # also refuses NaN
            return image
        raise ValueError(
            f"its numbers, from {low:.6g} to {high:.6g}, have no known range: expected 8 or 16"
            " bits, or floats in [0, 1]"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image


def jpeg_damage(data: bytes) -> str:
    """Why a JPEG file that decodes is damaged all the same; empty where nothing tells.

    Pillow is silent about what libjpeg complains of (a scan that ends too early or too late, codes
    that are none); torchvision's decoder lets it write to the standard error. Long runs of zero
    bytes are no picture's, unless the file's codes make them one's.

    Args:
        data: of the file.
    """
    complaint = COMPLAINT.search(_said_by_libjpeg(data))
    if complaint:
        return complaint[0].decode(errors="replace").strip()
    start = _baseline_scan(data)
    zeros = data.find(bytes(LONGEST_ZEROS), start) if start else -1
    return f"{LONGEST_ZEROS} bytes of its picture are zero" if zeros >= 0 else ""


def _said_by_libjpeg(data: bytes) -> bytes:
    """What libjpeg writes to the standard error while it decodes, and an error of its own.

    What others write there meanwhile is passed on.
    """
    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    with STDERR, tempfile.TemporaryFile() as caught:
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            decode_jpeg(encoded)
        except RuntimeError:  # colours that torchvision does not convert, and Pillow does
            pass
        finally:
            os.dup2(kept, 2)
        caught.seek(0)
        said = caught.read()
        others = COMPLAINT.sub(b"", said).strip(b"\n")
        if others:
            os.write(kept, others + b"\n")
        os.close(kept)
    return said


def _baseline_scan(data: bytes) -> int:
    """Where the picture of a sequential JPEG file begins, if zeros cannot go on for long in it; 0
    otherwise.

    They can where in every table the code of zeros alone means "as before" or "end of block".
    """
    place, sequential, means_nothing = 2, False, True
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        sequential |= marker in (0xC0, 0xC1)
        while marker == 0xC4 and len(body) > 17:  # tables of codes: class, counts, symbols
            count = sum(body[1:17])
            means_nothing &= body[17] == 0
            body = body[17 + count :]
        place += 2 + length
        if marker == 0xDA:
            return place if sequential and not means_nothing else 0
    return 0
