"""Passes of an encoder over images, kept on disk so that the notebooks share them: one for every probe, one for the representation."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.encoder import Encoder
from lib.probes.every import block_probes, token_probes
from lib.probes.fourier import official_frequencies
from lib.probes.stream import Observed, block_statistics
from lib.study.kept import content_hash, encoder_hash, kept
from lib.study.layout import ROOT

BLOCK = 1000  # images


def code(root: Path, *folders: str) -> list[Path]:
    """Python files of folders below ``lib``."""
    return [path for folder in folders for path in sorted((root / "lib" / folder).glob("*.py"))]


def representations(encoder: Encoder, images: Tensor, root: Path = ROOT) -> Tensor:
    """Representations ``(n, width)`` of images, or those kept from an earlier call.

    They are kept by blocks of 1,000 images: samples of one seed are the first images of one random order, so a larger sample begins with the blocks of
    a smaller one.

    Args:
        encoder: any.
        images, root: as for :func:`measure`.
    """
    owner = content_hash(encoder_hash(encoder), *code(root, "encoders"))

    def block(part: Tensor) -> Tensor:
        path = root / "build" / "measured" / f"{content_hash(owner, part)}.safetensors"
        return kept(path, lambda: {"representations": encoder.representations(part)})["representations"]

    return torch.cat([block(part) for part in tqdm(images.split(BLOCK), desc=encoder.name, unit="block", leave=False)])


def measure(encoder: Encoder, images: Tensor, root: Path = ROOT) -> dict[str, Tensor]:
    """Every probe of ``lib.probes.every``, from one forward pass over the images, or from an equal earlier one.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        root: of the repository; measurements are kept below ``build/measured``, by the hash of weights, images and code.

    Returns:
        name -> ``(n, depth, values)`` of blocks or ``(n, 1 + depth, values)`` of tokens; see :func:`lib.probes.stream.block_statistics`.
    """
    key = content_hash(encoder_hash(encoder), images, *code(root, "encoders", "probes"))
    return kept(root / "build" / "measured" / f"{key}.safetensors", lambda: measure_now(encoder, images, encoder.grid(images), encoder.patch_size))


def measure_now(observed: Observed, images: Tensor, grid: tuple[int, int], patch_size: int) -> dict[str, Tensor]:
    """As :func:`measure`, computed, of anything that can be observed; the official convention of the amplitudes is the first part of the other."""
    found = block_statistics(observed, images, block_probes(grid, patch_size), token_probes(grid))
    official = found["amplitude, to Nyquist"][..., : official_frequencies(grid[0])]
    return found | {"amplitude, official": official.clone()}  # on an odd grid both are the same memory, which safetensors refuses
