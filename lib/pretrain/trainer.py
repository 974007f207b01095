"""The training loop of every objective: schedule, exact resume, loss log, exported encoder and
card."""

import csv
import os
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from tqdm import tqdm

from lib.data.images import Images
from lib.encoders.encoder import represent
from lib.encoders.knn import knn_accuracy
from lib.pretrain.distributed import mean_over_processes, own_rows, parallel, rank, start
from lib.pretrain.recipe import Recipe, batch_indices, optimizer_for, seeded
from lib.pretrain.source import ImageFiles, batches

LOG_FIELDS = (
    "step",
    "images",
    "seconds",
    "loss",
    "learning_rate",
    "representation_std",
    "knn_accuracy",
)


@torch.no_grad()
def representations(
    encoder: nn.Module, pooling: str, data: Images | ImageFiles, mean: Tensor, std: Tensor
) -> Tensor:
    """Representations ``(n, width)`` during training, on the CPU; the encoder is left in training
    mode."""
    encoder.eval()
    chunks = batches(data, torch.arange(len(data)).split(256), mean.device)
    found = torch.cat(
        [represent(encoder, (chunk.images - mean) / std, pooling).float().cpu() for chunk in chunks]
    )
    encoder.train()
    return found


def monitor(
    objective: nn.Module,
    pooling: str,
    bank: Images | ImageFiles,
    queries: Images | ImageFiles,
    mean: Tensor,
    std: Tensor,
) -> tuple[float, float]:
    """Collapse watch: standard deviation of the normalised representation × √width (1 when spread
    out), k-NN accuracy."""
    known, asked = (
        representations(objective.encoder, pooling, data, mean, std) for data in (bank, queries)
    )
    spread = F.normalize(asked, dim=1).std(0).mean().item() * asked.shape[1] ** 0.5
    return spread, knn_accuracy(known, bank.labels, asked, queries.labels).mean().item()


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        step: steps done.
        seconds: spent on them.
        losses: of the steps since the last row of the log.
        rows: of the log.
    """

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    rows: list[list] = field(default_factory=list)


def _damage(state: Path) -> str | None:
    """Which entry of a saved state is not as its checksum says; None if all are."""
    try:
        with zipfile.ZipFile(state) as file:
            return file.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        return str(error)


def restore(stem: Path, objective: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the last saved state, ``STEM.resume.pt`` and ``STEM.csv``, if there is one; a damaged
    one is named and removed."""
    resume = stem.with_name(f"{stem.name}.resume.pt")
    if not resume.exists():
        return Progress()
    if what := _damage(resume):
        print(f"{resume.name} is damaged, trained from the start: {what}", file=sys.stderr)
        resume.unlink(missing_ok=True)
        return Progress()
    state = torch.load(resume, weights_only=True, map_location="cpu")
    objective.load_state_dict(state["objective"])
    optimizer.load_state_dict(state["optimizer"])
    with stem.with_name(f"{stem.name}.csv").open() as file:
        rows = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= state["step"]]
    return Progress(state["step"], state["seconds"], state["losses"], rows)


def save(
    stem: Path, objective: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write what :func:`restore` reads, the state last: a kill in between leaves the state before,
    and rows that the next start drops."""
    log, resume = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.resume.pt")
    with log.with_suffix(".csv.tmp").open("w", newline="") as file:
        csv.writer(file).writerows([LOG_FIELDS, *progress.rows])
    os.replace(log.with_suffix(".csv.tmp"), log)
    state = dict(objective=objective.state_dict(), optimizer=optimizer.state_dict())
    torch.save(
        state | dict(step=progress.step, seconds=progress.seconds, losses=progress.losses),
        resume.with_suffix(".tmp"),
    )
    os.replace(resume.with_suffix(".tmp"), resume)


def descend(
    loss: Tensor, objective: nn.Module, optimizer: torch.optim.Optimizer, clip: float
) -> None:
    """One step down the gradient of a loss, its norm at most ``clip``."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(objective.parameters(), clip)
    optimizer.step()


def train(
    objective: nn.Module,
    data: Images | ImageFiles,
    held_out: Images | ImageFiles,
    recipe: Recipe,
    stem: Path,
    mean: Tensor,
    std: Tensor,
    pooling: str,
    export: Callable[[int, int], None],
    stop_after: int | None = None,
) -> None:
    """Train to the end of the recipe, continuing from the last saved state; an interrupted training
    loses the steps since then.

    Resuming gives the same weights as an uninterrupted run, because a step's draws depend on (seed,
    step) alone. Under torchrun the processes share each batch (see
    :mod:`lib.pretrain.distributed`); process 0 watches and writes.

    Args:
        objective: module with ``encoder``, ``draw``, ``forward`` and ``update``.
        data, held_out: training images; images for the k-NN watch (the first 2,000 of ``data`` are
            its bank).
        recipe: how long and how fast.
        stem: path without ending: ``STEM.csv`` is the log, ``STEM.resume.pt`` the state.
        mean, std: normalisation of the images, ``(channels, 1, 1)``.
        pooling: what makes the representation that the k-NN watch sees.
        export: called with the images seen and the seconds spent whenever a state is saved.
        stop_after: stop at this step as if killed after saving (for tests and for giving time
            back).

    Raises:
        FloatingPointError: the loss is not finite; the last saved state stays.
    """
    device = start()
    objective.to(device).train()
    optimizer = optimizer_for(objective, recipe)
    progress = restore(stem, objective, optimizer)
    loss_of = parallel(objective, device)
    bank = data.subset(torch.arange(min(2000, len(data))))
    bar = tqdm(
        total=recipe.steps,
        initial=progress.step,
        desc=stem.name,
        unit="step",
        mininterval=10,
        disable=rank() > 0,
    )
    mean, std = mean.to(device), std.to(device)
    started = time.perf_counter() - progress.seconds
    steps = range(progress.step, recipe.steps)
    order = (
        own_rows(batch_indices(step, recipe.batch_size, len(data), recipe.seed)) for step in steps
    )
    for step, batch in zip(steps, batches(data, order, device), strict=True):
        drawn = objective.draw(batch, seeded(recipe.seed, 1, step))
        drawn = tuple((t - mean) / std if t.is_floating_point() else t.to(device) for t in drawn)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(*drawn)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"{stem.name}: the loss is {loss.item()} at step {step}; the last good state is"
                f" {stem}.resume.pt"
            )
        descend(loss, objective, optimizer, recipe.clip)
        objective.update(step / recipe.steps)
        progress.losses.append(mean_over_processes(loss))
        progress.step = step = step + 1
        progress.seconds = time.perf_counter() - started
        bar.update()
        if rank() == 0 and (
            step % max(1, recipe.steps // recipe.rows) == 0 or step == recipe.steps
        ):
            spread, accuracy = monitor(objective, pooling, bank, held_out, mean, std)
            mean_loss, rate = sum(progress.losses) / len(progress.losses), recipe.rate(step - 1)
            seen = [step, step * recipe.batch_size, round(progress.seconds)]
            progress.rows.append(
                [*seen, f"{mean_loss:.5f}", f"{rate:.3e}", f"{spread:.4f}", f"{accuracy:.4f}"]
            )
            bar.set_postfix(loss=f"{mean_loss:.3f}", knn=f"{accuracy:.3f}")
            progress.losses = []
        if rank() == 0 and (step % recipe.save_every == 0 or step in (recipe.steps, stop_after)):
            export(step * recipe.batch_size, round(progress.seconds))
            save(stem, objective, optimizer, progress)
        if step == stop_after:
            break
    bar.close()


def export_weights(objective: nn.Module, extras: Sequence[str], path: Path) -> None:
    """Write the encoder (``encoder.*``) and the named extras in half precision."""
    keep = ("encoder.", *(f"{extra}." for extra in extras), *extras)
    tensors = {
        k: v.half().contiguous() for k, v in objective.state_dict().items() if k.startswith(keep)
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(to_bytes(tensors))
    os.replace(temporary, path)
