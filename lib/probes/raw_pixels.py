"""The images themselves as a representation: the reference that no encoder may fall below."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.dataset import FolderImages
from lib.data.images import Images, as_floats


class RawPixels:
    """Raw pixels where an encoder is expected: nothing is learned, and nothing is lost but size.

    Args:
        side: images are averaged down to this many pixels a side; those of 28 px stay as they are.
        patch_size: of the patches that :meth:`patch_tokens` cuts.
    """

    name, family = "raw pixels", "other"

    def __init__(self, side: int = 28, patch_size: int = 4):
        self.side, self.patch_size = side, patch_size

    def representations(self, images: Tensor | Images | FolderImages) -> Tensor:
        """Pixels ``(n, channels · side²)`` of images ``(n, channels, height, width)``, in memory or
        in files.

        >>> RawPixels(side=1).representations(Tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).tolist()
        [[0.5]]
        """
        parts = (as_floats(images[i : i + 1000]) for i in range(0, len(images), 1000))
        return torch.cat([F.adaptive_avg_pool2d(part, self.side).flatten(1) for part in parts])

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Patches (down, across) of images ``(n, channels, height, width)``."""
        return images.shape[2] // self.patch_size, images.shape[3] // self.patch_size

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Pixels of the patches ``(n, patches, channels · patch_size²)``, row by row."""
        return F.unfold(images, self.patch_size, stride=self.patch_size).mT


def centred(known: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Two sets of vectors ``(n, features)`` and ``(m, features)`` less the mean of the first:
    without it the cosine of two images is mostly their common mean.

    >>> [part.tolist() for part in centred(Tensor([[1.0], [3.0]]), Tensor([[2.0]]))]
    [[[-1.0], [1.0]], [[0.0]]]
    """
    mean = known.mean(0)
    return known - mean, asked - mean
