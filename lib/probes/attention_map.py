"""Where single queries look, block by block."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lib.encoders.encoder import Encoder
from lib.encoders.observe import Block
from lib.probes.patch_attention import patch_attention


def attention_maps(encoder: Encoder, image: Tensor, queries: Sequence[tuple[int, int]]) -> Tensor:
    """Patch-to-patch attention of some queries in one image, heads averaged.

    Park et al. (2023), Fig. 2, who show single heads;
    https://github.com/naver-ai/cl-vs-mim/blob/eafe516bddb302fb137f9c0dfbac9f95c4ede052/self_attention_analysis.ipynb

    Args:
        encoder: a ViT.
        image: ``(channels, height, width)`` in [0, 1].
        queries: (row, column) of each query patch.

    Returns:
        ``(depth, queries, rows, columns)``; each map sums to 1.

    Raises:
        ValueError: a query outside the grid.
    """
    rows, columns = encoder.grid(image)
    for row, column in queries:
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(
                f"a query is a (row, column) on the grid of {rows} × {columns} patches, got ({row},"
                f" {column})"
            )
    index = torch.tensor([row * columns + column for row, column in queries], device=encoder.device)
    maps: list[Tensor] = []

    def look(block: Block) -> None:
        attention = patch_attention(block.attention, encoder.prefix_tokens).mean(1)[0]
        maps.append(attention[index].reshape(len(index), rows, columns))

    encoder.observe(image[None], look)
    return torch.stack(maps).to(image.device)
