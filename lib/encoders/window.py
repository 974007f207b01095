"""An encoder that sees one part of an image: whatever an attribution shows outside is an
artefact."""

import torch
from torch import Tensor, nn

from lib.encoders.encoder import Encoder


def window(
    images: Tensor,
    rows: tuple[float, float] = (3 / 8, 5 / 8),
    columns: tuple[float, float] = (1 / 4, 1 / 2),
) -> Tensor:
    """1 inside a rectangle, 0 outside: ``(height, width)``.

    Args:
        images: ``(…, height, width)``.
        rows, columns: of the rectangle, as shares of the sides.

    >>> window(torch.zeros(1, 1, 4, 4), (0.5, 1.0), (0.0, 0.5)).int().tolist()
    [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    """
    inside = []
    for side, (low, high) in zip(images.shape[-2:], (rows, columns), strict=True):
        centre = (torch.arange(side) + 0.5) / side
        inside.append((centre > low) & (centre < high))
    return (inside[0][:, None] & inside[1]).to(images)


class Window(nn.Module):
    """A timm model behind a window."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def __getattr__(self, name: str):
        """What is not the window's is the model's: its poolings and last norms."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features of what the window shows."""
        return self.model.forward_features(images * window(images))


def behind_window(encoder: Encoder) -> Encoder:
    """The encoder, blind outside :func:`window` of its normalised images."""
    return encoder.holding(Window(encoder.model))
