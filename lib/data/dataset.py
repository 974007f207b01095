"""The images that a page is computed on, by name: the garments, CIFAR-10, or any folder of
images."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from lib.data.fashion import load_fashion
from lib.data.folder import folder_samples, load_cifar10
from lib.data.imagenette import IMAGENETTE_SIDE, load_imagenette
from lib.data.images import Images, as_floats, drawn
from lib.data.read_image import read_image

Split = Literal["train", "test"]
CIFAR10_ROOT = Path(__file__).resolve().parents[2] / "data" / "cifar-10"
SIDES = {"fashion": 28, "cifar10": 32, "imagenette": IMAGENETTE_SIDE}  # pixels
FOLDER_SIDE = 224


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder, which stay in their files until they are asked for: slices are read
    anew and not kept, so that any number of images takes the memory of one batch.

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

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, channels, height and width."""
        return len(self), 3, FOLDER_SIDE, FOLDER_SIDE

    def __getitem__(self, rows: slice) -> Tensor:
        """Bytes ``(m, 3, 224, 224)`` of some images, read now: RGB, the shorter side resized to
        224 px, the centre cropped; 16 bits are rounded to 8."""
        files = self.files[rows]
        pixels = torch.empty(len(files), *self.shape[1:], dtype=torch.uint8)

        def read(row: int) -> None:
            pixels[row] = (read_image(files[row], FOLDER_SIDE, 3) * 255).round().byte()

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting = pool.map(read, range(len(files)))
            for _ in tqdm(waiting, "images", total=len(files), leave=False, mininterval=10):
                pass
        return pixels

    @cached_property
    def pixels(self) -> Tensor:
        """Bytes of all images, read once."""
        return self[:]

    @property
    def images(self) -> Tensor:
        """All images as floats in [0, 1]: four times the memory of :attr:`pixels`."""
        return as_floats(self.pixels)

    def subset(self, indices: Tensor) -> "FolderImages":
        """The images at ``indices`` ``(m,)``, in that order."""
        files = tuple(self.files[i] for i in indices.tolist())
        return FolderImages(files, self.labels[indices], self.classes)

    def sample(self, n: int, seed: int = 0) -> "FolderImages":
        """``n`` images drawn without replacement.

        Raises:
            ValueError: more images asked for than there are.
        """
        return self.subset(drawn(len(self), n, seed))


def is_folder(dataset: str) -> bool:
    """Whether it is not a name known here, hence the path of a folder."""
    return dataset.partition(":")[0] not in SIDES


def folder_of(dataset: str) -> Path | None:
    """The folder that was given for the images; None for those known by name alone."""
    name, _, folder = dataset.partition(":")
    return Path(dataset) if name not in SIDES else Path(folder) if folder else None


def has_masks(dataset: str) -> bool:
    """Whether there are object masks: of the garments alone."""
    return dataset == "fashion"


def side_of(dataset: str) -> int:
    """Side of the images in pixels."""
    return SIDES.get(dataset.partition(":")[0], FOLDER_SIDE)


def folder_split(path: Path, split: Split) -> FolderImages:
    """A split of a folder, listed and not read.

    Raises:
        FileNotFoundError, ValueError: of :func:`lib.data.folder.folder_samples`.
    """
    samples, classes = folder_samples(path, split)
    files, labels = zip(*samples, strict=True)
    return FolderImages(files, torch.tensor(labels), classes)


@lru_cache(maxsize=4)
def load_images(dataset: str, split: Split) -> Images | FolderImages:
    """Images with labels and, where there are any, object masks.

    Args:
        dataset: ``"fashion"`` (carried by the repository), ``"cifar10"`` or ``"imagenette"``
            (downloaded to ``data`` on first use), ``"imagenette:/path/to/folder"`` (photographs of
            64 px from a folder with ``train`` and ``val``), or the path of a folder with one
            subfolder of images per class, or with ``train`` and ``val`` that have them.
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
    if dataset.partition(":")[0] == "imagenette":
        return load_imagenette(split, folder_of(dataset))
    return folder_split(Path(dataset), split)
