"""The adapter between a timm model and the tensors that probes and attributions need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from timm.layers import Attention
from torch import Tensor, nn

from lib.encoders.card import POOLINGS


@dataclass(frozen=True)
class Block:
    """What one Transformer block did with a batch; valid inside the callback, not kept by the encoder.

    Attributes:
        index: 1 for the first block.
        tokens_in, tokens_out: ``(batch, prefix + patches, width)``, the residual stream before and after the block.
        attention: ``(batch, heads, prefix + patches, prefix + patches)``, rows are queries and sum to 1.
    """

    index: int
    tokens_in: Tensor
    tokens_out: Tensor
    attention: Tensor


class Encoder:
    """A frozen encoder that takes images in [0, 1]; normalisation and pooling are inside.

    Args:
        model: timm model: a ``VisionTransformer`` (or one that keeps its block layout), or a convolutional network, which has no attention
            to observe. Put in evaluation mode, gradients to parameters switched off. Gradients to images flow.
        mean, std: per channel.
        pooling: what makes the representation: ``"class_token"`` or ``"patch_mean"`` of the tokens after the final norm, or
            ``"global_average"`` of a feature map.
        name: shown in tables and figures.
        family: ``"CL"``, ``"MIM"`` or ``"other"``.

    Raises:
        ValueError: an unknown pooling, a class token asked of a model without one.
    """

    def __init__(self, model: nn.Module, mean: list[float], std: list[float], pooling: str, name: str = "encoder", family: str = "other"):
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {POOLINGS}, got {pooling!r}")
        if pooling == "class_token" and getattr(model, "num_prefix_tokens", 0) == 0:
            raise ValueError(f"{name} has no class token to pool; use pooling 'patch_mean'")
        self.model = model.eval().requires_grad_(False)
        self.mean, self.std = torch.tensor(mean).reshape(1, -1, 1, 1), torch.tensor(std).reshape(1, -1, 1, 1)
        self.pooling, self.name, self.family = pooling, name, family

    @property
    def depth(self) -> int:
        """Number of Transformer blocks."""
        return len(self.model.blocks)

    @property
    def prefix_tokens(self) -> int:
        """Class and register tokens before the patch tokens."""
        return self.model.num_prefix_tokens

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return self.model.patch_embed.patch_size[0]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Patches (down, across) of images ``(batch, channels, height, width)``."""
        return images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size

    def normalise(self, images: Tensor) -> Tensor:
        """(x − mean) / std per channel; grey images are repeated for a colour model.

        Raises:
            ValueError: not ``(batch, channels, height, width)``, values outside [0, 1] or not finite, a wrong number of channels.
        """
        if images.ndim != 4:
            raise ValueError(f"expected images (batch, channels, height, width), got shape {tuple(images.shape)}")
        low, high = images.detach().aminmax()
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise ValueError(f"expected images in [0, 1], got values from {low:.4g} to {high:.4g}")
        channels = self.mean.shape[1]
        if images.shape[1] == 1 and channels == 3:
            images = images.expand(-1, 3, -1, -1)
        if images.shape[1] != channels:
            raise ValueError(f"{self.name} takes {channels} channel(s), got images of shape {tuple(images.shape)}")
        return (images - self.mean.to(images)) / self.std.to(images)

    def __call__(self, images: Tensor) -> Tensor:
        """Representation ``(batch, width)`` of images ``(batch, channels, height, width)`` in [0, 1]."""
        return represent(self.model, self.normalise(images), self.pooling)

    @torch.no_grad()
    def representations(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """Representations of many images, batch by batch, without gradients."""
        return torch.cat([self(batch) for batch in images.split(batch_size)])

    @torch.no_grad()
    def observe(self, images: Tensor, look: Callable[[Block], None]) -> Tensor:
        """One forward pass that hands every block to ``look``, then forgets it; returns the representation.

        Attention is computed unfused during the pass, since a fused kernel never forms the map. Hooks are removed and
        the fused setting is restored afterwards, also after an exception.

        Raises:
            TypeError: the model has no blocks with an attention map.
            RuntimeError: a block did not yield exactly one map.
        """
        blocks = list(getattr(self.model, "blocks", ()))
        if not blocks or not all(hasattr(getattr(block, "attn", None), "attn_drop") for block in blocks):
            raise TypeError(f"{self.name} is a {type(self.model).__name__}: it has no attention maps to look at")
        maps: list[Tensor] = []

        def keep_map(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            maps.append(inputs[0])

        def finish(index: int) -> Callable:
            def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                if len(maps) != 1:
                    raise RuntimeError(f"{self.name}: block {index} yielded {len(maps)} attention maps, expected 1")
                look(Block(index, inputs[0], output, maps.pop()))

            return hook

        hooks = []
        try:
            with unfused(block.attn for block in blocks):
                for index, block in enumerate(blocks, start=1):
                    hooks.append(block.attn.attn_drop.register_forward_pre_hook(keep_map))
                    hooks.append(block.register_forward_hook(finish(index)))
                return self(images)
        finally:
            for hook in hooks:
                hook.remove()


def represent(model: nn.Module, normalised: Tensor, pooling: str) -> Tensor:
    """Representation ``(batch, width)`` by a timm model of images that are already normalised; see :class:`Encoder` for ``pooling``."""
    features = model.forward_features(normalised)
    if pooling == "global_average":
        return features.mean((2, 3))
    pooled = features[:, 0] if pooling == "class_token" else features[:, model.num_prefix_tokens :].mean(1)
    return model.fc_norm(pooled) if hasattr(model, "fc_norm") else pooled  # the last norm of ViTs that pool before it


@contextmanager
def unfused(attentions: Iterator[Attention]):
    """Switch fused attention off inside the context and restore each module's own setting after it."""
    before = [(attention, attention.fused_attn) for attention in attentions]
    try:
        for attention, _ in before:
            attention.fused_attn = False
        yield
    finally:
        for attention, fused in before:
            attention.fused_attn = fused
