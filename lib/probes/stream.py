"""Statistics of every block of an encoder from one streamed forward pass."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from lib.encoders.batches import in_batches
from lib.encoders.observe import Block
from lib.probes.patch_attention import patch_shares

OfBlock = Callable[[Block], Tensor]
OfTokens = Callable[[Tensor], Tensor]


class Observed(Protocol):
    """What can be looked at block by block: an encoder, or a decoder."""

    name: str
    device: torch.device

    def observe(self, images: Tensor, look: Callable[[Block], None]) -> Tensor: ...


def among_patches(block: Block) -> Block:
    """The block without its prefix tokens, the rows of attention normalised again."""
    prefix = block.prefix_tokens
    drop = lambda tokens: tokens[..., prefix:, :]  # noqa: E731
    attention, whole = patch_shares(block.attention, prefix)
    logits = block.logits[..., prefix:, prefix:] if block.logits is not None and whole else None
    return replace(
        block, prefix_tokens=0, tokens_in=drop(block.tokens_in),
        tokens_attended=drop(block.tokens_attended), tokens_out=drop(block.tokens_out),
        attention=attention, logits=logits,
        head_outputs=drop(block.head_outputs),
    )  # fmt: skip


def _batch(
    encoder: Observed, images: Tensor, of_blocks: dict[str, OfBlock], of_tokens: dict[str, OfTokens]
) -> dict[str, Tensor]:
    """Statistics leave the device as numbers, one block's attention at a time is there."""
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
    statistics = partial(_batch, encoder, of_blocks=of_blocks, of_tokens=of_tokens or {})
    return in_batches(encoder, statistics, images, batch_size=batch_size, desc=encoder.name)
