"""Fine-tuning: an encoder and a linear head trained together on labelled images."""

import copy

import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay
from torch import Generator, Tensor, nn
from tqdm import tqdm

from lib.data.images import as_floats
from lib.encoders.batches import in_batches
from lib.encoders.encoder import Encoder, final_patch_tokens, represent
from lib.pretrain.recipe import Recipe, batch_indices, seeded


class FineTuned(nn.Module):
    """A copy of an encoder and a linear head on its standardised representation, or on each of its
    final patch tokens.

    The head is zero at first. Features are standardised by a batch normalisation without
    parameters, as before MAE's linear probe (He et al. 2022): their scale differs between encoders,
    and a short training would not make up for it.

    Args:
        encoder: copied, so that it stays as it is.
        classes: outputs of the head.
        per_patch: one decision for each patch, row by row, instead of one for each image.
    """

    def __init__(self, encoder: Encoder, classes: int, per_patch: bool = False):
        super().__init__()
        self.encoder, self.per_patch = copy.deepcopy(encoder), per_patch
        self.model = self.encoder.model.requires_grad_(True)
        self.standardise = nn.BatchNorm1d(self.model.num_features, affine=False)
        # timm's, so that layer-wise decay counts it as the last layer
        self.model.reset_classifier(classes)
        self.standardise.to(self.encoder.device), self.model.to(self.encoder.device)
        self.head = self.model.get_classifier()
        nn.init.zeros_(self.head.weight), nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, or ``(batch, patches, classes)``, of images in [0, 1]."""
        normalised = self.encoder.normalise(images)
        features = (
            final_patch_tokens(self.model, normalised)
            if self.per_patch
            else represent(self.model, normalised, self.encoder.pooling)
        )
        return self.head(self.standardise(features.flatten(0, -2)).reshape(features.shape))

    @torch.no_grad()
    def predict(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """Most likely classes ``(n,)``, or ``(n, patches)``."""
        decide = lambda batch: self(batch).argmax(-1)  # noqa: E731
        return in_batches(self.encoder, decide, images, batch_size=batch_size)


def flip(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Mirror a random half of the images left to right, and with them labels ``(n, down,
    across)``."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    where = lambda mirrored, plain: torch.where(
        chosen.reshape(-1, *[1] * (plain.ndim - 1)), mirrored, plain
    )  # noqa: E731
    return where(images.flip(-1), images), (
        where(labels.flip(-1), labels) if labels.ndim > 1 else labels
    )


def shift(images: Tensor, generator: Generator, pixels: int = 2) -> Tensor:
    """Shift each image by up to some whole pixels in each direction, drawn uniformly; the pixels at
    the edges are repeated."""
    n, _, height, width = images.shape
    offset = torch.randint(-pixels, pixels + 1, (2, n, 1), generator=generator).to(images.device)
    rows, columns = (
        (torch.arange(size, device=images.device) + offset[axis]).clamp(0, size - 1)
        for axis, size in enumerate((height, width))
    )
    image = torch.arange(n, device=images.device)
    return images[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def fit_fine_tuned(
    encoder: Encoder,
    images: Tensor,
    labels: Tensor,
    epochs: int = 6,
    least_steps: int = 150,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    layer_decay: float = 0.65,
    seed: int = 0,
) -> FineTuned:
    """Train a copy of the encoder with a linear head by cross-entropy.

    AdamW (weight decay 0.05, not of vectors and tokens) with layer-wise learning rates: rate ·
    decay^(layers above), the head at the full rate; linear warm-up over a tenth of the steps, then
    half a cosine. Half of the images are mirrored; whole images, but not images with labels of
    patches, are also shifted by up to 2 pixels in each direction. RandAugment, mixup and label
    smoothing of the official recipes are left out.

    Bao, Dong, Piao, Wei (2022), *BEiT*, for layer-wise decay; 0.65 is SimMIM's for ViT-B (Xie et
    al. 2022).

    Args:
        images: ``(n, channels, height, width)`` in [0, 1], or bytes.
        labels: ``(n,)`` class of each image, or ``(n, down, across)`` class of each patch.
        epochs: passes over the images; there are max(least_steps, epochs · n / batch size) steps.
        least_steps: for few images.
        batch_size: images per step, n if there are fewer.
        learning_rate: peak of the head's.
        layer_decay: ratio of the learning rates of consecutive layers, in (0, 1].
        seed: of order and augmentation.

    Raises:
        ValueError: labels of another number than images, fewer than two classes, a decay outside
            (0, 1].
    """
    if len(images) != len(labels) or len(labels) == 0 or labels.max() < 1:
        raise ValueError(
            f"expected one label per image of at least 2 classes, got {len(images)} images and"
            f" labels {tuple(labels.shape)}"
        )
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay is in (0, 1], got {layer_decay}")
    batch_size = min(batch_size, len(images))
    steps = max(least_steps, epochs * len(images) // batch_size)
    recipe = Recipe(
        images=steps * batch_size,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=0.1,
        seed=seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout and stochastic depth, where the model has any
        tuned = FineTuned(encoder, int(labels.max()) + 1, per_patch=labels.ndim > 1).train()
        tokens = getattr(tuned.model, "no_weight_decay", set)()
        optimizer = torch.optim.AdamW(
            param_groups_layer_decay(
                tuned.model, recipe.weight_decay, tokens, layer_decay=layer_decay
            )
        )
        for step in tqdm(
            range(recipe.steps), desc=f"fine-tune {encoder.name}", unit="step", leave=False
        ):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step) * group["lr_scale"]
            chosen, generator = (
                batch_indices(step, batch_size, len(images), seed),
                seeded(seed, 1, step),
            )
            batch, targets = (
                t.to(encoder.device)
                for t in flip(as_floats(images[chosen]), labels[chosen], generator)
            )
            logits = tuned(batch if tuned.per_patch else shift(batch, generator))
            optimizer.zero_grad()
            F.cross_entropy(logits.flatten(0, -2), targets.flatten()).backward()
            nn.utils.clip_grad_norm_(tuned.parameters(), recipe.clip)
            optimizer.step()
    return tuned.eval().requires_grad_(False)


def fine_tune(
    encoder: Encoder,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    **options,
) -> Tensor:
    """Correctness on test images after :func:`fit_fine_tuned`, which takes the options.

    Returns:
        ``(m,)`` float, 1 where the prediction is right, so that the caller can form means and
        intervals over images.
    """
    return (
        fit_fine_tuned(encoder, images, labels, **options).predict(test_images) == test_labels
    ).float()
