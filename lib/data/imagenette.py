"""Imagenette: photographs of ten classes of ImageNet, as small colour images.

Howard (2019), *Imagenette*, https://github.com/fastai/imagenette
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torchvision.datasets import Imagenette
from tqdm import tqdm

from lib.data.folder import folder_samples
from lib.data.images import Images
from lib.data.read_image import read_image

IMAGENETTE_ROOT = Path(__file__).resolve().parents[2] / "data" / "imagenette"
IMAGENETTE_SIDE = 64  # pixels


@lru_cache(maxsize=4)
def load_imagenette(
    split: Literal["train", "test"], folder: Path | None = None, side: int = IMAGENETTE_SIDE
) -> Images:
    """Photographs whose shorter side is resized and whose centre is cropped, held as bytes, in a
    fixed random order.

    Args:
        split: training (9,469) or test (3,925) photographs.
        folder: with subfolders ``train`` and ``val`` of one subfolder a class; None for
            torchvision's copy of 160 px in ``data/imagenette``, which is downloaded (99 MB) if it
            is not there.
        side: of the images in pixels.

    Raises:
        ValueError: an unknown split; a folder or a file that is not as expected.
        FileNotFoundError: no such folder; Imagenette neither here nor to be had.
    """
    if folder is None:
        try:
            Imagenette(IMAGENETTE_ROOT, "val", size="160px", download=True)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"expected Imagenette in {IMAGENETTE_ROOT}, and it cannot be downloaded ({error});"
                " give a folder that holds it"
            ) from error
        folder = IMAGENETTE_ROOT / "imagenette2-160"
    samples, classes = folder_samples(Path(folder), split)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = pool.map(
            lambda sample: (read_image(sample[0], side, 3) * 255).round().byte(), samples
        )
        images = torch.stack(
            list(
                tqdm(
                    waiting, f"{split} photographs", total=len(samples), leave=False, mininterval=10
                )
            )
        )
    return Images(images, torch.tensor([label for _, label in samples]), None, classes)
