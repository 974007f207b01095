"""One training step of each objective against this machine's matrix-multiply peak."""

import re
from collections.abc import Callable

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lib.bench.clock import least_seconds
from lib.data.fashion import load_fashion
from lib.data.images import Images
from lib.encoders.observe import unfused
from lib.pretrain.methods import METHODS, PROJECTION, RESNET, objective_for, small_encoder
from lib.pretrain.recipe import Recipe, optimizer_for, seeded
from lib.pretrain.trainer import descend

Training = tuple[str, str, str]  # objective, size of the encoder, images
GARMENTS, PHOTOGRAPHS = "garments", "photographs"
TRAININGS: tuple[Training, ...] = tuple(
    (method, size, images)
    for images in (GARMENTS, PHOTOGRAPHS)
    for size, methods in {
        "s": ("simmim", "mae", "moco-v3", "hybrid", "dino", "supervised"),
        RESNET: ("simclr", "byol", "simsiam", "moco-v3"),
    }.items()
    for method in methods
)
SIMMIM, MOCO = ("simmim", "s", GARMENTS), ("moco-v3", "s", GARMENTS)
# SimMIM passes 3 times through the encoder, MoCo v3 8 times: 2 views × (3 + 1)
AIM_SIMMIM, AIM_MOCO, SHARE_MOCO = 0.45, 0.9, 3 / 8
MATRIX_SIDES = (256, 512, 1024)
KINDS = {
    "matrix products": r"aten::(addmm|mm|bmm|baddbmm)$",
    "attention": r"aten::_scaled_dot_product",
    "convolutions": r"aten::.*convolution",
    "norms": r"aten::native_(layer|batch)_norm",
    "GELU, ReLU, pooling": r"aten::(gelu|clamp_min|threshold|relu|max_pool)",
}


def matrix_product(side: int) -> tuple[Callable[[], None], float]:
    """A task of about 2·10⁹ floating-point operations on square matrices that stay in the cache,
    and how many they are."""
    a, b, out = torch.randn(side, side), torch.randn(side, side), torch.empty(side, side)
    repeats = max(1, round(1e9 / side**3))

    def task() -> None:
        for _ in range(repeats):
            torch.mm(a, b, out=out)

    return task, 2.0 * side**3 * repeats


class Step:
    """One training step, as :func:`lib.pretrain.trainer.train` takes it, again and again on the
    same images.

    Args:
        method: of :data:`METHODS`.
        size: of the encoder.
        images: garments, or noise of the size of photographs, for encoders with a convolutional
            stem.
        batch_size: images.
    """

    def __init__(self, method: str, size: str, images: str, batch_size: int):
        torch.manual_seed(0)
        garments = load_fashion("test").subset(torch.arange(batch_size))
        photographs = Images(torch.rand(batch_size, 3, 64, 64), garments.labels, None, ("",) * 10)
        self.batch = garments if images == GARMENTS else photographs
        encoder, *_ = small_encoder(
            size, images == PHOTOGRAPHS, PROJECTION if images == GARMENTS else "convolutional"
        )
        weight = 0.4 if method == "hybrid" else None
        self.objective = objective_for(method, encoder, len(self.batch.classes), weight)
        self.recipe = Recipe(batch_size, batch_size, weight_decay=METHODS[method].weight_decay)
        self.optimizer = optimizer_for(self.objective, self.recipe)

    def loss(self) -> torch.Tensor:
        """Loss of freshly drawn views."""
        with record_function("draw"):
            drawn = self.objective.draw(self.batch, seeded(0))
        return self.objective(*((t - 0.286) / 0.353 if t.is_floating_point() else t for t in drawn))

    def __call__(self) -> None:
        """Take the step."""
        descend(self.loss(), self.objective, self.optimizer, self.recipe.clip)
        self.objective.update(0.5)


def operations(step: Step) -> int:
    """Floating-point operations of the matrix products and convolutions of a forward and backward
    pass, attention included."""
    attentions = [module for module in step.objective.modules() if hasattr(module, "fused_attn")]
    # the counter does not know the fused kernel of the CPU
    with unfused(attentions), FlopCounterMode(display=False) as counter:
        step.loss().backward()
    return counter.get_total_flops()


def where_time_goes(step: Callable[[], None]) -> dict[str, float]:
    """Share of each kind of operation in the time of a step, of drawing views and of the optimizer;
    the rest is element-wise work."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    of_kind = {
        kind: sum(e.self_cpu_time_total for e in events if re.match(pattern, e.key))
        for kind, pattern in KINDS.items()
    }
    of_range = {
        name: sum(e.cpu_time_total for e in events if e.key.startswith(key))
        for name, key in {"draw": "draw", "AdamW": "Optimizer.step"}.items()
    }
    shares = {name: time / total for name, time in (of_kind | of_range).items()}
    return shares | {"rest": max(0.0, 1 - sum(shares.values()))}


def measure(
    trainings: tuple[Training, ...] = TRAININGS, batch_size: int = 64, rounds: int = 3
) -> tuple[float, pd.DataFrame, pd.DataFrame]:
    """Speed of each training.

    Returns:
        the peak in operations per second; by (objective, encoder, images): images and operations per second
        and their share of the peak; and the shares of a step's time.
    """
    products = {side: matrix_product(side) for side in MATRIX_SIDES}
    steps: dict[Training, Step] = {pair: Step(*pair, batch_size) for pair in trainings}
    shares, flops = {}, {}
    for pair, step in tqdm(steps.items(), desc="profiles", leave=False):
        step()
        flops[pair], shares[pair] = operations(step), where_time_goes(step)
    peaks = [(side, product) for side, (product, _) in products.items()]
    seconds = least_seconds(
        [turn for pair, step in steps.items() for turn in (*peaks, (pair, step))], rounds
    )
    peak = max(count / seconds[side] for side, (_, count) in products.items())
    rows = {
        pair: {
            "images/s": batch_size / seconds[pair],
            "MFLOP/image": flops[pair] / batch_size / 1e6,
            "GFLOP/s": flops[pair] / seconds[pair] / 1e9,
            "of peak": flops[pair] / seconds[pair] / peak,
        }
        for pair in steps
    }
    return peak, pd.DataFrame(rows).T, pd.DataFrame(shares).T
