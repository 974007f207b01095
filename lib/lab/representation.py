"""Exercises of the module *What is in a representation?*: references, inputs, usual mistakes."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.encoders.knn import nearest_neighbours
from lib.lab.exercise import Exercise
from lib.probes.fourier import relative_log_amplitude

SIDE = 4


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _labels(n: int, classes: int, seed: int = 0) -> Tensor:
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))


def pool(tokens: Tensor, prefix_tokens: int, pooling: str) -> Tensor:
    """``(batch, width)``: the class token, or the mean of the patch tokens ``"patch_mean"``."""
    return tokens[:, 0] if pooling == "class_token" else tokens[:, prefix_tokens:].mean(1)


POOL = Exercise(
    pool,
    lambda: [
        (_normal(3, 6, 4), 1, "patch_mean"),
        (_normal(3, 6, 4), 2, "patch_mean"),
        (_normal(3, 6, 4), 3, "class_token"),
    ],
    {
        "the class token is kept in the mean: average the patch tokens alone":
            lambda t, p, pooling: t.mean(1),
        "always one token is left out: prefix_tokens says how many":
            lambda t, p, pooling: t[:, 1:].mean(1),
        "averaged over the images: the result should have one row an image":
            lambda t, p, pooling: t[:, p:].mean(0),
        "averaged over the width: the mean runs over tokens, the second axis":
            lambda t, p, pooling: t[:, p:].mean(2),
        "the tokens are summed: take the mean": lambda t, p, pooling: t[:, p:].sum(1),
        "averaged over images, tokens and width": lambda t, p, pooling: t[:, p:].mean(),
        "pooling is ignored: 'class_token' asks for the first token alone":
            lambda t, p, pooling: t[:, p:].mean(1),
        "pooling is ignored: 'patch_mean' asks for the mean of the patch tokens":
            lambda t, p, pooling: t[:, 0],
        "that is the last token: the class token stands first": lambda t, p, pooling: t[:, -1],
        "the axis of tokens is still there: t[:, 0], not t[:, :1]":
            lambda t, p, pooling: t[:, :1],
    },
)  # fmt: skip


def standardise(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the mean and standard deviation of the training features; a constant one gives 0."""
    mean, std = train.mean(0), train.std(0, correction=0)
    scale = torch.where(std > 0, std, 1)
    return (train - mean) / scale, (test - mean) / scale


def _scaled(x: Tensor, by: Tensor, dim: int | None = 0) -> Tensor:
    if dim is None:
        return (x - by.mean()) / by.std(correction=0)
    return (x - by.mean(dim, keepdim=True)) / by.std(dim, keepdim=True, correction=0)


def _with_constant() -> Tensor:
    x = 3 * _normal(200, 4) + 1
    x[:, 2] = 0.5
    return x


STANDARDISE = Exercise(
    standardise,
    lambda: [(3 * _normal(200, 4) + 1, _normal(100, 4, seed=1)), (_with_constant(), _normal(100, 4))],
    {
        "the test features are standardised by themselves: use the mean and the deviation of the"
        " training features for both": lambda a, b: (_scaled(a, a), _scaled(b, b)),
        "statistics of training and test features together: the test must not be seen":
            lambda a, b: (_scaled(a, torch.cat([a, b])), _scaled(b, torch.cat([a, b]))),
        "one mean and one deviation for all features: each feature (column) has its own":
            lambda a, b: (_scaled(a, a, None), _scaled(b, a, None)),
        "not divided by the standard deviation": lambda a, b: (a - a.mean(0), b - a.mean(0)),
        "the mean is not subtracted": lambda a, b: (
            a / a.std(0, correction=0), b / a.std(0, correction=0)
        ),
        "divided by the variance: take its root": lambda a, b: (
            (a - a.mean(0)) / a.var(0, correction=0), (b - a.mean(0)) / a.var(0, correction=0)
        ),
        "each image is standardised by itself: the statistics run over images, the first axis":
            lambda a, b: (_scaled(a, a, 1), _scaled(b, b, 1)),
        "a constant feature has deviation 0, and 0/0 is NaN: divide it by 1":
            lambda a, b: (_scaled(a, a), _scaled(b, a)),
    },
    tolerance=0.02,
)  # fmt: skip


def linear_probe(
    features: Tensor, labels: Tensor, classes: int, penalty: float
) -> tuple[Tensor, Tensor]:
    """Ridge regression on one-hot labels: W, b that minimise ‖XW + b − Y‖² + penalty ‖W‖²."""
    return _ridge(features, F.one_hot(labels, classes).float(), penalty)


def _ridge(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    centred = x - x.mean(0)
    gram = centred.T @ centred + penalty * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, centred.T @ (y - y.mean(0)))
    return weights, y.mean(0) - x.mean(0) @ weights


def _penalised_bias(
    x: Tensor, labels: Tensor, classes: int, penalty: float
) -> tuple[Tensor, Tensor]:
    ones = torch.cat([x, torch.ones(len(x), 1)], 1)
    gram = ones.T @ ones + penalty * torch.eye(ones.shape[1])
    found = torch.linalg.solve(gram, ones.T @ F.one_hot(labels, classes).float())
    return found[:-1], found[-1]


def _without_bias(x: Tensor, labels: Tensor, classes: int, penalty: float) -> Tensor:
    gram = x.T @ x + penalty * torch.eye(x.shape[1])
    return torch.linalg.solve(gram, x.T @ F.one_hot(labels, classes).float())


def _half_centred(x: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    y = F.one_hot(labels, classes).float()
    gram = x.T @ x + penalty * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x.T @ (y - y.mean(0)))
    return weights, y.mean(0) - x.mean(0) @ weights


LINEAR_PROBE = Exercise(
    linear_probe,
    lambda: [(_normal(30, 4) + 0.5, _labels(30, 3), 3, 5.0)],
    {
        "the penalty is missing: add penalty to the diagonal of XᵀX":
            lambda x, y, c, p: linear_probe(x, y, c, 0.0),
        "the bias is penalised too: centre X and Y, solve for W, then b = mean(Y) − mean(X) W":
            _penalised_bias,
        "the bias is missing: centre X and Y before you solve for W":
            lambda x, y, c, p: (_without_bias(x, y, c, p), torch.zeros(c)),
        "the features are not centred when W is solved for: the bias then comes too late":
            lambda x, y, c, p: (
                _without_bias(x, y, c, p),
                F.one_hot(y, c).float().mean(0) - x.mean(0) @ _without_bias(x, y, c, p),
            ),
        "the features are not centred: subtract their mean before you solve for W":
            lambda x, y, c, p: _half_centred(x, y, c, p),
        "there is no bias: b = mean(Y) − mean(X) W": lambda x, y, c, p: (
            linear_probe(x, y, c, p)[0], torch.zeros(c)
        ),
        "b forgets the mean of the features: b = mean(Y) − mean(X) W": lambda x, y, c, p: (
            linear_probe(x, y, c, p)[0], F.one_hot(y, c).float().mean(0)
        ),
        "the labels are used as numbers: class 2 is not twice class 1, make them one-hot":
            lambda x, y, c, p: _ridge(x, y[:, None].float(), p),
        "the labels are used as numbers: class 2 is not twice class 1, make them one-hot (the"
        " result has no axis of classes)":
            lambda x, y, c, p: tuple(v.squeeze(-1) for v in _ridge(x, y[:, None].float(), p)),
        "the penalty counts per item, but is not multiplied by their number here: add it as it is":
            lambda x, y, c, p: linear_probe(x, y, c, p * len(x)),
        "the penalty is divided by the number of items: add it as it is":
            lambda x, y, c, p: linear_probe(x, y, c, p / len(x)),
    },
    tolerance=1e-3,
)  # fmt: skip


def knn_predict(bank: Tensor, bank_labels: Tensor, queries: Tensor, k: int) -> Tensor:
    """Majority label of the k most cosine-similar bank items; ties go to the smaller label."""
    return _vote(bank_labels[nearest_neighbours(bank, queries, k)])


def _vote(labels: Tensor) -> Tensor:
    return F.one_hot(labels).sum(1).argmax(1)


def _uneven(n: int, seed: int) -> Tensor:
    """Points of very different lengths, so that angles and distances disagree."""
    return _normal(n, 3, seed=seed) * torch.linspace(0.2, 6, n)[:, None]


KNN_PREDICT = Exercise(
    knn_predict,
    lambda: [(_uneven(40, 0), _labels(40, 4), _normal(30, 3, seed=2) * 2, 5)],
    {
        "that is the Euclidean distance: normalise the lengths, so that only the angle counts":
            lambda b, y, q, k: _vote(y[torch.cdist(q, b).topk(k, largest=False).indices]),
        "dot products without normalising: long vectors win":
            lambda b, y, q, k: _vote(y[(q @ b.T).topk(k).indices]),
        "those are the farthest items: take the largest similarities":
            lambda b, y, q, k: _vote(
                y[(F.normalize(q, dim=1) @ F.normalize(b, dim=1).T).topk(k, largest=False).indices]
            ),
        "only the nearest item votes: take k of them":
            lambda b, y, q, k: y[nearest_neighbours(b, q, 1)[:, 0]],
        "the labels are averaged: class 2 is not the mean of 1 and 3, let them vote":
            lambda b, y, q, k: y[nearest_neighbours(b, q, k)].float().mean(1).round().long(),
        "the labels are averaged: let them vote":
            lambda b, y, q, k: y[nearest_neighbours(b, q, k)].float().mean(1),
        "normalised along the wrong axis: each item (row) should have length 1":
            lambda b, y, q, k: _vote(
                y[(F.normalize(q, dim=0) @ F.normalize(b, dim=0).T).topk(k).indices]
            ),
        "those are indices of items: look up their labels":
            lambda b, y, q, k: nearest_neighbours(b, q, k),
        "those are the labels of the neighbours: let them vote":
            lambda b, y, q, k: y[nearest_neighbours(b, q, k)],
    },
)  # fmt: skip


def log_amplitude(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Log amplitude on the frequency diagonal relative to the constant part, ``(batch,
    frequencies)``."""
    return relative_log_amplitude(tokens, grid, "nyquist")


def _spectrum(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Amplitudes on the diagonal up to Nyquist, ``(batch, frequencies, width)``."""
    image = tokens.unflatten(1, grid)
    found = torch.fft.fft2(image, dim=(1, 2)).abs()
    up_to = torch.arange(grid[0] // 2 + 1)
    return found[:, up_to, up_to]


def _relative(log: Tensor) -> Tensor:
    return log - log[:, :1]


def _across(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    found = torch.fft.fft2(tokens.unflatten(1, grid), dim=(1, 2)).abs()
    return _relative((found[:, 0, : grid[0] // 2 + 1] + 1e-6).log().mean(-1))


def _over_width(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    found = torch.fft.fft2(tokens.unflatten(1, grid)).abs()
    up_to = torch.arange(grid[0] // 2 + 1)
    return _relative((found[:, up_to, up_to] + 1e-6).log().mean(-1))


def _in_line(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    found = torch.fft.fft(tokens, dim=1).abs()[:, : grid[0] // 2 + 1]
    return _relative((found + 1e-6).log().mean(-1))


LOG_AMPLITUDE = Exercise(
    log_amplitude,
    lambda: [(_normal(2, SIDE * SIDE, 5) + 0.7, (SIDE, SIDE)), (_normal(1, 49, 3) + 1, (7, 7))],
    {
        "not relative: subtract the log amplitude of the constant part, frequency 0":
            lambda t, g: (_spectrum(t, g) + 1e-6).log().mean(-1),
        "the mean over the width comes before the logarithm: take the log of each channel first":
            lambda t, g: _relative((_spectrum(t, g).mean(-1) + 1e-6).log()),
        "that is power, the squared amplitude: the logarithm is twice too large":
            lambda t, g: 2 * log_amplitude(t, g),
        "the logarithm is to base 10: take the natural one":
            lambda t, g: log_amplitude(t, g) / math.log(10),
        "the logarithm is missing":
            lambda t, g: _spectrum(t, g).mean(-1) - _spectrum(t, g).mean(-1)[:, :1],
        "that is a row of the spectrum: take the diagonal, where both frequencies are equal": _across,
        "the transform runs over the wrong axes: fft2 takes the last two unless dim=(1, 2) says"
        " otherwise": _over_width,
        "the patches are transformed as one line: give them the shape of the grid first": _in_line,
        "the channels are not averaged": lambda t, g: _relative((_spectrum(t, g) + 1e-6).log()),
    },
    tolerance=1e-3,
)  # fmt: skip


def low_pass(images: Tensor, cutoff: float) -> Tensor:
    """The images without frequencies above ``cutoff`` cycles per pixel."""
    return _passed(images, cutoff, lambda radius: radius <= cutoff)


def _radius(images: Tensor) -> Tensor:
    down, across = (torch.fft.fftfreq(side) for side in images.shape[-2:])
    return (down[:, None] ** 2 + across**2).sqrt()


def _passed(images: Tensor, cutoff: float, keep) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(images) * keep(_radius(images))).real


def _shifted(images: Tensor, cutoff: float) -> Tensor:
    keep = torch.fft.fftshift(_radius(images)) <= cutoff
    return torch.fft.ifft2(torch.fft.fft2(images) * keep).real


def _square(images: Tensor, cutoff: float) -> Tensor:
    down, across = (torch.fft.fftfreq(side).abs() <= cutoff for side in images.shape[-2:])
    return torch.fft.ifft2(torch.fft.fft2(images) * (down[:, None] & across)).real


LOW_PASS = Exercise(
    low_pass,
    lambda: [
        ((_normal(2, 1, 8, 8) > 1).float(), 0.25),
        ((_normal(1, 3, 7, 7) > 1).float(), 0.2),
    ],
    {
        "those are the high frequencies: keep the radius up to the cutoff":
            lambda x, c: _passed(x, c, lambda r: r > c),
        "the mask is centred, the transform is not: fft2 puts frequency 0 in the corner (or shift"
        " both, and shift back)": _shifted,
        "the result is complex: take its real part":
            lambda x, c: torch.fft.ifft2(torch.fft.fft2(x) * (_radius(x) <= c)),
        "that is the amplitude of the result: take its real part, which may be negative":
            lambda x, c: torch.fft.ifft2(torch.fft.fft2(x) * (_radius(x) <= c)).abs(),
        "the mean is lost: frequency 0 is the lowest of all and stays":
            lambda x, c: _passed(x, c, lambda r: (r <= c) & (r > 0)),
        "that is a square of frequencies: cut at a radius, √(f² + g²)": _square,
        "the result is still a spectrum: transform it back with ifft2":
            lambda x, c: (torch.fft.fft2(x) * (_radius(x) <= c)).real,
    },
)  # fmt: skip


def shuffle_tiles(images: Tensor, tiles: int, order: Tensor) -> Tensor:
    """Cut into tiles × tiles and put tile ``order[i]`` at place i."""
    n, channels, height, width = images.shape
    down, across = height // tiles, width // tiles
    cut = images.reshape(n, channels, tiles, down, tiles, across).permute(0, 1, 2, 4, 3, 5)
    mixed = cut.flatten(2, 3)[:, :, order].unflatten(2, (tiles, tiles))
    return mixed.permute(0, 1, 2, 4, 3, 5).reshape(images.shape)


def _forgot_permute(images: Tensor, tiles: int, order: Tensor) -> Tensor:
    n, channels, height, width = images.shape
    cut = images.reshape(n, channels, tiles * tiles, height // tiles, width // tiles)
    return cut[:, :, order].reshape(images.shape)


def _forgot_permute_back(images: Tensor, tiles: int, order: Tensor) -> Tensor:
    n, channels, height, width = images.shape
    down, across = height // tiles, width // tiles
    cut = images.reshape(n, channels, tiles, down, tiles, across).permute(0, 1, 2, 4, 3, 5)
    return cut.flatten(2, 3)[:, :, order].reshape(images.shape)


SHUFFLE_TILES = Exercise(
    shuffle_tiles,
    lambda: [
        (torch.arange(72.0).reshape(1, 2, 6, 6), 3, torch.tensor([4, 0, 8, 1, 5, 2, 7, 3, 6])),
        (torch.arange(36.0).reshape(1, 1, 6, 6), 2, torch.tensor([2, 3, 1, 0])),
    ],
    {
        "tile i was put at place order[i]: place i should get tile order[i]":
            lambda x, t, o: shuffle_tiles(x, t, o.argsort()),
        "reshape alone does not cut tiles: a row of pixels runs through several of them, bring the"
        " axes of a tile together with permute": _forgot_permute,
        "the axes are not permuted back before the last reshape": _forgot_permute_back,
        "nothing was shuffled": lambda x, t, o: x,
        "the tiles are not put together to images": lambda x, t, o: x.reshape(
            *x.shape[:2], t, x.shape[2] // t, t, x.shape[3] // t
        ).permute(0, 1, 2, 4, 3, 5).flatten(2, 3)[:, :, o],
        "rows and columns of tiles are exchanged":
            lambda x, t, o: shuffle_tiles(x.mT, t, o).mT,
    },
)  # fmt: skip


def shape_share(predicted: np.ndarray, shape: np.ndarray, texture: np.ndarray) -> float:
    """Decisions for the shape among decisions for shape or texture."""
    for_shape, for_texture = (predicted == shape).sum(), (predicted == texture).sum()
    return float(for_shape / (for_shape + for_texture))


def _decisions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    predicted = np.array([0, 0, 1, 2, 3, 3, 1, 0, 2, 4, 4])
    shape = np.array([0, 0, 1, 2, 1, 2, 3, 1, 2, 0, 0])
    texture = np.array([1, 2, 0, 0, 3, 3, 0, 2, 4, 1, 2])
    return predicted, shape, texture


SHAPE_SHARE = Exercise(
    shape_share,
    lambda: [_decisions()],
    {
        "divided by all images: leave out those decided for a third class":
            lambda p, s, t: float((p == s).mean()),
        "that is the share of texture": lambda p, s, t: 1 - shape_share(p, s, t),
        "that is the ratio of shape to texture: divide by their sum":
            lambda p, s, t: float((p == s).sum() / (p == t).sum()),
        "that is a number of images: divide by the decisions for shape or texture":
            lambda p, s, t: int((p == s).sum()),
        "every decision that is not texture was counted as shape":
            lambda p, s, t: float((p != t).mean()),
    },
)  # fmt: skip


def seed_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Difference of the means of two groups of seeds, and its standard error."""
    error = math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return float(first.mean() - second.mean()), error


def _error(first: np.ndarray, second: np.ndarray, ddof: int) -> float:
    return math.sqrt(first.var(ddof=ddof) / len(first) + second.var(ddof=ddof) / len(second))


def _gap(first: np.ndarray, second: np.ndarray) -> float:
    return float(first.mean() - second.mean())


SEED_DIFFERENCE = Exercise(
    seed_difference,
    lambda: [
        (np.array([0.81, 0.84, 0.79]), np.array([0.72, 0.70, 0.77, 0.71])),
        (np.array([0.5, 0.9]), np.array([0.4, 0.6])),
    ],
    {
        "the standard deviation of few values needs n − 1: ddof=1":
            lambda a, b: (_gap(a, b), _error(a, b, 0)),
        "that is the spread of single trainings: the error of a mean divides the variance by n":
            lambda a, b: (_gap(a, b), math.sqrt(a.var(ddof=1) + b.var(ddof=1))),
        "the standard errors are added: add their squares, then take the root": lambda a, b: (
            _gap(a, b), a.std(ddof=1) / len(a) ** 0.5 + b.std(ddof=1) / len(b) ** 0.5
        ),
        "the root is missing: that is the squared error":
            lambda a, b: (_gap(a, b), _error(a, b, 1) ** 2),
        "second minus first: the sign is wrong": lambda a, b: (-_gap(a, b), _error(a, b, 1)),
        "only the first group's error: the second varies, too":
            lambda a, b: (_gap(a, b), a.std(ddof=1) / len(a) ** 0.5),
        "divided by n instead of its root": lambda a, b: (
            _gap(a, b), math.sqrt(a.var(ddof=1) / len(a) ** 2 + b.var(ddof=1) / len(b) ** 2)
        ),
    },
)  # fmt: skip

EXERCISES = [
    POOL, STANDARDISE, LINEAR_PROBE, KNN_PREDICT, LOG_AMPLITUDE, LOW_PASS, SHUFFLE_TILES,
    SHAPE_SHARE, SEED_DIFFERENCE,
]  # fmt: skip
