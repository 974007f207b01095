"""Masked image models with what they need to reconstruct images, from cards."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.encoders.architecture import build
from lib.encoders.card import CHECKPOINTS, read_card
from lib.encoders.device import chosen_device
from lib.encoders.encoder import Encoder
from lib.encoders.load import load_encoder, load_tensors
from lib.encoders.observe import Block, observe_blocks
from lib.pretrain.mae import MAE
from lib.pretrain.masking import block_mask
from lib.pretrain.methods import METHODS
from lib.pretrain.simmim import SimMIM, patchify, unpatchify

MODELS = {"SimMIM": SimMIM, "MAE": MAE}


def restore(name: str, root: Path = CHECKPOINTS) -> SimMIM | MAE:
    """The whole masked image model of a card: encoder, mask token and decoder, in evaluation mode.

    Args:
        name: such as ``"fashion/mae-s"``.
        root: folder of the cards.

    Raises:
        ValueError: a card of another method, or tensors that do not fit.
    """
    card = read_card(root / f"{name}.yaml")
    if card.method not in MODELS:
        raise ValueError(
            f"{name} is {card.method}; models that reconstruct are {', '.join(MODELS)}"
        )
    encoder, tensors = (
        build(card.architecture, card.arguments),
        load_tensors(card, root / f"{name}.safetensors"),
    )
    # the decoder of trainings on a folder of images
    published = next(method.heads for method in METHODS.values() if method.title == card.method)
    wide = len(tensors.get("decoder.embed.weight", ())) == published.get("width")
    model = MODELS[card.method](encoder, encoder.num_features, **(published if wide else {}))
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{name} does not fit {card.method}: {error}") from error
    return model.eval().requires_grad_(False).to(chosen_device())


def draw_mask(model: SimMIM | MAE, images: int, mask_rate: float, seed: int) -> Tensor:
    """Masks ``(images, patches)`` as in the model's training: blocks for SimMIM, single patches for
    MAE; rate 0 masks nothing."""
    if mask_rate == 0:
        rows, columns = model.grid
        return torch.zeros(images, rows * columns, dtype=torch.bool)
    return block_mask(
        images, model.grid, mask_rate, torch.Generator().manual_seed(seed), model.block
    )


def on_grid(model: SimMIM | MAE, images: Tensor) -> Tensor:
    """Images resized to the model's own grid of patches, if they have another: its masks and its
    decoder have no other."""
    size = tuple(side * model.patch_size for side in model.grid)
    return (
        images
        if tuple(images.shape[2:]) == size
        else F.interpolate(images, size, mode="bilinear", antialias=True)
    )


@torch.no_grad()
def reconstruct(
    name: str, images: Tensor, seed: int = 0, root: Path = CHECKPOINTS
) -> tuple[Tensor, Tensor]:
    """What a masked image model sees and what it fills in.

    MAE predicts patches with mean 0 and variance 1; they are scaled back with the true patch's mean
    and variance.

    Args:
        name: of the card.
        images: ``(n, channels, height, width)`` in [0, 1].
        seed: of the masks.
        root: folder of the cards.

    Returns:
        two tensors of images as the model takes them: masked patches grey, and masked patches
        filled in; visible patches are the image's own.
    """
    model, encoder, home = restore(name, root), load_encoder(name, root), images.device
    mask, images = (
        draw_mask(model, len(images), model.mask_rate, seed).to(encoder.device),
        on_grid(model, encoder.fit(images.to(encoder.device))),
    )
    patches = patchify(images, model.patch_size)
    predicted = model.reconstruct(encoder.normalise(images), mask)
    if isinstance(model, MAE):
        filled = predicted * (patches.var(2, keepdim=True) + 1e-6).sqrt() + patches.mean(
            2, keepdim=True
        )
    else:
        scale = (values.flatten().to(predicted) for values in (encoder.mean, encoder.std))
        filled = unscale(predicted, *scale)
    seen, whole = (
        torch.where(mask[..., None], other, patches).clamp(0, 1)
        for other in (torch.tensor(0.5), filled)
    )
    seen, whole = (unpatchify(p, model.patch_size, model.grid).to(home) for p in (seen, whole))
    return seen, whole


def unscale(patches: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalised patches ``(n, patches, p²·c)``, channels last, back in [0, 1] pixels."""
    by_channel = patches.unflatten(2, (-1, len(mean)))
    return (by_channel * std + mean).flatten(2)


class MAEDecoder:
    """MAE's decoder, to be observed like an encoder.

    Args:
        model: with encoder and decoder.
        encoder: the adapter of its encoder, for the normalisation.
        mask_rate: share of mask tokens among what the decoder gets; 0 gives it every patch.
        seed: of the masks, which are the same in every batch.
        name: shown in tables and figures.
    """

    prefix_tokens = 1

    def __init__(
        self,
        model: MAE,
        encoder: Encoder,
        mask_rate: float = 0.0,
        seed: int = 0,
        name: str = "MAE decoder",
    ):
        self.model, self.encoder, self.mask_rate, self.seed, self.name = (
            model,
            encoder,
            mask_rate,
            seed,
            name,
        )
        self.depth = len(model.decoder.blocks)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.encoder.device

    @torch.no_grad()
    def observe(self, images: Tensor, look: Callable[[Block], None]) -> Tensor:
        """Predicted patches of images ``(n, channels, height, width)`` in [0, 1]; every decoder
        block is handed to ``look``."""
        images = images.to(self.device)
        mask = draw_mask(self.model, len(images), self.mask_rate, self.seed).to(self.device)
        tokens = self.model.encode(
            self.encoder.normalise(on_grid(self.model, self.encoder.fit(images))), mask
        )
        return observe_blocks(
            self.model.decoder.blocks,
            self.prefix_tokens,
            look,
            lambda: self.model.decoder(tokens, mask),
            self.name,
        )
