"""The training loop of every objective: schedule, exact resume, loss log, exported encoder and card."""

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Generator, Tensor, nn
from tqdm import tqdm

from lib.data.fashion import Images
from lib.probes.knn import knn_accuracy

LOG_FIELDS = ("step", "images", "seconds", "loss", "learning_rate", "representation_std", "knn_accuracy")


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train.

    Attributes:
        images: images to see in all; the learning rate reaches 0 there.
        batch_size: images per step.
        learning_rate: peak, after a linear warm-up over ``warmup`` of the steps, then half a cosine.
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
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))


def seeded(*numbers: int) -> Generator:
    """A generator that depends on all the numbers: the draws of a step need no state from the steps before."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % (2**63)
    return torch.Generator().manual_seed(mixed)


def batch_indices(step: int, batch_size: int, n: int, seed: int) -> Tensor:
    """Indices of the images of a step: each epoch is a fresh permutation, its last incomplete batch is dropped."""
    per_epoch = n // batch_size
    if per_epoch == 0:
        raise ValueError(f"a batch of {batch_size} images needs at least as many images, got {n}")
    epoch, position = divmod(step, per_epoch)
    return torch.randperm(n, generator=seeded(seed, 0, epoch))[position * batch_size : (position + 1) * batch_size]


def optimizer_for(objective: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors and tokens do not."""
    trained = [p for p in objective.parameters() if p.requires_grad]
    is_matrix = lambda p: p.squeeze().ndim > 1  # noqa: E731
    groups = [
        {"params": [p for p in trained if is_matrix(p)], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if not is_matrix(p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def atomic_save(state: dict, path: Path) -> None:
    """Write to a temporary name, then rename: a kill never leaves half a file."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


@torch.no_grad()
def representation(encoder: nn.Module, pooling: str, images: Tensor, mean: float, std: float) -> Tensor:
    """Representations ``(n, width)`` during training; the encoder is left in training mode."""
    encoder.eval()
    tokens = torch.cat([encoder.forward_features((chunk - mean) / std) for chunk in images.split(256)])
    encoder.train()
    return tokens[:, 0] if pooling == "class_token" else tokens[:, encoder.num_prefix_tokens :].mean(1)


def monitor(objective: nn.Module, bank: Images, queries: Images, mean: float, std: float) -> tuple[float, float]:
    """Collapse watch: standard deviation of the normalised representation × √width (1 when spread out), k-NN accuracy."""
    known, asked = (representation(objective.encoder, objective.pooling, data.images, mean, std) for data in (bank, queries))
    spread = F.normalize(asked, dim=1).std(0).mean().item() * asked.shape[1] ** 0.5
    return spread, knn_accuracy(known, bank.labels, asked, queries.labels).mean().item()


def train(
    objective: nn.Module,
    data: Images,
    held_out: Images,
    recipe: Recipe,
    folder: Path,
    name: str,
    mean: float,
    std: float,
    export: Callable[[dict], None],
    stop_after: int | None = None,
) -> None:
    """Train to the end of the recipe, continuing from the last saved state; an interrupted training loses the steps since then.

    Resuming gives the same weights as an uninterrupted run, because a step's draws depend on (seed, step) alone.

    Args:
        objective: module with ``encoder``, ``pooling``, ``draw``, ``forward`` and ``update``.
        data, held_out: training images; images for the k-NN watch (the first 2,000 of ``data`` are its bank).
        folder, name: where ``name.csv`` (log) and ``name.resume.pt`` (state) go.
        mean, std: normalisation of the images.
        export: called with ``{"images": …, "seconds": …}`` whenever a state is saved.
        stop_after: stop at this step as if killed after saving (for tests and for giving time back).
    """
    resume, log = folder / f"{name}.resume.pt", folder / f"{name}.csv"
    optimizer = optimizer_for(objective, recipe)
    step, seconds, rows = 0, 0.0, []
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds = state["step"], state["seconds"]
        rows = [row for row in csv.reader(log.open())][1:]
        rows = [row for row in rows if int(row[0]) <= step]
    bank = data.subset(torch.arange(min(2000, len(data))))
    objective.train()
    bar = tqdm(total=recipe.steps, initial=step, desc=name, unit="step", mininterval=10)
    started, losses = time.perf_counter() - seconds, []
    while step < recipe.steps:
        chosen = batch_indices(step, recipe.batch_size, len(data), recipe.seed)
        batch = data.subset(chosen)
        drawn = objective.draw(batch.images, batch.masks, seeded(recipe.seed, 1, step))
        drawn = tuple((t - mean) / std if t.is_floating_point() else t for t in drawn)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        loss = objective(*drawn)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{name}: the loss is {loss.item()} at step {step}; the last good state is {resume}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(objective.parameters(), recipe.clip)
        optimizer.step()
        objective.update(step / recipe.steps)
        losses.append(loss.item())
        step += 1
        bar.update()
        if step % max(1, recipe.steps // recipe.rows) == 0 or step == recipe.steps:
            spread, accuracy = monitor(objective, bank, held_out, mean, std)
            seconds = time.perf_counter() - started
            mean_loss = sum(losses) / len(losses)
            rows.append([step, step * recipe.batch_size, round(seconds), f"{mean_loss:.5f}", f"{recipe.rate(step - 1):.3e}", f"{spread:.4f}", f"{accuracy:.4f}"])
            bar.set_postfix(loss=f"{mean_loss:.3f}", knn=f"{accuracy:.3f}")
            losses = []
        if step % recipe.save_every == 0 or step in (recipe.steps, stop_after):
            seconds = time.perf_counter() - started
            atomic_save(dict(objective=objective.state_dict(), optimizer=optimizer.state_dict(), step=step, seconds=seconds), resume)
            with log.open("w", newline="") as file:
                csv.writer(file).writerows([LOG_FIELDS, *rows])
            export(dict(images=step * recipe.batch_size, seconds=round(seconds)))
        if step == stop_after:
            break
    bar.close()


def export_weights(objective: nn.Module, extras: tuple[str, ...], path: Path) -> None:
    """Write the encoder (``encoder.*``) and the named extras in half precision."""
    keep = ("encoder.", *(f"{extra}." for extra in extras), *extras)
    tensors = {k: v.half().contiguous() for k, v in objective.state_dict().items() if k.startswith(keep)}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary)
    os.replace(temporary, path)
