"""Representations of images with noise that is added after normalisation."""

import torch
from torch import Tensor

from lib.encoders.batches import in_batches
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
    if len(images) != len(noise):
        raise ValueError(f"expected noise for {len(images)} images, got for {len(noise)}")

    def noisy(batch: Tensor, added: Tensor) -> Tensor:
        normalised = encoder.normalise(batch)
        if added.shape != normalised.shape:
            raise ValueError(
                f"expected noise of the normalised images' shape {tuple(normalised.shape)}, got"
                f" {tuple(added.shape)}"
            )
        return represent(encoder.model, normalised + added, encoder.pooling)

    return in_batches(encoder, noisy, images, noise, batch_size=batch_size)
