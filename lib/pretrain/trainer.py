"""The training loop of every objective: schedule, exact resume, loss log, exported encoder and card."""

import csv
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from lib.data.fashion import Images
from lib.encoders.encoder import represent
from lib.pretrain.recipe import Recipe, batch_indices, optimizer_for, seeded
from lib.probes.knn import knn_accuracy

LOG_FIELDS = ("step", "images", "seconds", "loss", "learning_rate", "representation_std", "knn_accuracy")


def atomic_save(state: dict, path: Path) -> None:
    """Write to a temporary name, then rename: a kill never leaves half a file."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


@torch.no_grad()
def representations(encoder: nn.Module, pooling: str, images: Tensor, mean: float, std: float) -> Tensor:
    """Representations ``(n, width)`` during training; the encoder is left in training mode."""
    encoder.eval()
    found = torch.cat([represent(encoder, (chunk - mean) / std, pooling) for chunk in images.split(256)])
    encoder.train()
    return found


def monitor(objective: nn.Module, pooling: str, bank: Images, queries: Images, mean: float, std: float) -> tuple[float, float]:
    """Collapse watch: standard deviation of the normalised representation × √width (1 when spread out), k-NN accuracy."""
    known, asked = (representations(objective.encoder, pooling, data.images, mean, std) for data in (bank, queries))
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
    pooling: str,
    export: Callable[[int, int], None],
    stop_after: int | None = None,
) -> None:
    """Train to the end of the recipe, continuing from the last saved state; an interrupted training loses the steps since then.

    Resuming gives the same weights as an uninterrupted run, because a step's draws depend on (seed, step) alone.

    Args:
        objective: module with ``encoder``, ``draw``, ``forward`` and ``update``.
        data, held_out: training images; images for the k-NN watch (the first 2,000 of ``data`` are its bank).
        folder, name: where ``name.csv`` (log) and ``name.resume.pt`` (state) go.
        mean, std: normalisation of the images.
        pooling: what makes the representation that the k-NN watch sees.
        export: called with the images seen and the seconds spent whenever a state is saved.
        stop_after: stop at this step as if killed after saving (for tests and for giving time back).
    """
    resume, log = folder / f"{name}.resume.pt", folder / f"{name}.csv"
    optimizer = optimizer_for(objective, recipe)
    step, seconds, losses, rows = 0, 0.0, [], []
    if resume.exists():
        state = torch.load(resume, weights_only=True)
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds, losses = state["step"], state["seconds"], state["losses"]
        rows = [row for row in csv.reader(log.open())][1:]
        rows = [row for row in rows if int(row[0]) <= step]
    bank = data.subset(torch.arange(min(2000, len(data))))
    objective.train()
    bar = tqdm(total=recipe.steps, initial=step, desc=name, unit="step", mininterval=10)
    started = time.perf_counter() - seconds
    while step < recipe.steps:
        batch = data.subset(batch_indices(step, recipe.batch_size, len(data), recipe.seed))
        drawn = objective.draw(batch, seeded(recipe.seed, 1, step))
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
            spread, accuracy = monitor(objective, pooling, bank, held_out, mean, std)
            seconds = time.perf_counter() - started
            mean_loss, rate = sum(losses) / len(losses), recipe.rate(step - 1)
            seen = [step, step * recipe.batch_size, round(seconds)]
            rows.append([*seen, f"{mean_loss:.5f}", f"{rate:.3e}", f"{spread:.4f}", f"{accuracy:.4f}"])
            bar.set_postfix(loss=f"{mean_loss:.3f}", knn=f"{accuracy:.3f}")
            losses = []
        if step % recipe.save_every == 0 or step in (recipe.steps, stop_after):
            seconds = time.perf_counter() - started
            atomic_save(dict(objective=objective.state_dict(), optimizer=optimizer.state_dict(), step=step, seconds=seconds, losses=losses), resume)
            with log.open("w", newline="") as file:
                csv.writer(file).writerows([LOG_FIELDS, *rows])
            export(step * recipe.batch_size, round(seconds))
        if step == stop_after:
            break
    bar.close()


def export_weights(objective: nn.Module, extras: Sequence[str], path: Path) -> None:
    """Write the encoder (``encoder.*``) and the named extras in half precision."""
    keep = ("encoder.", *(f"{extra}." for extra in extras), *extras)
    tensors = {k: v.half().contiguous() for k, v in objective.state_dict().items() if k.startswith(keep)}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary)
    os.replace(temporary, path)
