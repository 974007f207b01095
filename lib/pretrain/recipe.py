"""How long and how fast an encoder is trained, and in which order it sees the images."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train.

    Attributes:
        images: images to see in all; the learning rate reaches 0 there.
        batch_size: images per step.
        learning_rate: peak, after a linear warm-up over ``warmup`` of the steps, then half a
            cosine.
        weight_decay: of matrices; vectors (biases, norms, tokens) do not decay.
        clip: largest gradient norm.
        seed: of weights, order and every random draw.
        save_every: steps between saved states.
        rows: of the log, equally spaced.
    """

    images: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip: float = 3.0
    seed: int = 0
    save_every: int = 250
    rows: int = 30

    @property
    def steps(self) -> int:
        return self.images // self.batch_size

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        warmup = max(1, round(self.warmup * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return (
            self.learning_rate
            * 0.5
            * (1 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))
        )


def seeded(*numbers: int) -> Generator:
    """A generator that depends on all the numbers: the draws of a step need no state from the steps
    before."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % (2**63)
    return torch.Generator().manual_seed(mixed)


@lru_cache(maxsize=2)
def _epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=seeded(seed, 0, epoch))


def batch_indices(step: int, batch_size: int, n: int, seed: int) -> Tensor:
    """Indices of the images of a step: each epoch is a fresh permutation, its last incomplete batch
    is dropped."""
    per_epoch = n // batch_size
    if per_epoch == 0:
        raise ValueError(f"a batch of {batch_size} images needs at least as many images, got {n}")
    epoch, position = divmod(step, per_epoch)
    return _epoch_order(n, seed, epoch)[position * batch_size : (position + 1) * batch_size]


def optimizer_for(objective: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors and tokens do not."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    is_matrix = lambda p: p.squeeze().ndim > 1  # noqa: E731
    groups = [
        {"params": [p for p in trained if is_matrix(p)], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if not is_matrix(p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)
