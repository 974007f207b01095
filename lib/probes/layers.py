"""The representation of an image at every depth of an encoder."""

import torch
from torch import Tensor
from tqdm import tqdm

from lib.encoders.encoder import Encoder
from lib.encoders.observe import Block


def layer_representations(
    encoder: Encoder, images: Tensor, batch_size: int = 256
) -> dict[str, Tensor]:
    """Mean patch token and class token of the residual stream, before the first block and after
    each.

    Park et al. (2023), Fig. 10, whose protocol is not known: no final norm is applied here, so that
    all depths are treated alike.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        batch_size: images per forward pass.

    Returns:
        ``"mean patch token"`` and, if the encoder has one, ``"class token"``, each
        ``(n, 1 + depth, width)``.
    """
    prefix = encoder.prefix_tokens
    pools = {"mean patch token": lambda tokens: tokens[:, prefix:].mean(1)} | (
        {"class token": lambda tokens: tokens[:, 0]} if prefix else {}
    )
    found: dict[str, list[Tensor]] = {name: [] for name in pools}
    for batch in tqdm(images.split(batch_size), desc=encoder.name, unit="batch", leave=False):
        depths: list[Tensor] = []

        def look(block: Block, depths: list[Tensor] = depths) -> None:
            depths.extend((block.tokens_in, block.tokens_out)[block.index > 1 :])

        encoder.observe(batch, look)
        for name, pool in pools.items():
            found[name].append(torch.stack([pool(tokens) for tokens in depths], dim=1))
    return {name: torch.cat(values) for name, values in found.items()}


def _patch_tokens(
    encoder: Encoder, images: Tensor, block: int | None, *stages: str
) -> list[Tensor]:
    wanted = encoder.depth if block is None else block
    if not 1 <= wanted <= encoder.depth:
        raise ValueError(f"{encoder.name} has blocks 1 to {encoder.depth}, got {wanted}")
    found: list[Tensor] = []

    def look(block: Block) -> None:
        if block.index == wanted:
            found.extend(getattr(block, stage)[:, block.prefix_tokens :] for stage in stages)

    encoder.observe(images, look)
    return found


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
