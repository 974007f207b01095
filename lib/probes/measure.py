"""Passes of an encoder over images, kept on disk so that the notebooks share them: one for every
probe, one for the representation."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lib.data.dataset import FolderImages
from lib.data.images import Images, as_floats
from lib.encoders.batches import ahead
from lib.encoders.device import precision_in_key
from lib.encoders.encoder import Encoder
from lib.kept.files import kept
from lib.paths import ROOT
from lib.probes.every import block_probes, token_probes
from lib.probes.fourier import official_frequencies
from lib.probes.raw_pixels import RawPixels
from lib.probes.stream import Observed, block_statistics

BLOCK = 1000  # images


def representations(
    encoder: Encoder | RawPixels, images: Tensor | Images | FolderImages, root: Path = ROOT
) -> Tensor:
    """Representations ``(n, width)`` of images, or those kept from an earlier call.

    They are kept by blocks of 1,000 images: samples of one seed are the first images of one random
    order, so a larger sample begins with the blocks of a smaller one. One block is in memory, and
    of images in files the next is read meanwhile.

    Args:
        encoder: any; raw pixels are not kept, they are there.
        images: ``(n, channels, height, width)``, floats in [0, 1] or bytes, in memory or in files.
        root: as for :func:`measure`.
    """
    if isinstance(encoder, RawPixels):
        return encoder.representations(images)
    folder, label = root / "build" / "measured", encoder.name.rpartition("/")[2]
    starts = range(0, len(images), BLOCK)
    read = ahead(as_floats(images[start : start + BLOCK]) for start in starts)
    blocks = tqdm(read, desc=encoder.name, unit="block", total=len(starts), leave=False)
    parts = [
        kept(folder, label, _represent, encoder, block, **precision_in_key()) for block in blocks
    ]
    return torch.cat([part["representations"] for part in parts])


def _represent(encoder: Encoder, images: Tensor, **options: str) -> dict[str, Tensor]:
    return {"representations": encoder.representations(images, **options)}


def measure(encoder: Encoder, images: Tensor, root: Path = ROOT) -> dict[str, Tensor]:
    """Every probe of ``lib.probes.every``, from one forward pass over the images, or from an equal
    earlier one.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        root: of the repository; what is measured is kept below ``build/measured``.

    Returns:
        name -> ``(n, depth, values)`` of blocks or ``(n, 1 + depth, values)`` of tokens; see
        :func:`lib.probes.stream.block_statistics`.
    """
    folder, label = root / "build" / "measured", encoder.name.rpartition("/")[2]
    grid, patch_size = encoder.grid(images), encoder.patch_size
    return kept(folder, label, measure_now, encoder, images, grid, patch_size)


def measure_now(
    observed: Observed, images: Tensor, grid: tuple[int, int], patch_size: int
) -> dict[str, Tensor]:
    """As :func:`measure`, computed, of anything that can be observed; the official convention of
    the amplitudes is the first part of the other."""
    found = block_statistics(observed, images, block_probes(grid, patch_size), token_probes(grid))
    official = found["amplitude, to Nyquist"][..., : official_frequencies(grid[0])]
    # on an odd grid both are the same memory, which safetensors refuses
    return found | {"amplitude, official": official.clone()}
