"""Other images than the garments: a folder of them, CIFAR-10."""

from pathlib import Path
from typing import Literal

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms import functional as TF

from lib.data.images import Images

HELD_OUT = ("val", "validation", "valid", "test")  # names of the subfolder of test images


def read_image(path: str, size: int, channels: int) -> Tensor:
    """``(channels, size, size)``: shorter side resized (bilinear, antialiased), centre cropped."""
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for a damaged file
        raise ValueError(f"{path} is not a complete image: {error}") from error
    return TF.to_tensor(TF.center_crop(TF.resize(image, size), size))


def open_folder(path: str | Path) -> ImageFolder:
    """A folder with one subfolder of images per class, listed and not read.

    Raises:
        FileNotFoundError: a path that does not exist.
        ValueError: a path that is not a folder, a folder without class subfolders, a class without images.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"expected a folder of images at {path}, which does not exist")
    if not path.is_dir():
        raise ValueError(f"expected a folder of images, got the file {path}")
    if not any(entry.is_dir() for entry in path.iterdir()):
        raise ValueError(f"expected one subfolder of images per class in {path}, got {'only files' if any(path.iterdir()) else 'an empty folder'}")
    try:
        return ImageFolder(str(path))
    except FileNotFoundError as error:  # a class without images; torchvision's message names the class
        raise ValueError(f"{path}: {error}") from error


def folder_samples(path: Path, split: Literal["train", "test"]) -> tuple[list[tuple[str, int]], tuple[str, ...]]:
    """Files with their labels, in a fixed random order, so that the first n hold every class; and the names of the classes.

    ``path/train`` and ``path/val`` (or ``validation``, ``valid``, ``test``) are the splits where they exist; otherwise every other image, by class and file
    name, is a training image.

    Raises:
        FileNotFoundError, ValueError: of :func:`open_folder`; other classes in the two splits; fewer than two images.
    """
    held_out = next((path / name for name in HELD_OUT if (path / name).is_dir()), None)
    if held_out is None and (path / "train").is_dir():
        raise ValueError(f"expected {path} to hold test images, in {' or '.join(HELD_OUT)}, beside its folder train")
    if held_out is not None and (path / "train").is_dir():
        found, other = (open_folder(folder) for folder in ((path / "train", held_out) if split == "train" else (held_out, path / "train")))
        if found.classes != other.classes:
            raise ValueError(f"expected the same classes in {path / 'train'} and {held_out}, got {len(found.classes)} and {len(other.classes)} that differ")
        samples = found.samples
    else:
        found = open_folder(path)
        samples = found.samples[split == "test" :: 2]
    if not samples:
        raise ValueError(f"expected at least two images in {path}")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0)).tolist()
    return [samples[i] for i in order], tuple(found.classes)


def load_cifar10(root: str | Path, split: Literal["train", "test"], download: bool = False) -> Images:
    """CIFAR-10 (Krizhevsky 2009) through torchvision: 50,000 or 10,000 colour images of 32 × 32 pixels, without masks.

    Args:
        root: folder that holds ``cifar-10-batches-py``.
        split: the official training or test split.
        download: get it over the network if it is not there.

    Raises:
        ValueError: an unknown split.
        FileNotFoundError: data that is absent, incomplete or changed.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is one of ['test', 'train'], got {split!r}")
    try:
        data = CIFAR10(str(root), train=split == "train", download=download)
    except (OSError, RuntimeError) as error:  # no network; files that are incomplete or changed
        raise FileNotFoundError(
            f"expected the complete, unchanged CIFAR-10 in {Path(root) / CIFAR10.base_folder} ({error}); fetch {CIFAR10.url} by hand and unpack it in {root}"
        ) from error
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous().float() / 255
    return Images(images, torch.tensor(data.targets), None, tuple(data.classes))
