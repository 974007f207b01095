"""The adapter between a timm model and the tensors that probes and attributions need."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.functional import rgb_to_grayscale

from lib.data.images import as_floats
from lib.encoders.batches import in_batches
from lib.encoders.card import POOLINGS
from lib.encoders.device import products
from lib.encoders.observe import Block, observe_blocks

# timm's modules of models that attend over all patches in every block
PLAIN = ("vision_transformer", "vision_transformer_relpos", "deit", "beit", "eva")


class Encoder:
    """A frozen encoder that takes images in [0, 1]; normalisation and pooling are inside.

    It computes on the device of its model, and what it returns is where the images are.

    Args:
        model: timm model: a ``VisionTransformer`` (or one that keeps its block layout), or a
            convolutional network, which has no attention to observe. Put in evaluation mode,
            gradients to parameters switched off. Gradients to images flow.
        mean, std: per channel.
        pooling: what makes the representation: ``"class_token"`` or ``"patch_mean"`` of the tokens
            after the final norm, ``"attention_pool"`` of them (SigLIP's), or ``"global_average"``
            of a feature map.
        name: shown in tables and figures.
        family: ``"CL"``, ``"MIM"`` or ``"other"``.
        input_size: side that images are resized to (bilinear) before they enter, in pixels; None
            where they enter as they are.

    Raises:
        ValueError: an unknown pooling, a class token or attention asked of a model without one.
    """

    def __init__(
        self, model: nn.Module, mean: list[float], std: list[float], pooling: str,
        name: str = "encoder", family: str = "other", input_size: int | None = None,
    ):  # fmt: skip
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is one of {POOLINGS}, got {pooling!r}")
        if pooling == "class_token" and getattr(model, "num_prefix_tokens", 0) == 0:
            raise ValueError(f"{name} has no class token to pool; use pooling 'patch_mean'")
        if pooling == "attention_pool" and getattr(model, "attn_pool", None) is None:
            raise ValueError(f"{name} has no attention to pool with; use another pooling")
        self.model = model.eval().requires_grad_(False)
        self.mean, self.std = (
            torch.tensor(mean).reshape(1, -1, 1, 1),
            torch.tensor(std).reshape(1, -1, 1, 1),
        )
        self.pooling, self.name, self.family, self.input_size = pooling, name, family, input_size
        # (shape of an image, with gradients) -> bytes of a pass
        self.passes: dict[tuple[tuple[int, ...], bool], int] = {}

    def holding(self, model: nn.Module) -> "Encoder":
        """The same adapter around another model."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return Encoder(model, mean, std, self.pooling, self.name, self.family, self.input_size)

    @property
    def device(self) -> torch.device:
        """Where the model is, and so where it computes."""
        held = next(iter((*self.model.parameters(), *self.model.buffers())), None)
        return torch.device("cpu") if held is None else held.device

    @property
    def depth(self) -> int:
        """Number of Transformer blocks."""
        return len(self.model.blocks)

    @property
    def has_attention(self) -> bool:
        """Whether there are blocks with attention maps over all patches: a Vision Transformer, not
        a Swin, PVT, XCiT or CaiT."""
        return type(self.model).__module__.rpartition(".")[2] in PLAIN and hasattr(
            self.model, "blocks"
        )

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
        height, width = (self.input_size, self.input_size) if self.input_size else images.shape[-2:]
        return height // self.patch_size, width // self.patch_size

    def fit(self, images: Tensor) -> Tensor:
        """Images, floats or bytes, as the model takes them, in [0, 1]: resized to ``input_size``;
        grey ones repeated for a colour model, colours made grey for a grey one.

        Raises:
            ValueError: not ``(batch, channels, height, width)``, values outside [0, 1] or not
                finite, a wrong number of channels.
        """
        if images.ndim != 4:
            raise ValueError(
                f"expected images (batch, channels, height, width), got shape {tuple(images.shape)}"
            )
        images = as_floats(images)
        low, high = images.detach().aminmax()
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise ValueError(f"expected images in [0, 1], got values from {low:.4g} to {high:.4g}")
        channels = self.mean.shape[1]
        if images.shape[1] == 1 and channels == 3:
            images = images.expand(-1, 3, -1, -1)
        elif images.shape[1] == 3 and channels == 1:
            images = rgb_to_grayscale(images)
        if images.shape[1] != channels:
            raise ValueError(
                f"{self.name} takes {channels} channel(s), got images of shape"
                f" {tuple(images.shape)}"
            )
        if self.input_size and tuple(images.shape[2:]) != (self.input_size, self.input_size):
            images = F.interpolate(
                images, (self.input_size, self.input_size), mode="bilinear", antialias=True
            )
        return images

    def normalise(self, images: Tensor) -> Tensor:
        """(x − mean) / std per channel of :meth:`fit`'s images; raises its errors."""
        images = self.fit(images)
        return (images - self.mean.to(images)) / self.std.to(images)

    def __call__(self, images: Tensor) -> Tensor:
        """Representation ``(batch, width)`` of images ``(batch, channels, height, width)`` in [0,
        1]."""
        normalised = self.normalise(images.to(self.device))
        return represent(self.model, normalised, self.pooling).to(images.device)

    @torch.no_grad()
    def representations(
        self, images: Tensor, batch_size: int = 256, precision: str = "exact"
    ) -> Tensor:
        """Representations of many images, batch by batch, without gradients; see
        :mod:`lib.encoders.device` for the precision."""
        with products(self.device, precision):
            return in_batches(self, self, images, batch_size=batch_size)

    @torch.no_grad()
    def patch_tokens(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """Patch tokens ``(n, patches, width)`` after the final norm, row by row, batch by batch,
        without gradients."""
        tokens = lambda batch: final_patch_tokens(self.model, self.normalise(batch))  # noqa: E731
        return in_batches(self, tokens, images, batch_size=batch_size)

    @torch.no_grad()
    def observe(self, images: Tensor, look: Callable[[Block], None]) -> Tensor:
        """One forward pass that hands every block to ``look``, on the encoder's device, then
        forgets it; returns the representation.

        Raises:
            TypeError: the model has no blocks with an attention map.
            RuntimeError: a block did not yield exactly one map.
        """
        blocks, prefix_tokens = (
            getattr(self.model, "blocks", ()),
            getattr(self.model, "num_prefix_tokens", 0),
        )
        return observe_blocks(
            blocks,
            prefix_tokens,
            look,
            lambda: self(images.to(self.device)).to(images.device),
            f"{self.name} ({type(self.model).__name__})",
        )


def represent(model: nn.Module, normalised: Tensor, pooling: str) -> Tensor:
    """Representation ``(batch, width)`` by a timm model of images that are already normalised; see
    :class:`Encoder` for ``pooling``."""
    features = model.forward_features(normalised)
    # ConvNeXt and Swin pool in their head, each in its own layout, ConvNeXt with a norm
    if pooling == "global_average":
        return (
            model.forward_head(features, pre_logits=True)
            if hasattr(model, "head")
            else features.mean((2, 3))
        )
    if pooling == "attention_pool":
        return model.attn_pool(features)
    pooled = (
        features[:, 0]
        if pooling == "class_token"
        else features[:, model.num_prefix_tokens :].mean(1)
    )
    # the last norm of ViTs that pool before it
    return model.fc_norm(pooled) if hasattr(model, "fc_norm") else pooled


def final_patch_tokens(model: nn.Module, normalised: Tensor) -> Tensor:
    """Patch tokens ``(batch, patches, width)`` of a timm ViT after its last norm, of images that
    are already normalised.

    Models that pool before their last norm apply it to every token here. Images of another size
    than the model's need ``dynamic_img_size``, with which timm interpolates the position embedding.

    Raises:
        TypeError: a model without patch tokens.
    """
    if not hasattr(model, "patch_embed"):
        raise TypeError(f"a {type(model).__name__} has no patch tokens")
    tokens = model.forward_features(normalised)[:, model.num_prefix_tokens :]
    return model.fc_norm(tokens) if hasattr(model, "fc_norm") else tokens
