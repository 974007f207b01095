"""The representation of an image at every depth of an encoder."""

import torch
from torch import Tensor

from lib.data.dataset import FolderImages
from lib.data.images import Images
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder
from lib.encoders.observe import Block


def layer_representations(
    encoder: Encoder, images: Tensor | Images | FolderImages, batch_size: int = 256
) -> dict[str, Tensor]:
    """Mean patch token and class token of the residual stream, before the first block and after
    each.

    Park et al. (2023), Fig. 10, whose protocol is not known: no final norm is applied here, so that
    all depths are treated alike.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)``, floats in [0, 1] or bytes, in memory or in files.
        batch_size: images per forward pass.

    Returns:
        ``"mean patch token"`` and, if the encoder has one, ``"class token"``, each
        ``(n, 1 + depth, width)``.
    """
    prefix = encoder.prefix_tokens
    pools = {"mean patch token": lambda tokens: tokens[:, prefix:].mean(1)} | (
        {"class token": lambda tokens: tokens[:, 0]} if prefix else {}
    )

    def pooled(batch: Tensor) -> dict[str, Tensor]:
        found: dict[str, list[Tensor]] = {name: [] for name in pools}

        def look(block: Block) -> None:
            for tokens in (block.tokens_in, block.tokens_out)[block.index > 1 :]:
                for name, pool in pools.items():
                    found[name].append(pool(tokens))

        encoder.observe(batch, look)
        return {name: torch.stack(depths, dim=1) for name, depths in found.items()}

    return in_batches(encoder, pooled, images, batch_size=batch_size, desc=encoder.name)


def _patch_tokens(
    encoder: Encoder, images: Tensor, block: int | None, *stages: str
) -> tuple[Tensor, ...]:
    wanted = encoder.depth if block is None else block
    if not 1 <= wanted <= encoder.depth:
        raise ValueError(f"{encoder.name} has blocks 1 to {encoder.depth}, got {wanted}")

    def tokens(batch: Tensor) -> tuple[Tensor, ...]:
        found: list[Tensor] = []

        def look(block: Block) -> None:
            if block.index == wanted:
                found.extend(getattr(block, stage)[:, block.prefix_tokens :] for stage in stages)

        encoder.observe(batch, look)
        return tuple(found)

    return in_batches(encoder, tokens, images, batch_size=256)


def around_self_attention(
    encoder: Encoder, images: Tensor, block: int | None = None
) -> tuple[Tensor, Tensor]:
    """Patch tokens before and after the self-attention of a block.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        block: 1 for the first, the last unless told.

    Returns:
        two tensors ``(n, patches, width)``.

    Raises:
        ValueError: no such block.
    """
    before, after = _patch_tokens(encoder, images, block, "tokens_in", "tokens_attended")
    return before, after


def tokens_after(encoder: Encoder, images: Tensor, block: int | None = None) -> Tensor:
    """Patch tokens ``(n, patches, width)`` after a block, without a norm; arguments as
    :func:`around_self_attention`."""
    return _patch_tokens(encoder, images, block, "tokens_out")[0]
