"""What a training sees: garments in memory, or the images of a folder, read file by file."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torch.utils.data import DataLoader

from lib.data.fashion import load_fashion
from lib.data.folder import open_folder
from lib.data.imagenette import load_imagenette
from lib.data.images import Images
from lib.data.read_image import read_image

LARGEST_HELD_OUT, SMALLEST_FOLDER = 1000, 25


@dataclass(frozen=True)
class ImageFiles:
    """Colour images that stay in their files: length, labels, classes and subsets as
    :class:`lib.data.images.Images` has them.

    Attributes:
        files: one path an image.
        labels: ``(n,)`` int64 class indices.
        classes: name of each class.
        side: of the images in pixels, after the shorter side is resized to it and the centre
            cropped.
    """

    files: list[str]
    labels: Tensor
    classes: tuple[str, ...]
    side: int

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One image ``(3, side, side)`` in [0, 1], with its label."""
        return read_image(self.files[index], self.side, 3), self.labels[index]

    def subset(self, indices: Tensor) -> "ImageFiles":
        """The images at ``indices`` ``(m,)``, in that order, none of them read."""
        return ImageFiles(
            [self.files[index] for index in indices.tolist()],
            self.labels[indices],
            self.classes,
            self.side,
        )


@dataclass(frozen=True)
class Source:
    """Images to train on, and what their card says.

    Attributes:
        train, held_out: training images, and others for the k-NN watch.
        mean, std: per channel.
        card: words for the card.
    """

    train: Images | ImageFiles
    held_out: Images | ImageFiles
    mean: list[float]
    std: list[float]
    card: str


def fashion_source() -> Source:
    """Fashion-MNIST, with mean and standard deviation of its training split."""
    words = (
        "Fashion-MNIST, training split (60,000 images), a random grey background on a third of the"
        " views"
    )
    return Source(
        load_fashion("train"),
        load_fashion("test").subset(torch.arange(1000)),
        [0.2860],
        [0.3530],
        words,
    )


def photographs_source(folder: str | Path | None) -> Source:
    """Photographs of 64 px, held as bytes, with ImageNet's mean and standard deviation; see
    :func:`lib.data.imagenette.load_imagenette`."""
    train, test = (
        load_imagenette(split, None if folder is None else Path(folder))
        for split in ("train", "test")
    )
    name = "Imagenette" if folder is None else f"folder {Path(folder).resolve().name}"
    words = f"{name}, training split ({len(train):,} photographs at 64 px)"
    held_out = test.subset(torch.arange(min(LARGEST_HELD_OUT, len(test))))
    return Source(train, held_out, list(IMAGENET_DEFAULT_MEAN), list(IMAGENET_DEFAULT_STD), words)


def folder_source(path: str | Path, side: int) -> Source:
    """A folder with one subfolder of images per class; a tenth of them, at most 1000, are held out.

    The draw of held-out images depends on their number alone, so that all encoders of a folder hold
    out the same. Views are cut from the resized images, where the official codes cut them from the
    originals; mean and standard deviation are ImageNet's, as theirs.

    Args:
        path: the folder.
        side: of the images in pixels.

    Raises:
        FileNotFoundError, ValueError: of :func:`lib.data.folder.open_folder`; fewer than 25 images.
    """
    folder = open_folder(path)
    files, labels = zip(*folder.samples, strict=True)
    n = len(files)
    if n < SMALLEST_FOLDER:
        raise ValueError(f"expected at least {SMALLEST_FOLDER} images in {path}, got {n}")
    every = ImageFiles(list(files), torch.tensor(labels), tuple(folder.classes), side)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    held_out = min(LARGEST_HELD_OUT, n // 10)
    words = (
        f"folder {Path(path).resolve().name}: {n - held_out} images of {len(every.classes)} classes"
        f" at {side} px; {held_out} more held out"
    )
    return Source(
        every.subset(order[held_out:]),
        every.subset(order[:held_out]),
        list(IMAGENET_DEFAULT_MEAN),
        list(IMAGENET_DEFAULT_STD),
        words,
    )


def batches(
    data: Images | ImageFiles, order: Iterable[Tensor], device: torch.device
) -> Iterator[Images]:
    """The images at each of the given tensors of indices, on a device; files are read ahead by
    worker processes, in the same order."""
    for batch in map(data.subset, order) if isinstance(data, Images) else _read_ahead(data, order):
        masks = None if batch.masks is None else batch.masks.to(device)
        yield Images(batch.images.to(device), batch.labels.to(device), masks, batch.classes)


def _read_ahead(data: ImageFiles, order: Iterable[Tensor]) -> Iterator[Images]:
    workers = min(8, len(os.sched_getaffinity(0)))
    indices = (chosen.tolist() for chosen in order)
    own_generator = torch.Generator()  # the loader draws a number, which must not be the training's
    loader = DataLoader(
        data,
        batch_sampler=indices,
        num_workers=workers,
        generator=own_generator,
        pin_memory=torch.cuda.is_available(),
    )
    for images, labels in loader:
        yield Images(images, labels, None, data.classes)
