"""The pass with every probe against a plain forward pass with fused attention."""

import resource
import sys
import time
from collections.abc import Callable

import pandas as pd
import timm
import torch
from torch import Tensor

from lib.bench.clock import least_seconds
from lib.encoders.encoder import Encoder
from lib.probes.every import block_probes, token_probes
from lib.probes.stream import block_statistics

AIM_RATIO, AIM_GROWTH = 1.6, 1.05
ARCHITECTURE = "vit_base_patch16_224"


def peak_memory() -> float:
    """Most memory that this process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e9 if sys.platform == "darwin" else 1e6
    )


def timed(probe: Callable[..., Tensor], spent: list[float]) -> Callable[..., Tensor]:
    """The probe, which also notes the processor seconds that it takes."""

    def run(observed: object) -> Tensor:
        started = time.process_time()
        found = probe(observed)
        spent.append(time.process_time() - started)
        return found

    return run


def measure(
    architecture: str = ARCHITECTURE,
    images: int = 16,
    rounds: int = 2,
    few: int = 8,
    many: int = 24,
) -> tuple[dict[str, float], pd.Series]:
    """Seconds and memory of a Vision Transformer with random weights.

    Args:
        architecture: timm name.
        images: of the one batch that is timed.
        rounds: how often.
        few, many: numbers of images whose peak memory is compared, in batches of 2.

    Returns:
        seconds of the plain pass and of the pass with every probe, their ratio, and peak memory in
        GB; seconds of each probe in that pass, in proportion to those over ``many`` images.
    """
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=0)
    encoder = Encoder(model, [0.5] * 3, [0.5] * 3, "class_token", name=architecture)
    image = torch.rand(1, 3, *model.patch_embed.img_size)
    grid = encoder.grid(image)
    of_blocks, of_tokens = block_probes(grid, encoder.patch_size), token_probes(grid)
    copies = lambda count: image.expand(count, -1, -1, -1)  # noqa: E731 - takes no memory

    memory = {}
    spent: dict[str, list[float]] = {name: [] for name in (*of_blocks, *of_tokens)}
    clocked = [
        {name: timed(probe, spent[name]) for name, probe in probes.items()}
        for probes in (of_blocks, of_tokens)
    ]
    for count, probes in ((few, (of_blocks, of_tokens)), (many, clocked)):
        block_statistics(encoder, copies(count), *probes, batch_size=2)
        memory[f"GB, {count} images by 2"] = peak_memory()
    costs = pd.Series(
        {name: sum(seconds) * images / many for name, seconds in spent.items()}
    ).sort_values(ascending=False)

    plain = lambda: encoder.representations(copies(images), images)  # noqa: E731
    every = lambda: block_statistics(encoder, copies(images), of_blocks, of_tokens, images)  # noqa: E731
    seconds = least_seconds([("plain", plain), ("every probe", every)], rounds)
    ratio = seconds["every probe"] / seconds["plain"]
    return {
        **seconds,
        "ratio": ratio,
        **memory,
        "growth": memory[f"GB, {many} images by 2"] / memory[f"GB, {few} images by 2"],
    }, costs
