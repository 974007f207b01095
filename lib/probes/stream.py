"""Statistics of every block of an encoder from one streamed forward pass."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.observe import Block
from lib.probes.patch_attention import patch_attention

OfBlock = Callable[[Block], Tensor]
OfTokens = Callable[[Tensor], Tensor]


class Observed(Protocol):
    """What can be looked at block by block: an encoder, or a decoder."""

    name: str

    def observe(self, images: Tensor, look: Callable[[Block], None]) -> Tensor: ...


def among_patches(block: Block) -> Block:
    """The block without its prefix tokens, the rows of attention normalised again."""
    drop = lambda tokens: tokens[..., block.prefix_tokens :, :]  # noqa: E731
    return replace(
        block, prefix_tokens=0, tokens_in=drop(block.tokens_in),
        tokens_attended=drop(block.tokens_attended), tokens_out=drop(block.tokens_out),
        attention=patch_attention(block.attention, block.prefix_tokens),
        head_outputs=drop(block.head_outputs),
    )  # fmt: skip


def _batch(
    encoder: Observed, images: Tensor, of_blocks: dict[str, OfBlock], of_tokens: dict[str, OfTokens]
) -> dict[str, Tensor]:
    rows: dict[str, list[Tensor]] = {name: [] for name in (*of_blocks, *of_tokens)}

    def look(block: Block) -> None:
        block = among_patches(block)
        for name, statistic in of_blocks.items():
            rows[name].append(statistic(block))
        # what enters the first block is depth 0
        for tokens in (block.tokens_in, block.tokens_out)[block.index > 1 :]:
            for name, statistic in of_tokens.items():
                rows[name].append(statistic(tokens))

    encoder.observe(images, look)
    return {name: torch.stack(values, dim=1) for name, values in rows.items()}


def block_statistics(
    encoder: Observed, images: Tensor, of_blocks: dict[str, OfBlock], of_tokens: dict[str,
    OfTokens] | None = None, batch_size: int = 128,
) -> dict[str, Tensor]:  # fmt: skip
    """Statistics of the patch tokens and of the attention among them, for every image and block.

    Only the results are kept: memory does not grow with images × tokens².

    Args:
        encoder: a ViT, or a decoder.
        images: ``(n, channels, height, width)`` in [0, 1].
        of_blocks: name -> function from a :class:`Block` without prefix tokens to
            ``(batch, values)``.
        of_tokens: name -> function from patch tokens ``(batch, patches, width)`` to
            ``(batch, values)``, applied to what enters the first block and to what leaves each
            block.
        batch_size: images per forward pass.

    Returns:
        name -> ``(n, depth, values)`` of blocks, ``(n, 1 + depth, values)`` of tokens.
    """
    batches = tqdm(images.split(batch_size), desc=encoder.name, unit="batch", leave=False)
    found = [_batch(encoder, batch, of_blocks, of_tokens or {}) for batch in batches]
    return {name: torch.cat([results[name] for results in found]) for name in found[0]}
