"""All attention statistics of one encoder from one streamed forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.encoder import Block, Encoder
from lib.probes.patch_attention import patch_attention


def attention_statistics(
    encoder: Encoder, images: Tensor, statistics: dict[str, Callable[[Tensor], Tensor]], batch_size: int = 128
) -> dict[str, Tensor]:
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
    batches: dict[str, list[Tensor]] = {name: [] for name in statistics}
    for batch in tqdm(images.split(batch_size), desc=encoder.name, unit="batch", leave=False):
        rows: dict[str, list[Tensor]] = {name: [] for name in statistics}

        def look(block: Block) -> None:
            attention = patch_attention(block.attention, encoder.prefix_tokens)
            for name, statistic in statistics.items():
                rows[name].append(statistic(attention))

        encoder.observe(batch, look)
        for name, values in rows.items():
            batches[name].append(torch.stack(values, dim=1))
    return {name: torch.cat(values) for name, values in batches.items()}
