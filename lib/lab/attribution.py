"""Exercises of the module *What does an attribution explain?*: references, inputs, usual mistakes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from lib.attribution import controls
from lib.lab.exercise import Exercise

Encode = Callable[[Tensor], Tensor]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mean_view(representations: Tensor) -> Tensor:
    """Mean over views of the representations divided by their lengths, ``(images, width)``.

    Args:
        representations: ``(images, views, width)``.
    """
    return F.normalize(representations, dim=-1).mean(1)


def _lengthy() -> Tensor:
    return _normal(2, 4, 3) * torch.tensor([0.5, 1, 3, 6])[:, None]


MEAN_VIEW = Exercise(
    mean_view,
    lambda: [(_lengthy(),)],
    {
        "the views are not normalised: a long vector would count for more":
            lambda z: z.mean(1),
        "normalised after the mean: divide each view by its length first, and leave the mean as it"
        " is": lambda z: F.normalize(z.mean(1), dim=-1),
        "the mean is normalised again: its length tells how well the views agree":
            lambda z: F.normalize(mean_view(z), dim=-1),
        "averaged over images: average over views, the second axis":
            lambda z: F.normalize(z, dim=-1).mean(0),
        "normalised along the wrong axis: the length runs over the width, the last axis":
            lambda z: F.normalize(z, dim=1).mean(1),
        "the views are summed: take the mean": lambda z: F.normalize(z, dim=-1).sum(1),
        "averaged over the width": lambda z: F.normalize(z, dim=-1).mean(-1),
    },
)  # fmt: skip


def invariance_score(representation: Tensor, mean_view: Tensor) -> Tensor:
    """Mean cosine similarity with the views, f/‖f‖ · z̄, ``(images,)``."""
    return (F.normalize(representation, dim=-1) * mean_view).sum(-1)


INVARIANCE_SCORE = Exercise(
    invariance_score,
    lambda: [(3 * _normal(4, 5), 0.4 * F.normalize(_normal(4, 5, seed=1), dim=-1))],
    {
        "the mean view is normalised: keep its length, which is 1 only where all views agree":
            lambda f, z: F.cosine_similarity(f, z, dim=-1),
        "the representation is not normalised: the score must not grow with its length":
            lambda f, z: (f * z).sum(-1),
        "the images are averaged: keep one score an image":
            lambda f, z: invariance_score(f, z).mean(),
        "the images are summed: keep one score an image":
            lambda f, z: invariance_score(f, z).sum(),
        "the mean over the width is taken where the dot product sums":
            lambda f, z: (F.normalize(f, dim=-1) * z).mean(-1),
        "every image is compared with every mean view: only with its own":
            lambda f, z: F.normalize(f, dim=-1) @ z.T,
        "normalised along the wrong axis: the length runs over the width, the last axis":
            lambda f, z: (F.normalize(f, dim=0) * z).sum(-1),
    },
)  # fmt: skip


def ssla_step(x: Tensor, gradient: Tensor, x0: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """One step down the score and what it adds to the attribution.

    x' = clip(x − (x₀/T) sign g, 0, 1), g · (x − x').
    """
    moved = (x - x0 / steps * gradient.sign()).clamp(0, 1)
    return moved, gradient * (x - moved)


def _step(move: Callable, low: float | None = 0, high: float | None = 1) -> Callable:
    def step(x: Tensor, g: Tensor, x0: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        moved = x - move(x, g, x0, steps)
        moved = moved if low is None else moved.clamp(low, high)
        return moved, g * (x - moved)

    return step


def _with(contribution: Callable) -> Callable:
    def step(x: Tensor, g: Tensor, x0: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        moved = ssla_step(x, g, x0, steps)[0]
        return moved, contribution(x, g, x0, steps, moved)

    return step


def _edge_cases() -> tuple:
    x0 = _random(2, 1, 3, 3)
    x0[0, 0, 0, 0], x0[0, 0, 1, 1] = 0, 1
    x = (x0 + 0.2 * _normal(2, 1, 3, 3)).clamp(0, 1)
    return x, _normal(2, 1, 3, 3, seed=1), x0, 4


SSLA_STEP = Exercise(
    ssla_step,
    lambda: [_edge_cases()],
    {
        "the step goes up: subtract it, so that the score falls":
            _step(lambda x, g, x0, t: -x0 / t * g.sign()),
        "the step is a share of the moving image: take x0 / steps, of the clean one":
            _step(lambda x, g, x0, t: x / t * g.sign()),
        "the step follows the gradient's size: take its sign alone":
            _step(lambda x, g, x0, t: x0 / t * g),
        "the image is not clipped: it has to stay in [0, 1]":
            _step(lambda x, g, x0, t: x0 / t * g.sign(), None),
        "the step is not divided by the number of steps":
            _step(lambda x, g, x0, t: x0 * g.sign()),
        "the attribution counts the step that was planned: count how far x really moved, clipping"
        " included": _with(lambda x, g, x0, t, moved: x0 / t * g.abs()),
        "the sign of the attribution is wrong: it is gradient · (x − moved)":
            _with(lambda x, g, x0, t, moved: g * (moved - x)),
        "that is gradient times pixel: multiply by the movement":
            _with(lambda x, g, x0, t, moved: g * x),
        "that is the gradient: multiply it by the movement":
            _with(lambda x, g, x0, t, moved: g),
    },
)  # fmt: skip


def ssla(encode: Encode, views_of: Encode, x0: Tensor, steps: int) -> Tensor:
    """The sum of all steps' contributions, ``(images, channels, height, width)``.

    Args:
        encode: images -> representations ``(images, width)``.
        views_of: images -> views ``(images, views, channels, height, width)``.
        x0: clean images.
        steps: T.
    """
    return _walk(encode, views_of, x0, steps)


def _mean_view_of(encode: Encode, views: Tensor) -> Tensor:
    return mean_view(encode(views.flatten(0, 1)).unflatten(0, views.shape[:2])).detach()


def _walk(
    encode, views_of, x0, steps, again=False, at_clean=False, last=False, mean=False
) -> Tensor:
    target, x = _mean_view_of(encode, views_of(x0)), x0.clone()
    parts = []
    for _ in range(steps):
        where = (x0 if at_clean else x).clone().requires_grad_()
        if again:
            target = _mean_view_of(encode, views_of(x))
        (gradient,) = torch.autograd.grad(invariance_score(encode(where), target).sum(), where)
        x, part = ssla_step(x, gradient, x0, steps)
        parts.append(part)
    if last:
        return parts[-1]
    return torch.stack(parts).mean(0) if mean else torch.stack(parts).sum(0)


def _through_views(encode: Encode, views_of: Encode, x0: Tensor, steps: int) -> Tensor:
    x, total = x0.clone(), torch.zeros_like(x0)
    for _ in range(steps):
        x.requires_grad_()
        views = views_of(x)
        target = mean_view(encode(views.flatten(0, 1)).unflatten(0, views.shape[:2]))
        (gradient,) = torch.autograd.grad(invariance_score(encode(x), target).sum(), x)
        x, part = ssla_step(x.detach(), gradient, x0, steps)
        total += part
    return total


def _gradient_times_input(encode: Encode, views_of: Encode, x0: Tensor, steps: int) -> Tensor:
    where = x0.clone().requires_grad_()
    target = _mean_view_of(encode, views_of(x0))
    (gradient,) = torch.autograd.grad(invariance_score(encode(where), target).sum(), where)
    return gradient * x0


def small_encoder(images: Tensor) -> Tensor:
    """A fixed smooth map of 4 × 4 images to six numbers."""
    return torch.tanh(2 * images.flatten(1) @ _normal(16, 6) - 0.5) + 0.2


def small_views(images: Tensor) -> Tensor:
    """Three fixed views of each image: shifted, darker, mirrored."""
    return torch.stack([images.roll(1, -1), 0.6 * images + 0.1, images.flip(-1)], 1)


SSLA = Exercise(
    ssla,
    lambda: [(small_encoder, small_views, _random(2, 1, 4, 4), 5)],
    {
        "the views are recomputed from the moving image: compute their mean once, from the clean"
        " one, and keep it": lambda *a: _walk(*a, again=True),
        "the views are recomputed from the moving image, and the gradient passes through them:"
        " compute their mean once, from the clean image, and detach it": _through_views,
        "the gradient is always taken at the clean image: take it where the path is":
            lambda *a: _walk(*a, at_clean=True),
        "only the last step counts: add up all of them": lambda *a: _walk(*a, last=True),
        "the steps are averaged: add them up": lambda *a: _walk(*a, mean=True),
        "that is gradient × input at the clean image, without a path": _gradient_times_input,
        "one step too few": lambda e, v, x, t: _walk_part(e, v, x, t, t - 1),
        "one step too many": lambda e, v, x, t: _walk_part(e, v, x, t, t + 1),
    },
)  # fmt: skip


def _walk_part(encode, views_of, x0: Tensor, steps: int, taken: int) -> Tensor:
    """Another number of steps than each is a share of."""
    target, x, total = _mean_view_of(encode, views_of(x0)), x0.clone(), torch.zeros_like(x0)
    for _ in range(taken):
        where = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(invariance_score(encode(where), target).sum(), where)
        x, part = ssla_step(x, gradient, x0, steps)
        total += part
    return total


def completeness_gap(attribution: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """|Σ A − (S(x₀) − S(x_T))| of each image, ``(images,)``."""
    return (attribution.flatten(1).sum(1) - (start - end)).abs()


COMPLETENESS_GAP = Exercise(
    completeness_gap,
    lambda: [(_normal(3, 1, 4, 4), _random(3, seed=1), _random(3, seed=2))],
    {
        "the sum runs over all images: keep one gap an image":
            lambda a, s, e: (a.sum() - (s - e)).abs(),
        "the gaps are averaged or summed: keep one an image":
            lambda a, s, e: completeness_gap(a, s, e).sum(),
        "the gaps are averaged: keep one an image": lambda a, s, e: completeness_gap(a, s, e).mean(),
        "start and end are exchanged: the score falls from start to end":
            lambda a, s, e: (a.flatten(1).sum(1) - (e - s)).abs(),
        "the absolute value is missing": lambda a, s, e: a.flatten(1).sum(1) - (s - e),
        "the pixels are averaged: completeness speaks of their sum":
            lambda a, s, e: (a.flatten(1).mean(1) - (s - e)).abs(),
        "absolute attributions are summed: signs count":
            lambda a, s, e: (a.abs().flatten(1).sum(1) - (s - e)).abs(),
        "the sum is compared with the start alone: subtract the end":
            lambda a, s, e: (a.flatten(1).sum(1) - s).abs(),
    },
)  # fmt: skip


def edge_magnitude(images: Tensor) -> Tensor:
    """Sobel's edge magnitude of each channel, borders replicated."""
    return controls.edge_magnitude(None, images)


def _sobel(images: Tensor, pad: str = "replicate", combine: Callable | None = None) -> Tensor:
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([across, across.T]).unsqueeze(1)
    flat = images.flatten(0, 1).unsqueeze(1)
    padded = F.pad(flat, [1] * 4) if pad == "zero" else F.pad(flat, [1] * 4, mode=pad)
    found = F.conv2d(padded, kernels)
    combined = found.square().sum(1).sqrt() if combine is None else combine(found)
    return combined.reshape(*images.shape[:2], *combined.shape[-2:])


def _inside(images: Tensor) -> Tensor:
    return _sobel(images)[..., 1:-1, 1:-1]


EDGE_MAGNITUDE = Exercise(
    edge_magnitude,
    lambda: [(_random(2, 1, 6, 5),)],
    {
        "only changes from left to right: add those from top to bottom":
            lambda x: _sobel(x, combine=lambda g: g[:, 0].abs()),
        "only changes from top to bottom: add those from left to right":
            lambda x: _sobel(x, combine=lambda g: g[:, 1].abs()),
        "the root is missing": lambda x: edge_magnitude(x) ** 2,
        "the absolute changes are added: take the root of the sum of their squares":
            lambda x: _sobel(x, combine=lambda g: g.abs().sum(1)),
        "the border is padded with zeros, which makes an edge around a bright image: replicate it":
            lambda x: _sobel(x, "zero"),
        "the border is lost: pad by one pixel": _inside,
        "signed changes are added: square them first":
            lambda x: _sobel(x, combine=lambda g: g.sum(1)),
    },
)  # fmt: skip


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation of two maps of each image, ``(images,)``."""
    ranks = [
        torch.from_numpy(rankdata(x.flatten(1).detach().numpy(), axis=1)) for x in (first, second)
    ]
    return _pearson(*ranks).float()


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x.double() - x.double().mean(-1, keepdim=True) for x in (a, b))
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))


def _all_ranks(first: Tensor, second: Tensor) -> Tensor:
    ranks = [torch.from_numpy(rankdata(x.flatten().numpy())) for x in (first, second)]
    return _pearson(*ranks).float()


def _argsort_once(first: Tensor, second: Tensor) -> Tensor:
    return _pearson(first.flatten(1).argsort(1), second.flatten(1).argsort(1)).float()


RANK_CORRELATION = Exercise(
    rank_correlation,
    lambda: [
        (_normal(3, 1, 4, 4).exp() ** 2, _normal(3, 1, 4, 4).add(_normal(3, 1, 4, 4, seed=1))),
    ],
    {
        "that is the correlation of the values: take that of their ranks":
            lambda a, b: _pearson(a.flatten(1), b.flatten(1)).float(),
        "all images are ranked together: keep one number an image": _all_ranks,
        "the images are averaged: keep one number an image":
            lambda a, b: rank_correlation(a, b).mean(),
        "argsort gives the pixels in their order, not the rank of each pixel: apply it twice":
            _argsort_once,
        "absolute values are ranked: signs count":
            lambda a, b: rank_correlation(a.abs(), b.abs()),
        "that is the cosine of the ranks: subtract their mean first": lambda a, b: (
            F.cosine_similarity(
                *(x.flatten(1).argsort(1).argsort(1).float() for x in (a, b)), dim=1
            )
        ),
        "that is the distance of the ranks, 1 − correlation": lambda a, b: 1 - rank_correlation(a, b),
    },
    tolerance=1e-3,
)  # fmt: skip


def protected(attribution: Tensor, rate: float) -> Tensor:
    """True for the round(rate · pixels) most important pixels of each image."""
    rank = attribution.flatten(1).argsort(1, descending=True).argsort(1)
    return (rank < round(rate * rank.shape[1])).reshape(attribution.shape)


def _protected_together(attribution: Tensor, rate: float) -> Tensor:
    rank = attribution.flatten().argsort(descending=True).argsort()
    return (rank < round(rate * rank.numel())).reshape(attribution.shape)


PROTECTED = Exercise(
    protected,
    lambda: [(_normal(3, 1, 5, 5) * torch.tensor([1, 4, 9]).reshape(3, 1, 1, 1), 0.3)],
    {
        "those are the least important pixels": lambda a, r: protected(-a, r),
        "those are the attacked pixels: return the protected ones": lambda a, r: ~protected(a, r),
        "the pixels of all images are ranked together: each image protects its own share":
            _protected_together,
        "ranked by absolute value: the sign counts": lambda a, r: protected(a.abs(), r),
        "rate is read as a threshold on the values: it is a share of the pixels":
            lambda a, r: a > r,
        "argsort gives the pixels in their order, not the rank of each pixel: apply it twice":
            lambda a, r: (
                a.flatten(1).argsort(1, descending=True) < round(r * a[0].numel())
            ).reshape(a.shape),
        "that is a map of 0 and 1 as numbers: return booleans":
            lambda a, r: protected(a, r).float(),
        "the mask is not given the shape of the attribution": lambda a, r: protected(a, r).flatten(1),
    },
)  # fmt: skip


def attack(
    score: Callable[[Tensor], Tensor], clean: Tensor, attacked: Tensor, start: Tensor, steps: int,
    step_size: float, epsilon: float,
) -> Tensor:  # fmt: skip
    """Steps of the gradient's sign that lower a score within a ball, on the attacked pixels alone.

    Args:
        score: images -> ``(images,)``.
        clean: images in [0, 1].
        attacked: bool, True where pixels may change.
        start: where the path begins, in [0, 1] and within ε of the clean image.
        steps, step_size, epsilon: number and size of the steps, radius of the ball.
    """
    return _attacked(score, clean, attacked, start, steps, step_size, epsilon)


def _attacked(
    score, clean, attacked, start, steps, step_size, epsilon, sign=-1, everywhere=False, ball=True,
    unit=True, from_clean=False, plain=False, at_start=False,
) -> Tensor:  # fmt: skip
    low, high = clean - epsilon, clean + epsilon
    low = low if ball else torch.full_like(clean, -torch.inf)
    high = high if ball else torch.full_like(clean, torch.inf)
    if unit:
        low, high = low.clamp(min=0), high.clamp(max=1)
    allowed = torch.ones_like(attacked) if everywhere or at_start else attacked
    x = torch.where(attacked if at_start else allowed, clean if from_clean else start, clean)
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(score(x).sum(), x)
        direction = gradient if plain else gradient.sign()
        moved = torch.minimum(torch.maximum(x.detach() + sign * step_size * direction, low), high)
        x = torch.where(allowed, moved, clean)
    return x.detach()


def _attack_case() -> tuple:
    clean = _random(2, 1, 4, 4)
    clean[:, :, 0], clean[:, :, 1] = 0.01, 0.99
    anchor = F.normalize(small_encoder(clean), dim=1)

    def score(x: Tensor) -> Tensor:
        return (F.normalize(small_encoder(x), dim=1) * anchor).sum(1)

    start = (clean + 0.02 * _normal(2, 1, 4, 4, seed=3).sign()).clamp(0, 1)
    return score, clean, _random(2, 1, 4, 4, seed=2) > 0.3, start, 6, 0.03, 0.1


ATTACK = Exercise(
    attack,
    lambda: [_attack_case()],
    {
        "it begins at the clean image, where the gradient is 0 and its sign that of a rounding error:"
        " begin at start": lambda *a: _attacked(*a, from_clean=True),
        "the score rises: go against the gradient": lambda *a: _attacked(*a, sign=1),
        "protected pixels are changed, too: only those in attacked may move":
            lambda *a: _attacked(*a, everywhere=True),
        "protected pixels are put back at the start alone: do it after each step, too":
            lambda *a: _attacked(*a, at_start=True),
        "it leaves the ball: no pixel may end farther than epsilon from the clean image":
            lambda *a: _attacked(*a, ball=False),
        "it leaves [0, 1]: such pixels do not exist": lambda *a: _attacked(*a, unit=False),
        "it leaves the ball and [0, 1]: clip after every step":
            lambda *a: _attacked(*a, ball=False, unit=False),
        "the protected pixels are attacked and the others kept":
            lambda s, c, m, *a: _attacked(s, c, ~m, *a),
        "the step follows the gradient's size: take its sign":
            lambda *a: _attacked(*a, plain=True),
        "only one step is taken":
            lambda s, c, m, x, t, *a: _attacked(s, c, m, x, 1, *a),
        "nothing is attacked: the start is returned": lambda s, c, m, x, *a: torch.where(m, x, c),
        "nothing is attacked: the clean image is returned": lambda s, c, *a: c,
    },
)  # fmt: skip


def area_between(rates: Tensor, important: Tensor, unimportant: Tensor) -> Tensor:
    """Area between the two curves of each image by the trapezoidal rule, ``(images,)``."""
    return torch.trapezoid(important - unimportant, rates)


AREA_BETWEEN = Exercise(
    area_between,
    lambda: [(torch.tensor([0.0, 0.1, 0.4, 1.0]), _random(3, 4), _random(3, 4, seed=1))],
    {
        "unimportant minus important: the sign is wrong":
            lambda r, i, u: -area_between(r, i, u),
        "the mean of the points is not the area: the rates are not evenly spaced, and the first and"
        " last count half": lambda r, i, u: (i - u).mean(-1),
        "the rates are taken as evenly spaced, one apart: give them to the rule":
            lambda r, i, u: torch.trapezoid(i - u),
        "the images are averaged: keep one area an image":
            lambda r, i, u: area_between(r, i, u).mean(),
        "that is the area under the first curve alone": lambda r, i, u: torch.trapezoid(i, r),
        "the absolute difference is integrated: a map can be worse than its reverse":
            lambda r, i, u: torch.trapezoid((i - u).abs(), r),
        "that is a sum of left edges: take the mean of both ends of each piece":
            lambda r, i, u: ((i - u)[:, :-1] * r.diff()).sum(-1),
        "that is a sum of right edges: take the mean of both ends of each piece":
            lambda r, i, u: ((i - u)[:, 1:] * r.diff()).sum(-1),
    },
)  # fmt: skip

EXERCISES = [
    MEAN_VIEW, INVARIANCE_SCORE, SSLA_STEP, SSLA, COMPLETENESS_GAP, EDGE_MAGNITUDE,
    RANK_CORRELATION, PROTECTED, ATTACK, AREA_BETWEEN,
]  # fmt: skip
