"""SimMIM: masked image modelling with a linear decoder.

Xie et al. (2022), *SimMIM: A Simple Framework for Masked Image Modeling*;
https://github.com/microsoft/SimMIM/blob/d3e29bcac950b83edc34ca33fe4404f38309052c/models/simmim.py
"""

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Generator, Tensor, nn

from lib.data.images import Images
from lib.pretrain.augment import random_background, random_resized_crop
from lib.pretrain.distributed import own_rows, processes
from lib.pretrain.masking import blank, block_mask


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cut images ``(n, c, h, w)`` into patches ``(n, h·w / p², p²·c)``, row by row.

    >>> patchify(torch.arange(16.).reshape(1, 1, 4, 4), 2)[0, 1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    n, c, h, w = images.shape
    p = patch_size
    return (
        images.reshape(n, c, h // p, p, w // p, p)
        .permute(0, 2, 4, 3, 5, 1)
        .reshape(n, (h // p) * (w // p), p * p * c)
    )


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of :func:`patchify`: ``(n, patches, p²·c)`` to ``(n, c, h, w)``."""
    n, p = len(patches), patch_size
    rows, columns = grid
    return (
        patches.reshape(n, rows, columns, p, p, -1)
        .permute(0, 5, 1, 3, 2, 4)
        .reshape(n, -1, rows * p, columns * p)
    )


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the masked patches alone.

    L = Σ_i m_i Σ_d |ŷ_id − y_id| / (D Σ_i m_i)

    Args:
        prediction, target: ``(n, patches, values)``.
        mask: ``(n, patches)`` bool, True where masked.
    """
    return (prediction - target).abs().mean(2)[mask].mean()


def forward_tokens(vit: VisionTransformer, tokens: Tensor) -> Tensor:
    """Run a ViT from its embedded patches: positions, class token, blocks, final norm ->
    ``(n, prefix + patches, width)``."""
    tokens = vit.norm_pre(vit.patch_drop(vit._pos_embed(tokens)))
    return vit.norm(vit.blocks(tokens))


class SimMIM(nn.Module):
    """Masked patches are replaced by a mask token before the encoder; one linear layer predicts
    their pixels.

    Args:
        encoder: timm ViT.
        features: its width.
        mask_rate: share of masked patches (0.6 in the paper).
        block: side of a masked block, in patches (32 px over 16 px patches in the paper).
    """

    family = "MIM"

    def __init__(
        self, encoder: VisionTransformer, features: int, mask_rate: float = 0.6, block: int = 2
    ):
        super().__init__()
        self.encoder = encoder
        self.patch_size = encoder.patch_embed.patch_size[0]
        self.grid = encoder.patch_embed.grid_size
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, 1, features), std=0.02))
        self.decoder = nn.Linear(
            features, self.patch_size**2 * encoder.patch_embed.proj.in_channels
        )
        self.mask_rate, self.block = mask_rate, block

    def draw(self, batch: Images, generator: Generator) -> tuple[Tensor, ...]:
        """The random part of a step: one lightly cropped view and its mask."""
        view = random_resized_crop(
            random_background(batch, generator), generator, scale=(0.67, 1.0)
        )
        return view, own_rows(
            block_mask(len(batch) * processes(), self.grid, self.mask_rate, generator, self.block)
        )

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """Predicted patches ``(n, patches, p²·c)``, normalised like ``images``, from images masked
        at ``mask``."""
        embedded = self.encoder.patch_embed(blank(images, mask, self.grid))
        if embedded.ndim == 4:  # an encoder for dynamic image sizes keeps the grid
            visible = torch.where(mask.reshape(*embedded.shape[:3], 1), self.mask_token, embedded)
        else:
            visible = torch.where(mask.unsqueeze(2), self.mask_token, embedded)
        return self.decoder(
            forward_tokens(self.encoder, visible)[:, self.encoder.num_prefix_tokens :]
        )

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Masked L1 loss of images ``(n, c, h, w)``, normalised, and a mask ``(n, patches)``."""
        return masked_l1(self.reconstruct(images, mask), patchify(images, self.patch_size), mask)

    def update(self, progress: float) -> None:
        """Nothing to do after a step."""
