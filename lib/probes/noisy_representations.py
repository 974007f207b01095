"""Representations of images with noise that is added after normalisation."""

import torch
from torch import Tensor

from lib.encoders.encoder import Encoder, represent


@torch.no_grad()
def noisy_representations(
    encoder: Encoder, images: Tensor, noise: Tensor, batch_size: int = 256
) -> Tensor:
    """Representations f((x − mean) / std + noise): the noise is in normalised units and nothing is
    clipped.

    Args:
        encoder: of any architecture.
        images: ``(n, channels, height, width)`` in [0, 1].
        noise: ``(n, channels, height, width)`` with the encoder's channels, such as
            ``frequency_noise``.

    Returns:
        ``(n, width)``.

    Raises:
        ValueError: noise of another shape than the normalised images.
    """
    parts = []
    for batch, added in zip(images.split(batch_size), noise.split(batch_size), strict=True):
        normalised = encoder.normalise(batch)
        if added.shape != normalised.shape:
            raise ValueError(
                f"expected noise of the normalised images' shape {tuple(normalised.shape)}, got"
                f" {tuple(added.shape)}"
            )
        parts.append(represent(encoder.model, normalised + added, encoder.pooling))
    return torch.cat(parts)
