"""Exercises of the module *What do attention maps tell?*: references, inputs, usual mistakes."""

import math

import numpy as np
import torch
from torch import Tensor

from lib import probes
from lib.lab.exercise import Exercise
from lib.probes.normalized_mutual_information import normalized_mutual_information
from lib.probes.patch_attention import patch_attention

GRID = (3, 4)


def _softmax(*shape: int, seed: int = 0, sharp: float = 2.0) -> Tensor:
    logits = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (sharp * logits).softmax(-1)


def patches_only(attention: Tensor, prefix_tokens: int) -> Tensor:
    """Attention among patch tokens; see :func:`lib.probes.patch_attention.patch_attention`."""
    return patch_attention(attention, prefix_tokens)


def _cut(attention: Tensor, prefix: int) -> Tensor:
    return attention[:, :, prefix:, prefix:]


PATCHES_ONLY = Exercise(
    patches_only,
    lambda: [(_softmax(2, 3, 13, 13), 1), (_softmax(1, 2, 16, 16), 4)],
    {
        "the class token is kept: drop the first prefix_tokens rows and columns": lambda a, p: a,
        "the rows are not normalised: without the class token they no longer sum to 1": _cut,
        "the class token is dropped as a key, but kept as a query (or the reverse): drop its row and"
        " its column": lambda a, p: a[:, :, :, p:] / a[:, :, :, p:].sum(-1, keepdim=True),
        "the class token is dropped as a query, but kept as a key: drop its row and its column":
            lambda a, p: a[:, :, p:],
        "normalised along the wrong axis: the sum over queries is 1, the sum over keys (the last"
        " axis) should be": lambda a, p: _cut(a, p) / _cut(a, p).sum(-2, keepdim=True),
        "normalised over the whole map: every row should sum to 1, not the map":
            lambda a, p: _cut(a, p) / _cut(a, p).sum((-2, -1), keepdim=True),
        "always one token is dropped: prefix_tokens says how many":
            lambda a, p: patch_attention(a, 1),
    },
)  # fmt: skip


def map_of_query(attention: Tensor, row: int, column: int, grid: tuple[int, int]) -> Tensor:
    """Where the query patch at (row, column) looks, heads averaged.

    Args:
        attention: ``(heads, patches, patches)`` of one image.
        row, column: of the query on the grid.
        grid: patches (down, across).

    Returns:
        ``(down, across)``, sums to 1.
    """
    return attention.mean(0)[row * grid[1] + column].reshape(grid)


MAP_OF_QUERY = Exercise(
    map_of_query,
    lambda: [(_softmax(3, 12, 12), 2, 1, GRID), (_softmax(2, 12, 12, seed=1), 0, 2, (4, 3))],
    {
        "that is who looks at the patch, not where the patch looks: rows are queries, columns are"
        " keys": lambda a, r, c, g: a.mean(0)[:, r * g[1] + c].reshape(g),
        "patches are counted row by row: the index is row · across + column, not row · down +"
        " column": lambda a, r, c, g: a.mean(0)[r * g[0] + c].reshape(g),
        "row and column are exchanged": lambda a, r, c, g: a.mean(0)[c * g[1] + r].reshape(g),
        "the heads are not averaged": lambda a, r, c, g: a[:, r * g[1] + c].reshape(-1, *g),
        "only one head is taken: average over heads, the first axis":
            lambda a, r, c, g: a[0, r * g[1] + c].reshape(g),
        "the heads are summed: a map should sum to 1":
            lambda a, r, c, g: a.sum(0)[r * g[1] + c].reshape(g),
        "the map is a vector: give it the shape of the grid":
            lambda a, r, c, g: a.mean(0)[r * g[1] + c],
    },
)  # fmt: skip


def patch_distances(grid: tuple[int, int], patch_size: float) -> Tensor:
    """Distances in pixels between patch centres, ``(patches, patches)``."""
    return probes.patch_distances(tuple(grid), patch_size).float()


def _centres(grid: tuple[int, int]) -> Tensor:
    row, column = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    return torch.stack([row.flatten(), column.flatten()], 1).float()


PATCH_DISTANCES = Exercise(
    patch_distances,
    lambda: [(GRID, 4), ((2, 5), 16)],
    {
        "the distance is in patches: multiply by patch_size to get pixels":
            lambda g, p: patch_distances(g, 1),
        "the distance is squared: take the root before you scale": lambda g, p: (
            p * patch_distances(g, 1) ** 2
        ),
        "the distance is squared: take the root": lambda g, p: patch_distances(g, p) ** 2,
        "the root of the squares is missing patch_size's square: scale after the root":
            lambda g, p: patch_distances(g, 1) * p**0.5,
        "that is the distance along streets, |Δrow| + |Δcolumn|: take the straight line":
            lambda g, p: p * torch.cdist(_centres(g), _centres(g), p=1),
        "that is the larger of |Δrow| and |Δcolumn|: take the straight line":
            lambda g, p: p * torch.cdist(_centres(g), _centres(g), p=math.inf),
        "patches are numbered column by column: number them row by row":
            lambda g, p: p * torch.cdist(_centres(g[::-1]).flip(1), _centres(g[::-1]).flip(1)),
    },
)  # fmt: skip


def attention_distance(attention: Tensor, distances: Tensor) -> Tensor:
    """Mean distance between query and key weighted by attention, ``(batch, heads)``.

    Args:
        attention: ``(batch, heads, patches, patches)``.
        distances: ``(patches, patches)``, in pixels.
    """
    return (attention * distances).sum(-1).mean(-1)


ATTENTION_DISTANCE = Exercise(
    attention_distance,
    lambda: [(_softmax(2, 3, 12, 12), patch_distances(GRID, 4))],
    {
        "the mean over keys is taken where the sum belongs: attention is already a weight that sums"
        " to 1 over keys": lambda a, d: (a * d).mean((-2, -1)),
        "the sum over queries is taken where the mean belongs": lambda a, d: (a * d).sum((-2, -1)),
        "the queries are not averaged": lambda a, d: (a * d).sum(-1),
        "the sum runs over queries and the mean is missing: sum over keys, the last axis":
            lambda a, d: (a * d).sum(-2),
        "the heads are averaged: keep one number a head": lambda a, d: (a * d).sum(-1).mean((-2, -1)),
        "the images are averaged: keep one number an image":
            lambda a, d: (a * d).sum(-1).mean((0, -1)),
        "attention is not used: the distances themselves are averaged":
            lambda a, d: d.mean().expand(a.shape[:2]),
        "that is the distance of the most attended key: weight every key by its attention":
            lambda a, d: d.expand_as(a).gather(-1, a.argmax(-1, keepdim=True)).squeeze(-1).mean(-1),
    },
)  # fmt: skip


def entropy(p: Tensor) -> Tensor:
    """−Σ p log p over the last axis, natural logarithm, 0 log 0 = 0."""
    return torch.special.entr(p).sum(-1)


def _with_zeros() -> Tensor:
    p = _softmax(2, 3, 5)
    p[..., 0] = 0
    return p / p.sum(-1, keepdim=True)


ENTROPY = Exercise(
    entropy,
    lambda: [(_softmax(2, 3, 5),), (_with_zeros(),)],
    {
        "log 0: where p is 0, p log p is 0 · (−∞) = NaN; the limit is 0":
            lambda p: -(p * p.log()).sum(-1),
        "the minus sign is missing": lambda p: -entropy(p),
        "the logarithm is to base 2: take the natural one": lambda p: entropy(p) / math.log(2),
        "the logarithm is to base 10: take the natural one": lambda p: entropy(p) / math.log(10),
        "summed over the wrong axis: the distribution runs along the last one":
            lambda p: torch.special.entr(p).sum(0),
        "summed over every axis: keep one number a distribution":
            lambda p: torch.special.entr(p).sum(),
        "the mean is taken where the sum belongs": lambda p: torch.special.entr(p).mean(-1),
        "log p is not weighted by p": lambda p: -p.log().sum(-1),
    },
)  # fmt: skip


def mutual_information(attention: Tensor) -> Tensor:
    """Normalised mutual information of query and key, ``(batch, heads)``; see
    :func:`lib.probes.normalized_mutual_information.normalized_mutual_information`."""
    return normalized_mutual_information(attention)


def _information(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """H(k), H(k|q) averaged over queries, H(q)."""
    return entropy(a.mean(-2)), entropy(a).mean(-1), torch.tensor(math.log(a.shape[-1]))


def _over(a: Tensor, scale: str) -> Tensor:
    key, given, query = _information(a)
    scales = {
        "none": torch.tensor(1.0), "query": query, "key": key, "product": query * key,
        "mean": (query + key) / 2,
    }  # fmt: skip
    return (key - given) / scales[scale]


def _wrong_marginal(a: Tensor) -> Tensor:
    key, given = entropy(a.mean(-1)), entropy(a).mean(-1)
    return (key - given) / (key * math.log(a.shape[-1])).sqrt()


def _summed(a: Tensor) -> Tensor:
    key, _, query = _information(a)
    return (key - entropy(a).sum(-1)) / (key * query).sqrt()


MUTUAL_INFORMATION = Exercise(
    mutual_information,
    lambda: [(_softmax(2, 3, 12, 12),), (_softmax(1, 2, 6, 6, seed=3),)],
    {
        "not normalised: divide by √(H(q) H(k))": lambda a: _over(a, "none"),
        "divided by H(q) alone: divide by the geometric mean √(H(q) H(k))":
            lambda a: _over(a, "query"),
        "divided by H(k) alone: divide by the geometric mean √(H(q) H(k))":
            lambda a: _over(a, "key"),
        "the root is missing: divide by √(H(q) H(k))": lambda a: _over(a, "product"),
        "divided by the arithmetic mean of the entropies: take the geometric one":
            lambda a: _over(a, "mean"),
        "p(k) is averaged over the wrong axis: average over queries, the rows": _wrong_marginal,
        "H(k|q) is summed over queries: average it, p(q) = 1/N": _summed,
        "H(k) and H(k|q) are exchanged: the sign is wrong": lambda a: -mutual_information(a),
        "the heads are averaged before: compute each head by itself":
            lambda a: mutual_information(a.mean(1, keepdim=True)).expand(a.shape[:2]),
        "that is the conditional entropy H(k|q): subtract it from H(k), then normalise":
            lambda a: entropy(a).mean(-1),
    },
)  # fmt: skip


def uniform_distance(grid: tuple[int, int], patch_size: float) -> float:
    """Attention distance of attention that is the same everywhere, in pixels."""
    return probes.uniform_attention_distance(tuple(grid), patch_size)


def _without_self(grid: tuple[int, int], patch_size: float) -> float:
    distances = patch_distances(grid, patch_size)
    return distances[~torch.eye(len(distances), dtype=torch.bool)].mean().item()


UNIFORM_DISTANCE = Exercise(
    uniform_distance,
    lambda: [(GRID, 4), ((7, 7), 4)],
    {
        "in patches: give it in pixels": lambda g, p: uniform_distance(g, 1),
        "the query itself is left out: uniform attention looks at itself too": _without_self,
        "that is the largest distance: take the mean over all queries and keys":
            lambda g, p: patch_distances(g, p).max().item(),
        "that is the sum over keys: each key has weight 1 / patches":
            lambda g, p: patch_distances(g, p).sum(-1).mean().item(),
        "only the first patch, in the corner, is the query: average over all queries":
            lambda g, p: patch_distances(g, p)[0].mean().item(),
        "only the central patch is the query: average over all queries":
            lambda g, p: patch_distances(g, p)[g[0] // 2 * g[1] + g[1] // 2].mean().item(),
    },
)  # fmt: skip


def bootstrap_interval(values: np.ndarray, resamples: int = 2000) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over images.

    Args:
        values: ``(images,)``.
        resamples: how often the images are drawn again, with replacement.
    """
    random = np.random.default_rng(0)
    means = values[random.integers(len(values), size=(resamples, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _quantiles(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    found = np.quantile(values, [low, high])
    return float(found[0]), float(found[1])


def _means(values: np.ndarray, resamples: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return values[random.integers(len(values), size=(resamples, len(values)))].mean(1)


def _spread(values: np.ndarray, resamples: int) -> tuple[float, float]:
    return values.mean() - values.std(), values.mean() + values.std()


BOOTSTRAP_INTERVAL = Exercise(
    bootstrap_interval,
    lambda: [
        (np.random.default_rng(5).normal(0, 10, 40), 8000),
        (np.random.default_rng(6).exponential(10, 60) - 10, 8000),
    ],
    {
        "the interval has no width: draw the images with replacement":
            lambda v, r: (v.mean(), v.mean()),
        "that is where the images lie, not where their mean lies: take the mean of every resample":
            lambda v, r: _quantiles(v, 0.025, 0.975),
        "that is the mean ± one standard deviation of the images: take quantiles of resampled means":
            _spread,
        "it covers 90 %: cut 2.5 % off each end": lambda v, r: _quantiles(_means(v, r), 0.05, 0.95),
        "it covers half: cut 2.5 % off each end": lambda v, r: _quantiles(_means(v, r), 0.25, 0.75),
        "it covers everything: cut 2.5 % off each end": lambda v, r: _quantiles(_means(v, r), 0, 1),
        "the mean ± one standard error covers 68 %": lambda v, r: (
            v.mean() - v.std() / len(v) ** 0.5, v.mean() + v.std() / len(v) ** 0.5
        ),
        "high and low are exchanged": lambda v, r: _quantiles(_means(v, r), 0.975, 0.025),
    },
    tolerance=0.06,
)  # fmt: skip

EXERCISES = [
    PATCHES_ONLY, MAP_OF_QUERY, PATCH_DISTANCES, ATTENTION_DISTANCE, ENTROPY, MUTUAL_INFORMATION,
    UNIFORM_DISTANCE, BOOTSTRAP_INTERVAL,
]  # fmt: skip
