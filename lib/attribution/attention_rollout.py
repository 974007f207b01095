"""Attention rollout: where a Vision Transformer's attention leads back to, block after block."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attribution.checks import check_images
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder
from lib.encoders.observe import Block


def attention_rollout(
    encoder: Encoder, images: Tensor, mean_views: Tensor | None = None, batch_size: int = 128
) -> Tensor:
    """Product of all blocks' attention, the residual connection included.

    Ā_l = ½ (mean over heads of A_l) + ½ I, R = Ā_L … Ā_2 Ā_1; the row of the class token (pooling
    ``"class_token"``) or the mean of the patches' rows (``"patch_mean"``), at the patch tokens,
    each value spread over its patch's pixels.

    Abnar, Zuidema (2020), *Quantifying Attention Flow in Transformers*, section 3.

    Args:
        encoder: a ViT.
        images: ``(n, channels, height, width)`` in [0, 1].
        mean_views: ignored, so that all methods are called alike: attention knows no target.
        batch_size: images per forward pass; one product ``(batch, tokens, tokens)`` is kept.

    Returns:
        ``(n, channels, height, width)``, ≥ 0, the same in each channel.

    Raises:
        TypeError: a model without attention maps.
        ValueError: images outside [0, 1] or NaN.
    """
    check_images(images)
    return in_batches(encoder, partial(_rollout, encoder), images, batch_size=batch_size)


def _rollout(encoder: Encoder, images: Tensor) -> Tensor:
    product: list[Tensor] = []

    def look(block: Block) -> None:
        attention = block.attention.mean(1)
        mixed = (attention + torch.eye(attention.shape[-1], device=attention.device)) / 2
        product[:] = [mixed @ product[0] if product else mixed]

    encoder.observe(images, look)
    prefix = encoder.prefix_tokens
    row = product[0][:, 0] if encoder.pooling == "class_token" else product[0][:, prefix:].mean(1)
    coarse = row[:, prefix:].unflatten(1, encoder.grid(images)).unsqueeze(1)
    return F.interpolate(coarse, images.shape[2:], mode="nearest").expand_as(images)
