"""One pass of an encoder over images for every probe, kept on disk so that the notebooks share it."""

from pathlib import Path

from torch import Tensor

from lib.encoders.encoder import Encoder
from lib.probes.every import block_probes, token_probes
from lib.probes.fourier import official_frequencies
from lib.probes.stream import Observed, block_statistics
from lib.study.kept import content_hash, encoder_hash, kept
from lib.study.layout import ROOT


def code(root: Path) -> list[Path]:
    """Files of the encoders and probes."""
    return [path for folder in ("encoders", "probes") for path in sorted((root / "lib" / folder).glob("*.py"))]


def measure(encoder: Encoder, images: Tensor, root: Path = ROOT) -> dict[str, Tensor]:
    """Every probe of ``lib.probes.every``, from one forward pass over the images, or from an equal earlier one.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        root: of the repository; measurements are kept below ``build/measured``, by the hash of weights, images and code.

    Returns:
        name -> ``(n, depth, values)`` of blocks or ``(n, 1 + depth, values)`` of tokens; see :func:`lib.probes.stream.block_statistics`.
    """
    key = content_hash(encoder_hash(encoder), images, *code(root))
    return kept(root / "build" / "measured" / f"{key}.safetensors", lambda: measure_now(encoder, images, encoder.grid(images), encoder.patch_size))


def measure_now(observed: Observed, images: Tensor, grid: tuple[int, int], patch_size: int) -> dict[str, Tensor]:
    """As :func:`measure`, computed, of anything that can be observed; the official convention of the amplitudes is the first part of the other."""
    found = block_statistics(observed, images, block_probes(grid, patch_size), token_probes(grid))
    official = found["amplitude, to Nyquist"][..., : official_frequencies(grid[0])]
    return found | {"amplitude, official": official.clone()}  # on an odd grid both are the same memory, which safetensors refuses
