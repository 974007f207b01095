"""Explorers: parts of a page that can be touched, each with a still picture and a table for print
and screen readers.

A function here turns tensors into HTML that carries its data; ``book/_static/explorers.js`` makes
it live. Nothing is loaded from elsewhere, and without the script the still picture and the table
remain.
"""

import base64
import io
import json
from collections.abc import Sequence
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lib.attribution.invariance_score import invariance_score
from lib.attribution.mask_and_attack import STRATEGIES, Attack, perturb, protection_order
from lib.attribution.ranking import feature_count
from lib.attribution.ssla import walk
from lib.data.draws import draws
from lib.data.images import Images
from lib.encoders.encoder import Encoder
from lib.probes.attention_map import attention_maps
from lib.probes.token_clusters import image_precision
from lib.report.show import number

SIDE = 56  # pixels of an image as an explorer shows it, at most
# bytes of maps that one explorer carries for one encoder, at most; the first image always fits
BUDGET = 400_000


def coded(values: Tensor | np.ndarray) -> str:
    """Values in [0, 1] as base64 of one byte each."""
    array = np.asarray(values, dtype=np.float64)
    return base64.b64encode((array.clip(0, 1) * 255).round().astype(np.uint8).tobytes()).decode()


def small(images: Tensor, most: int = SIDE) -> Tensor:
    """Images ``(…, height, width)`` of ``most`` pixels at most, by averaging."""
    side = min(most, images.shape[-1])
    return adaptive_avg_pool2d(images.flatten(0, -4), side).unflatten(0, images.shape[:-3])


def rounded(values: Tensor | np.ndarray, digits: int = 4) -> list:
    """Nested lists with few digits, for JSON."""
    return np.asarray(values, dtype=np.float64).round(digits).tolist()


def picture(figure: Figure) -> str:
    """A figure as a picture inside the page, closed."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def strips(rows: dict[str, Sequence[np.ndarray]]) -> Figure:
    """Small maps in labelled rows, each on a scale of its own."""
    most = max(len(maps) for maps in rows.values())
    figure, axes = plt.subplots(
        len(rows), most, figsize=(0.75 * most + 1.6, 0.85 * len(rows) + 0.2), squeeze=False
    )
    for row, (label, maps) in zip(axes, rows.items(), strict=True):
        for axis in row:
            axis.axis("off")
        for axis, values in zip(row, maps, strict=False):
            axis.imshow(values, cmap="inferno" if np.ndim(values) == 2 else None)
        row[0].text(
            -0.1,
            0.5,
            label.replace(", ", ",\n"),
            transform=row[0].transAxes,
            ha="right",
            va="center",
            fontsize=9,
        )
    return figure


def explorer(
    kind: str, title: str, data: dict, still: Figure, alt: str, table: pd.DataFrame, how: str
) -> HTML:
    """The HTML of an explorer.

    Args:
        kind: which part of ``explorers.js`` makes it live.
        title: its name.
        data: what that part needs.
        still, alt: picture for print and for browsers without scripts, and its alternative text.
        table: the numbers behind the picture.
        how: one sentence: what to do, what to see.
    """
    rows = table.to_html(index=False, border=0, classes="study", float_format=number)
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return HTML(
        f'<section class="explorer" data-explorer="{kind}" aria-label="{escape(title)}"><p'
        f' class="how"><strong>{escape(title)}{"" if title.endswith("?") else "."}</strong>'
        f' {escape(how)}</p><div class="still"><img src="{picture(still)}"'
        f' alt="{escape(alt)}"></div><details class="behind"><summary>The table behind'
        f' it</summary><div class="table-scroll">{rows}</div></details><script'
        f' type="application/json">{written}</script></section>'
    )


def image_data(images: Images, count: int, side: int = SIDE) -> dict:
    """The first ``count`` images as JSON data: pixels as base64, and each one's class."""
    shown = small(images.images[:count], side)
    names = [
        images.classes[label] if images.classes else "image"
        for label in images.labels[:count].tolist()
    ]
    return {
        "size": [shown.shape[2], shown.shape[3], shown.shape[1]],
        "images": [
            {"pixels": coded(x), "label": name} for x, name in zip(shown, names, strict=True)
        ],
    }


def every_map(encoder: Encoder, image: Tensor) -> Tensor:
    """Attention from every patch to every patch ``(depth, patches, patches)`` of one image, heads
    averaged, prefix tokens removed."""
    rows, columns = encoder.grid(image[None])
    queries = [(row, column) for row in range(rows) for column in range(columns)]
    return attention_maps(encoder, image, queries).flatten(2)


def _fitting(images: Tensor, encoders: Sequence[Encoder]) -> int:
    patches = max(np.prod(e.grid(images)) ** 2 * e.depth for e in encoders)
    return int(max(1, min(len(images), BUDGET // patches)))


def _middle(grid: tuple[int, int]) -> list[int]:
    return [grid[0] // 2, grid[1] // 2]


def _attention(
    encoders: Sequence[Encoder], images: Images, labels: dict[str, str]
) -> tuple[dict, Figure, pd.DataFrame]:
    count = _fitting(images.images, encoders)
    grids = {e.grid(images.images) for e in encoders}
    if len(grids) != 1:
        raise ValueError(f"expected encoders with one grid of patches, got {sorted(grids)}")
    (grid,) = grids
    maps = {e.name: [every_map(e, x) for x in images.images[:count]] for e in encoders}
    query = _middle(grid)
    at = query[0] * grid[1] + query[1]
    data = {
        **image_data(images, count),
        "grid": list(grid),
        "patch": encoders[0].patch_size,
        "query": query,
        "encoders": [
            {
                "label": labels[e.name],
                "depth": e.depth,
                "maps": [coded(m.clamp(min=0).sqrt()) for m in maps[e.name]],
            }
            for e in encoders
        ],
    }
    still = strips(
        {
            labels[n]: [m.unflatten(0, grid).numpy() for m in found[0][:, at]]
            for n, found in maps.items()
        }
    )
    rows = [
        {
            "encoder": labels[name],
            "block": block + 1,
            "largest share": share.max().item(),
            "row": int(share.argmax()) // grid[1] + 1,
            "column": int(share.argmax()) % grid[1] + 1,
            "share on itself": share[at].item(),
        }
        for name, found in maps.items()
        for block, share in enumerate(found[0][:, at])
    ]
    return data, still, pd.DataFrame(rows)


def attention_explorer(encoders: Sequence[Encoder], images: Images, labels: dict[str, str]) -> HTML:
    """Click a patch and see where it looks, in every block, encoders side by side.

    Args:
        encoders: Vision Transformers with one grid of patches.
        images: to choose from; as many as fit a page.
        labels: encoder -> name to show.

    Raises:
        ValueError: encoders with different grids.
    """
    data, still, table = _attention(encoders, images, labels)
    how = (
        "Choose a patch with the mouse, a finger or the arrow keys: each row of maps shows where"
        " that patch looks, block by block."
    )
    alt = (
        "Rows of attention maps of the middle patch of the first image, one row an encoder, one map"
        " a block."
    )
    return explorer("attention", "Where does a patch look?", data, still, alt, table, how)


def hybrid_explorer(
    encoders: Sequence[Encoder],
    images: Images,
    weights: Sequence[float],
    readings: dict[str, Sequence[float]],
) -> HTML:
    """Turn λ of the hybrid loss and see attention and accuracies change.

    Args:
        encoders: one a λ, in order of λ.
        images: to choose from.
        weights: the λ of each.
        readings: name of an accuracy -> one value a λ.

    Raises:
        ValueError: another number of weights or values than of encoders, encoders with different
            grids.
    """
    lengths = {"weights": len(weights)} | {name: len(values) for name, values in readings.items()}
    if set(lengths.values()) != {len(encoders)}:
        raise ValueError(f"expected one value for each of {len(encoders)} encoders, got {lengths}")
    labels = {e.name: f"λ = {w:g}" for e, w in zip(encoders, weights, strict=True)}
    data, still, table = _attention(
        encoders, images.subset(torch.arange(min(len(images), 3))), labels
    )
    data |= {
        "weights": list(weights),
        "readings": {name: rounded(values) for name, values in readings.items()},
    }
    scores = pd.DataFrame(
        {"λ": list(weights), **{name: list(values) for name, values in readings.items()}}
    )
    how = (
        "Move λ from masked image modelling alone (0) to contrastive learning alone (1), and choose"
        " a patch: its attention and the two accuracies follow."
    )
    alt = (
        "Rows of attention maps of the middle patch, one row a share λ of the contrastive loss, one"
        " map a block."
    )
    return explorer("hybrid", "From one loss to the other", data, still, alt, scores, how)


def path_explorer(
    encoders: Sequence[Encoder],
    images: Images,
    mean_views: dict[str, Tensor],
    steps: int,
    labels: dict[str, str],
) -> HTML:
    """Walk along SSLA's path with a slider.

    Args:
        encoders: whose paths.
        images: x₀, to choose from.
        mean_views: encoder -> z̄, ``(images, width)``.
        steps: T.
        labels: encoder -> name to show.
    """
    shown, rows, strip = [], [], {}
    for e in encoders:
        points = list(walk(e, images.images, mean_views[e.name], steps))
        path, attribution, scores = (
            torch.stack(part, 1) for part in zip(*points, strict=True)
        )  # (images, steps + 1, …)
        sums, seen, maps = (
            attribution.flatten(2).sum(2),
            small(path),
            small(attribution.sum(2, keepdim=True))[:, :, 0],
        )
        runs = [
            {
                "images": coded(x),
                "attributions": coded(a / a.max().clamp(min=1e-12)),
                "scores": rounded(s),
                "sums": rounded(total),
            }
            for x, a, s, total in zip(seen, maps, scores, sums, strict=True)
        ]
        shown.append({"label": labels[e.name], "family": e.family, "runs": runs})
        strip[labels[e.name]] = [
            *(x.movedim(0, -1).squeeze(-1).numpy() for x in seen[0, [0, -1]]),
            maps[0, -1].numpy(),
        ]
        rows += [
            {"encoder": labels[e.name], "step": t, "score": s, "attribution sums to": total}
            for t, (s, total) in enumerate(zip(scores[0].tolist(), sums[0].tolist(), strict=True))
        ]
    data = {**image_data(images, len(images)), "steps": steps, "encoders": shown}
    how = (
        "Move the slider: the image walks away from itself (left), and the pixels that made the"
        " score fall light up (right)."
    )
    alt = "One row an encoder: the image, the image at the end of the path, and the attribution."
    return explorer("path", "SSLA, step by step", data, strips(strip), alt, pd.DataFrame(rows), how)


def attacked(
    encoder: Encoder,
    image: Tensor,
    attribution: Tensor,
    rates: Sequence[float],
    attack: Attack,
    index: int,
    seed: int = 0,
) -> dict[str, dict]:
    """What :func:`lib.attribution.mask_and_attack.mask_and_attack` scores, with the attacked images
    themselves, for one image.

    Args:
        encoder: f.
        image: x, ``(channels, height, width)``.
        attribution: of that shape.
        rates: shares protected.
        attack: its steps.
        index: of the image in its data set.
        seed: of masks and start.

    Returns:
        strategy -> ``protected_from``, the index of the least rate that protects a pixel
            ``(height, width)``; ``images`` ``(rates, channels, height,
        width)``; ``scores`` ``(rates,)``.
    """
    indices, found = torch.tensor([index]), {}
    anchors = torch.nn.functional.normalize(encoder.representations(image[None]), dim=1).expand(
        len(rates), -1
    )
    clean = image.expand(len(rates), -1, -1, -1)
    entries = image.numel()
    noise = (
        (draws(indices, 2 * entries, seed)[:, entries:].to(clean) * 2 - 1)
        .reshape(1, *image.shape)
        .expand_as(clean)
    )
    for strategy in STRATEGIES:
        order = protection_order(image[None], attribution[None], strategy, indices, seed)
        counts = torch.tensor([feature_count(rate, order[0].numel()) for rate in rates]).reshape(
            -1, 1, 1, 1
        )
        protected = order < counts
        x = perturb(encoder, clean, anchors, ~protected, attack, noise)
        with torch.no_grad():
            scores = invariance_score(encoder, x, anchors)
        found[strategy] = {
            "protected_from": len(rates) - protected.sum(0)[0],
            "images": x,
            "scores": scores,
        }
    return found


def attack_explorer(
    results: dict[str, list[dict]], images: Images, rates: Sequence[float], labels: dict[str, str]
) -> HTML:
    """Protect a share of the pixels, attack the rest.

    Args:
        results: encoder -> one result of :func:`attacked` an image.
        images: to choose from.
        rates: shares protected.
        labels: encoder -> name to show.
    """
    encoders, rows, strip = [], [], {}
    for name, found in results.items():
        runs = [{strategy: _attack_data(r) for strategy, r in run.items()} for run in found]
        encoders.append({"label": labels[name], "runs": runs})
        strip[labels[name]] = [
            small(r["images"])[len(rates) // 2].movedim(0, -1).squeeze(-1).numpy()
            for r in found[0].values()
        ]
        for k, rate in enumerate(rates):
            scores = {strategy: r["scores"][k].item() for strategy, r in found[0].items()}
            rows.append({"encoder": labels[name], "share protected": rate, **scores})
    data = {**image_data(images, len(images)), "rates": list(rates), "encoders": encoders}
    how = (
        "Choose how many pixels are protected: left what is protected, right the attacked image,"
        " and below them what is left of the similarity."
    )
    alt = (
        "One row an encoder: the attacked image with half of the pixels protected, important ones,"
        " unimportant ones, random ones."
    )
    still = strips(strip)
    return explorer("attack", "Mask and attack", data, still, alt, pd.DataFrame(rows), how)


def _attack_data(result: dict[str, Tensor]) -> dict:
    least = result["protected_from"][None, None].float()
    side = min(SIDE, least.shape[-1])
    least = torch.nn.functional.interpolate(least, size=side)[0, 0].to(torch.uint8)
    return {
        "protected_from": base64.b64encode(least.numpy().tobytes()).decode(),
        "images": coded(small(result["images"])),
        "scores": rounded(result["scores"]),
    }


def token_explorer(
    points: dict[str, np.ndarray],
    tokens: dict[str, Tensor],
    images: Images,
    grid: tuple[int, int],
    labels: dict[str, str],
) -> HTML:
    """The token map, with the image and patch of the token under the pointer.

    Args:
        points: encoder -> ``(images, tokens, 2)``.
        tokens: encoder -> ``(images, tokens, width)``, for the share of nearest tokens that are of
            the own image.
        images: whose tokens.
        grid: patches (down, across).
        labels: encoder -> name to show.
    """
    present = sorted(set(images.labels.tolist()))
    data = image_data(images, len(images)) | {
        "grid": list(grid),
        "classes": [images.classes[c] for c in present],
    }
    for image, label in zip(data["images"], images.labels.tolist(), strict=True):
        image["class"] = present.index(label)
    mean = {name: float(np.mean(image_precision(t))) for name, t in tokens.items()}
    data["encoders"] = [
        {"label": labels[n], "points": rounded(p.reshape(-1), 1), "own": round(mean[n], 4)}
        for n, p in points.items()
    ]
    figure, axes = plt.subplots(1, len(points), figsize=(2.4 * len(points), 2.6), squeeze=False)
    for axis, (name, p) in zip(axes[0], points.items(), strict=True):
        for c, marker in zip(present, "os^vDP*X<>", strict=False):
            axis.scatter(*p[images.labels.numpy() == c].reshape(-1, 2).T, s=4, marker=marker)
        axis.set_title(labels[name], fontsize=9)
        axis.axis("off")
    table = pd.DataFrame(
        {
            "encoder": [labels[n] for n in mean],
            "nearest tokens of the own image": list(mean.values()),
        }
    )
    how = (
        "Point at a token, or use the arrow keys: its image and patch appear, and the other tokens"
        " of that image grow."
    )
    return explorer(
        "tokens",
        "Whose token is that?",
        data,
        figure,
        "Scatter plots of tokens, one an encoder, with one kind of mark a class.",
        table,
        how,
    )


def principal_directions(tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Coordinates of an image's tokens along their main directions, and each direction's variance.

    X − x̄ = U Σ Vᵀ: coordinates U Σ, variances Σ² / (tokens − 1).
    The sign of a direction is such that its largest coordinate is positive.

    Args:
        tokens: X, ``(tokens, width)``.
        count: of directions.

    Returns:
        ``(count, tokens)`` and all variances ``(min(tokens, width),)``.

    >>> coordinates, variances = principal_directions(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), 1)
    >>> coordinates.abs().round(decimals=4).tolist(), variances.round(decimals=4).tolist()
    ([[1.0, 1.0]], [2.0, 0.0])
    """
    u, s, _ = torch.linalg.svd(tokens.double() - tokens.double().mean(0), full_matrices=False)
    coordinates = (u * s).T[:count]
    largest = coordinates.gather(1, coordinates.abs().argmax(1, keepdim=True))
    return coordinates * largest.sign(), s.square() / (len(tokens) - 1)


def direction_explorer(
    tokens: dict[str, Tensor],
    families: dict[str, str],
    images: Images,
    grid: tuple[int, int],
    labels: dict[str, str],
    count: int = 12,
) -> HTML:
    """Main directions of an image's token cloud, one after the other, as maps over the image.

    Args:
        tokens: encoder -> ``(images, tokens, width)``.
        families: encoder -> family.
        images: whose tokens.
        grid: patches (down, across).
        labels: encoder -> name to show.
        count: of directions.
    """
    encoders, strip, rows = [], {}, []
    for name, of_images in tokens.items():
        runs = []
        for image, t in enumerate(of_images):
            coordinates, variances = principal_directions(t, count)
            share = (variances / variances.sum())[:count]
            reach = coordinates.abs().amax(1, keepdim=True).clamp(min=1e-12)
            logs = (variances[:count].clamp(min=1e-12) / variances[0]).log10()
            runs.append(
                {
                    "projections": coded(coordinates / reach / 2 + 0.5),
                    "shares": rounded(share),
                    "logs": rounded(logs, 3),
                }
            )
            if image == 0:
                strip[labels[name]] = [c.unflatten(0, grid).numpy() for c in coordinates[:6]]
                rows += [
                    {"encoder": labels[name], "direction": k + 1, "share of variance": s}
                    for k, s in enumerate(share.tolist())
                ]
        encoders.append({"label": labels[name], "family": families[name], "runs": runs})
    data = {
        **image_data(images, len(images)),
        "grid": list(grid),
        "directions": count,
        "encoders": encoders,
    }
    how = (
        "Move from the first direction on: what do the tokens differ in most, what next? A cloud"
        " with many directions keeps showing patterns."
    )
    alt = (
        "One row an encoder: the tokens of the first image along their first six main directions,"
        " as maps over the patches."
    )
    return explorer(
        "directions",
        "Along which directions do tokens differ?",
        data,
        strips(strip),
        alt,
        pd.DataFrame(rows),
        how,
    )
