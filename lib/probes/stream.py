"""All attention statistics of one encoder from one streamed forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.encoder import Block, Encoder
from lib.probes.patch_attention import patch_attention

Statistic = Callable[[Tensor], Tensor]


def batch_statistics(encoder: Encoder, batch: Tensor, statistics: dict[str, Statistic]) -> dict[str, Tensor]:
    """Statistics of one batch from one forward pass: name -> ``(batch, depth, heads)``."""
    rows: dict[str, list[Tensor]] = {name: [] for name in statistics}

    def look(block: Block) -> None:
        attention = patch_attention(block.attention, encoder.prefix_tokens)
        for name, statistic in statistics.items():
            rows[name].append(statistic(attention))

    encoder.observe(batch, look)
    return {name: torch.stack(values, dim=1) for name, values in rows.items()}


def attention_statistics(encoder: Encoder, images: Tensor, statistics: dict[str, Statistic], batch_size: int = 128) -> dict[str, Tensor]:
    """Each statistic of the patch-to-patch attention, for every image, block and head.

    Only the results are kept: memory does not grow with images × tokens².

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        statistics: name -> function from attention ``(batch, heads, patches, patches)`` to ``(batch, heads)``.
        batch_size: images per forward pass.

    Returns:
        name -> ``(n, depth, heads)``.
    """
    batches = tqdm(images.split(batch_size), desc=encoder.name, unit="batch", leave=False)
    found = [batch_statistics(encoder, batch, statistics) for batch in batches]
    return {name: torch.cat([results[name] for results in found]) for name in statistics}
