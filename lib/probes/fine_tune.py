"""Fine-tuning: an encoder and a linear head trained together on labelled images, from the linear
probe on, until held-out images say that it is enough."""

import copy

import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay
from torch import Generator, Tensor, nn
from tqdm import tqdm

from lib.encoders.encoder import Encoder, final_patch_tokens, represent
from lib.pretrain.recipe import batch_indices, seeded
from lib.probes.linear_probe import FOLDS, LinearProbe, fit_linear_probe, folds

UNSEEN = -5.0  # intercept, at first, of a class that only held-out images have


class FineTuned(nn.Module):
    """A copy of an encoder and a linear head on its representation, or on each of its final patch
    tokens; at first it predicts what a linear probe does.

    The head reads features that are standardised as for the probe, since their scale differs
    between encoders.

    Args:
        encoder: copied, so that it stays as it is.
        probe: fitted to the encoder's features.
        classes: outputs of the head, class k the k-th.
        per_patch: one decision for each patch, row by row, instead of one for each image.
    """

    def __init__(self, encoder: Encoder, probe: LinearProbe, classes: int, per_patch: bool = False):
        super().__init__()
        self.encoder, self.per_patch = copy.deepcopy(encoder), per_patch
        self.model = self.encoder.model.requires_grad_(True)
        self.register_buffer("mean", torch.from_numpy(probe.mean).float())
        self.register_buffer("scale", torch.from_numpy(probe.scale).float())
        # timm's classifier, so that layer-wise decay counts it as the last layer
        self.model.reset_classifier(classes)
        self.head = self.model.get_classifier()
        nn.init.zeros_(self.head.weight), nn.init.constant_(self.head.bias, UNSEEN)
        known, weights = torch.from_numpy(probe.classes), torch.from_numpy(probe.weights).float()
        with torch.no_grad():
            self.head.weight[known], self.head.bias[known] = weights[:-1].T, weights[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(batch, classes)``, or ``(batch, patches, classes)``, of images in [0, 1]."""
        normalised = self.encoder.normalise(images)
        features = (
            final_patch_tokens(self.model, normalised)
            if self.per_patch
            else represent(self.model, normalised, self.encoder.pooling)
        )
        return self.head((features - self.mean) / self.scale)

    @torch.no_grad()
    def logits(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """As ``forward``, batch by batch, in evaluation mode and without gradients."""
        self.eval()
        return torch.cat([self(batch) for batch in images.split(batch_size)])

    def predict(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """Most likely classes ``(n,)``, or ``(n, patches)``."""
        return self.logits(images, batch_size).argmax(-1)

    def loss(self, images: Tensor, labels: Tensor) -> float:
        """Mean cross-entropy of images with labels ``(n,)``, or ``(n, down, across)``."""
        logits = self.logits(images).double()
        return F.cross_entropy(logits.flatten(0, -2), labels.flatten()).item()


def flip(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Mirror a random half of the images left to right, and with them labels ``(n, down,
    across)``."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
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
    offset = torch.randint(-pixels, pixels + 1, (2, n, 1), generator=generator)
    rows, columns = (
        (torch.arange(size) + offset[axis]).clamp(0, size - 1)
        for axis, size in enumerate((height, width))
    )
    return images[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def start_from_probe(encoder: Encoder, images: Tensor, labels: Tensor, classes: int) -> FineTuned:
    """Encoder and head before any training: the converged linear probe of these images; arguments
    as of :func:`fit_fine_tuned`."""
    if labels.ndim == 1:
        return FineTuned(
            encoder, fit_linear_probe(encoder.representations(images), labels), classes
        )
    tokens = encoder.patch_tokens(images)
    groups = torch.arange(len(tokens)).repeat_interleave(tokens.shape[1])
    probe = fit_linear_probe(tokens.flatten(0, 1), labels.flatten(), groups=groups)
    return FineTuned(encoder, probe, classes, per_patch=True)


def held_out(labels: Tensor, seed: int) -> Tensor:
    """Which fifth of the images a seed holds out, ``(n,)`` bool: of labels ``(n,)`` stratified, of
    labels of patches every fifth image."""
    place = labels if labels.ndim == 1 else torch.zeros(len(labels), dtype=torch.long)
    return torch.from_numpy(folds(place.numpy(), FOLDS) == seed % FOLDS)


def fit_fine_tuned(
    encoder: Encoder,
    images: Tensor,
    labels: Tensor,
    seed: int = 0,
    learning_rate: float = 1e-3,
    layer_decay: float = 0.65,
    batch_size: int = 32,
    patience: int = 3,
    rounds: int = 60,
) -> FineTuned:
    """Train a copy of the encoder with a linear head by cross-entropy, until the cross-entropy of a
    held-out fifth of the images has not fallen for some rounds; the state in which it was least,
    the start among them, is returned.

    The head starts at the linear probe of the other four fifths, so that training cannot end below
    it on the held-out images; a random head would first spoil the encoder (Kumar, Raghunathan,
    Jones, Ma, Liang 2022, *Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution*). A round is a pass over the images, of at least 10 steps. AdamW (weight
    decay 0.05, not of vectors and tokens) with layer-wise learning rates: rate · decay^(layers
    above), the head at the full rate, all rising linearly in the first round. Half of the images
    are mirrored; whole images, but not images with labels of patches, are also shifted by up to 2
    pixels. RandAugment, mixup and label smoothing of the official recipes are left out.

    Bao, Dong, Piao, Wei (2022), *BEiT*, for layer-wise decay; 0.65 is SimMIM's for ViT-B (Xie et
    al. 2022).

    Args:
        images: ``(n, channels, height, width)`` in [0, 1], at least 25.
        labels: ``(n,)`` class of each image, or ``(n, down, across)`` class of each patch.
        seed: of order and augmentation, and which fifth is held out.
        learning_rate: of the head.
        layer_decay: ratio of the learning rates of consecutive layers, in (0, 1].
        batch_size: images per step, fewer if there are fewer.
        patience: rounds without a smaller held-out loss after which training ends.
        rounds: most rounds.

    Raises:
        ValueError: labels of another number than images, fewer than 25 images or two classes, a
            decay outside (0, 1].
    """
    if len(images) != len(labels) or len(labels) < FOLDS**2 or labels.max() < 1:
        raise ValueError(
            f"expected one label per image of at least 2 classes and {FOLDS**2} images, got"
            f" {len(images)} images and labels {tuple(labels.shape)}"
        )
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay is in (0, 1], got {layer_decay}")
    out = held_out(labels, seed)
    known, answers = images[~out], labels[~out]
    tuned = start_from_probe(encoder, known, answers, int(labels.max()) + 1)
    least, best = tuned.loss(images[out], labels[out]), copy.deepcopy(tuned.state_dict())
    batch_size = min(batch_size, len(known))
    steps = max(10, len(known) // batch_size)  # of a round
    skip = getattr(tuned.model, "no_weight_decay", set)()
    groups = param_groups_layer_decay(tuned.model, 0.05, skip, layer_decay=layer_decay)
    optimizer, waited = torch.optim.AdamW(groups), 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout and stochastic depth, where the model has any
        bar = tqdm(range(rounds), desc=f"fine-tune {encoder.name}", unit="round", leave=False)
        for round_ in bar:
            tuned.train()
            for step in range(round_ * steps, (round_ + 1) * steps):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * min(1, (step + 1) / steps) * group["lr_scale"]
                chosen = batch_indices(step, batch_size, len(known), seed)
                _step(tuned, optimizer, known[chosen], answers[chosen], seeded(seed, 1, step))
            loss = tuned.loss(images[out], labels[out])
            waited = 0 if loss < least else waited + 1
            if loss < least:
                least, best = loss, copy.deepcopy(tuned.state_dict())
            bar.set_postfix_str(f"held-out loss {loss:.3f}, least {least:.3f}")
            if waited == patience:
                break
    tuned.load_state_dict(best)
    return tuned.eval().requires_grad_(False)


def _step(
    tuned: FineTuned,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    generator: Generator,
) -> None:
    images, labels = flip(images, labels, generator)
    logits = tuned(images if tuned.per_patch else shift(images, generator))
    optimizer.zero_grad()
    F.cross_entropy(logits.flatten(0, -2), labels.flatten()).backward()
    nn.utils.clip_grad_norm_(tuned.parameters(), 3.0)
    optimizer.step()


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
    tuned = fit_fine_tuned(encoder, images, labels, **options)
    return (tuned.predict(test_images) == test_labels).float()
