"""MAE: the encoder sees the visible patches alone, a Transformer decoder reconstructs the masked
ones.

He et al. (2022), *Masked Autoencoders Are Scalable Vision Learners*, section 3.
"""

import torch
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.encoders.architecture import sincos_positions
from lib.pretrain.augment import random_background, random_resized_crop
from lib.pretrain.distributed import own_rows, processes
from lib.pretrain.masking import blank, block_mask
from lib.pretrain.simmim import patchify


def normalised_pixels(patches: Tensor, eps: float = 1e-6) -> Tensor:
    """Each patch ``(n, patches, values)`` with mean 0 and variance 1 over its own values (unbiased
    variance, as the official code)."""
    return (patches - patches.mean(2, keepdim=True)) / (patches.var(2, keepdim=True) + eps).sqrt()


class Decoder(nn.Module):
    """Transformer from visible tokens and mask tokens to pixels.

    Args:
        grid: patches (down, across).
        features: width of the encoder.
        width, depth, heads: of the decoder.
        values: predicted values per patch.
    """

    def __init__(
        self, grid: tuple[int, int], features: int, width: int, depth: int, heads: int, values: int
    ):
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.mask_token = nn.Parameter(nn.init.normal_(torch.zeros(1, 1, width), std=0.02))
        positions = torch.cat([torch.zeros(1, width), sincos_positions(grid, width)])
        self.register_buffer("positions", positions.unsqueeze(0))
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, values)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Predicted patches ``(n, patches, values)`` from encoded tokens
        ``(n, 1 + visible, features)`` and the mask ``(n, patches)``."""
        tokens = self.embed(tokens)
        n, patches = mask.shape
        full = self.mask_token.expand(n, patches, -1).clone()
        full[~mask] = tokens[:, 1:].flatten(0, 1).to(full.dtype)  # visible patches keep their order
        tokens = torch.cat([tokens[:, :1], full], dim=1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens))[:, 1:]


class MAE(nn.Module):
    """Encode a quarter of the patches, decode all, compare the masked ones in normalised pixels.

    Args:
        encoder: timm ViT with a class token.
        features: its width.
        mask_rate: share of masked patches (0.75 in the paper), single patches.
        width, depth, heads: of the decoder (512, 8 and 16 in the paper).

    Raises:
        ValueError: an encoder with other tokens before its patches than one class token.
    """

    family = "MIM"

    def __init__(
        self,
        encoder: VisionTransformer,
        features: int,
        mask_rate: float = 0.75,
        width: int = 48,
        depth: int = 4,
        heads: int = 3,
    ):
        super().__init__()
        if encoder.cls_token is None or encoder.num_prefix_tokens != 1:
            raise ValueError(
                "MAE encodes a class token and patches, this encoder has"
                f" {encoder.num_prefix_tokens} tokens before its patches"
            )
        self.encoder = encoder
        self.patch_size, self.grid = (
            encoder.patch_embed.patch_size[0],
            encoder.patch_embed.grid_size,
        )
        values = self.patch_size**2 * encoder.patch_embed.proj.in_channels
        self.decoder = Decoder(self.grid, features, width, depth, heads, values)
        self.mask_rate, self.block = mask_rate, 1

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: one cropped view and its mask."""
        view = random_resized_crop(random_background(batch, generator), generator)
        return view, own_rows(
            block_mask(len(batch) * processes(), self.grid, self.mask_rate, generator, self.block)
        )

    def encode(self, images: Tensor, mask: Tensor) -> Tensor:
        """Tokens ``(n, 1 + visible, features)`` of the class token and the visible patches; each
        image masks the same number."""
        vit = self.encoder
        embedded = (
            vit.patch_embed(blank(images, mask, self.grid)).flatten(1, -2)
            + vit.pos_embed[:, vit.num_prefix_tokens :]
        )
        visible = embedded[~mask].reshape(len(images), -1, embedded.shape[-1])
        prefix = (vit.cls_token + vit.pos_embed[:, :1]).expand(len(images), -1, -1)
        return vit.norm(vit.blocks(vit.norm_pre(torch.cat([prefix, visible], dim=1))))

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """Predicted patches ``(n, patches, p²·c)`` in each patch's own normalised units."""
        return self.decoder(self.encode(images, mask), mask)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Mean squared error over the masked patches, of images ``(n, c, h, w)``, normalised, and a
        mask ``(n, patches)``."""
        error = (
            (self.reconstruct(images, mask) - normalised_pixels(patchify(images, self.patch_size)))
            .square()
            .mean(2)
        )
        return error[mask].mean()

    def update(self, progress: float) -> None:
        """Nothing to do after a step."""
