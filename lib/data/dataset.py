"""The images that a page is computed on, by name: the garments, CIFAR-10, or any folder of
images."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from lib.data.fashion import load_fashion
from lib.data.folder import load_cifar10, open_folder, read_image
from lib.data.images import Images, drawn

Split = Literal["train", "test"]
CIFAR10_ROOT = Path(__file__).resolve().parents[2] / "data" / "cifar-10"
SIDES = {"fashion": 28, "cifar10": 32}  # pixels
FOLDER_SIDE = 224
HELD_OUT = ("val", "validation", "valid", "test")  # names of the subfolder of test images


@dataclass(frozen=True)
class FolderImages:
    """One split of a folder of images, which stay in their files until some are asked for.

    Attributes:
        files: one path an image, in a fixed random order, so that the first n hold every class.
        labels: ``(n,)`` int64 class indices.
        classes: name of each class.
        masks: None, there are none.
    """

    files: tuple[str, ...]
    labels: Tensor
    classes: tuple[str, ...]
    masks: None = None

    def __len__(self) -> int:
        return len(self.files)

    def subset(self, indices: Tensor) -> Images:
        """The images at ``indices`` ``(m,)``, read now: RGB, the shorter side resized to 224 px,
        the centre cropped."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting = pool.map(
                lambda i: read_image(self.files[i], FOLDER_SIDE, 3), indices.tolist()
            )
            read = list(tqdm(waiting, "images", total=len(indices), leave=False, mininterval=10))
        return Images(torch.stack(read), self.labels[indices], None, self.classes)

    def sample(self, n: int, seed: int = 0) -> Images:
        """``n`` images drawn without replacement, read now.

        Raises:
            ValueError: more images asked for than there are.
        """
        return self.subset(drawn(len(self), n, seed))


def is_folder(dataset: str) -> bool:
    """Whether it is not a name known here, hence the path of a folder."""
    return dataset not in SIDES


def has_masks(dataset: str) -> bool:
    """Whether there are object masks: of the garments alone."""
    return dataset == "fashion"


def side_of(dataset: str) -> int:
    """Side of the images in pixels."""
    return SIDES.get(dataset, FOLDER_SIDE)


def folder_split(path: Path, split: Split) -> FolderImages:
    """A split of a folder, listed and not read.

    ``path/train`` and ``path/val`` (or ``validation``, ``valid``, ``test``) are the splits where
    they exist; otherwise every other image, by class and file name, is a training image.

    Raises:
        FileNotFoundError, ValueError: of :func:`lib.data.folder.open_folder`; other classes in the
            two splits; fewer than two images.
    """
    held_out = next((path / name for name in HELD_OUT if (path / name).is_dir()), None)
    if held_out is None and (path / "train").is_dir():
        raise ValueError(
            f"expected {path} to hold test images, in {' or '.join(HELD_OUT)}, beside its folder"
            " train"
        )
    if held_out is not None and (path / "train").is_dir():
        found, other = (
            open_folder(folder)
            for folder in (
                (path / "train", held_out) if split == "train" else (held_out, path / "train")
            )
        )
        if found.classes != other.classes:
            raise ValueError(
                f"expected the same classes in {path / 'train'} and {held_out}, got"
                f" {len(found.classes)} and {len(other.classes)} that differ"
            )
        samples = found.samples
    else:
        found = open_folder(path)
        samples = found.samples[split == "test" :: 2]
    if not samples:
        raise ValueError(f"expected at least two images in {path}")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0)).tolist()
    files, labels = zip(*(samples[i] for i in order), strict=True)
    return FolderImages(files, torch.tensor(labels), tuple(found.classes))


@lru_cache(maxsize=4)
def load_images(dataset: str, split: Split) -> Images | FolderImages:
    """Images with labels and, where there are any, object masks.

    Args:
        dataset: ``"fashion"`` (carried by the repository), ``"cifar10"`` (downloaded to
            ``data/cifar-10`` on first use), or the path of a folder with one subfolder of images
            per class, or with ``train`` and ``val`` that have them.
        split: training or test images.

    Raises:
        ValueError: an unknown split; a folder or a file that is not as expected.
        FileNotFoundError: no such folder; CIFAR-10 neither here nor to be had.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is one of ['test', 'train'], got {split!r}")
    if dataset == "fashion":
        return load_fashion(split)
    if dataset == "cifar10":
        return load_cifar10(CIFAR10_ROOT, split, download=True)
    return folder_split(Path(dataset), split)
