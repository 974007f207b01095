"""Fashion-MNIST with ground truth: garments, their masks, and any grey background.

Xiao, Rasul, Vollgraf (2017), *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms*.
"""

import gzip
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.images import Images

FASHION_CLASSES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FASHION_ROOT = Path(__file__).resolve().parents[2] / "data" / "fashion-mnist"
_FILES = {"train": "train", "test": "t10k"}
_MASK_THRESHOLD = 0.06


def garment_mask(images: Tensor, threshold: float = _MASK_THRESHOLD) -> Tensor:
    """Mask of the garment on a black background: pixels above a threshold, closed.

    mask = erode₃ₓ₃(dilate₃ₓ₃(image > threshold)), so that thin dark seams belong to the garment.

    Args:
        images: ``(n, 1, height, width)`` in [0, 1], black background.
        threshold: grey level in [0, 1).

    Returns:
        ``(n, 1, height, width)`` bool.

    >>> image = torch.zeros(1, 1, 5, 5); image[..., 1:4, 1:4] = 0.8; image[..., 2, 2] = 0
    >>> garment_mask(image).sum().item()
    9
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(
            f"expected grey images (n, 1, height, width), got shape {tuple(images.shape)}"
        )
    above = F.pad((images > threshold).float(), (2, 2, 2, 2))  # outside the image is background
    dilated = F.max_pool2d(above, 3, stride=1)
    return F.max_pool2d(1 - dilated, 3, stride=1) < 0.5


def on_background(images: Tensor, masks: Tensor, level: float | Tensor) -> Tensor:
    """Put the object on a grey level; level 0 leaves the standard black images unchanged.

    x' = x on the mask, ``level`` elsewhere (x everywhere where level = 0).

    Args:
        images: ``(n, channels, height, width)`` in [0, 1].
        masks: ``(n, 1, height, width)`` bool.
        level: one grey level in [0, 1], or ``(n,)`` one per image.

    Raises:
        ValueError: a level outside [0, 1].
    """
    level = torch.as_tensor(level, dtype=images.dtype).reshape(-1, 1, 1, 1)
    if not (level.min() >= 0 and level.max() <= 1):  # also refuses NaN
        raise ValueError(
            f"expected background levels in [0, 1], got {level.min():.3g} to {level.max():.3g}"
        )
    return torch.where(masks | (level == 0), images, level)


def _read_idx(path: Path, magic: int) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the Fashion-MNIST file {path}; it is part of the repository, or get it with"
            " torchvision"
        )
    try:
        raw = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is not a complete gzip file: {error}") from error
    header = np.frombuffer(raw, ">i4", count=1)[0] if len(raw) >= 4 else -1
    ndim = magic & 0xFF
    if header != magic or len(raw) < 4 * (ndim + 1):
        raise ValueError(
            f"{path} is not the expected IDX file: magic number {header}, expected {magic}"
        )
    shape = np.frombuffer(raw, ">i4", count=ndim, offset=4)
    body = np.frombuffer(raw, np.uint8, offset=4 * (ndim + 1))
    if body.size != shape.prod():
        raise ValueError(f"{path} is truncated: {body.size} values for shape {tuple(shape)}")
    return body.reshape(shape)


@lru_cache(maxsize=2)
def load_fashion(split: Literal["train", "test"], root: Path = FASHION_ROOT) -> Images:
    """The official training (60,000) or test (10,000) split, in its original order, with garment
    masks.

    Raises:
        ValueError: an unknown split, a truncated file.
        FileNotFoundError: a missing file, named.
    """
    if split not in _FILES:
        raise ValueError(f"split is one of {sorted(_FILES)}, got {split!r}")
    raw = _read_idx(Path(root) / f"{_FILES[split]}-images-idx3-ubyte.gz", 2051)
    labels = _read_idx(Path(root) / f"{_FILES[split]}-labels-idx1-ubyte.gz", 2049)
    if len(raw) != len(labels):
        raise ValueError(f"{root} holds {len(raw)} {split} images, but {len(labels)} labels")
    images = torch.from_numpy(raw.astype(np.float32) / 255).unsqueeze(1)
    masks = torch.cat([garment_mask(chunk) for chunk in images.split(4096)])
    return Images(images, torch.from_numpy(labels.astype(np.int64)), masks, FASHION_CLASSES)
