"""Images in memory: the one small interface that every data source offers."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """A data set: images with labels and, where ground truth exists, object masks.

    Attributes:
        images: ``(n, channels, height, width)`` float in [0, 1]; or bytes, a quarter of the memory,
            which become floats in every subset.
        labels: ``(n,)`` int64 class indices.
        masks: ``(n, 1, height, width)`` bool, True on the object; None where no ground truth
            exists.
        classes: name of each class.
    """

    images: Tensor
    labels: Tensor
    masks: Tensor | None
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Tensor) -> "Images":
        """The images at ``indices`` ``(m,)``, in that order."""
        masks = None if self.masks is None else self.masks[indices]
        return Images(as_floats(self.images[indices]), self.labels[indices], masks, self.classes)

    def __getitem__(self, rows: slice) -> Tensor:
        """Pixels of some images, as they are held."""
        return self.images[rows]

    def sample(self, n: int, seed: int = 0) -> "Images":
        """``n`` images drawn without replacement.

        Raises:
            ValueError: more images asked for than there are.
        """
        return self.subset(drawn(len(self), n, seed))


def as_floats(pixels: Tensor) -> Tensor:
    """Bytes as floats in [0, 1]; floats as they are.

    >>> as_floats(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def drawn(total: int, n: int, seed: int) -> Tensor:
    """``(n,)`` of the indices 0 … total − 1, drawn without replacement.

    Raises:
        ValueError: more asked for than there are.
    """
    if not 1 <= n <= total:
        raise ValueError(f"expected between 1 and {total} images, got {n}")
    return torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:n]
