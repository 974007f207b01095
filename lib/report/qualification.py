"""Which encoders are good ones: a linear probe reads more from them than from raw pixels, and than
from random weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.data.dataset import load_images
from lib.probes.probe_correct import probe_correct
from lib.probes.raw_pixels import RawPixels
from lib.report.compared import load_page
from lib.report.intervals import interval, resampled_mean
from lib.report.judge import answer
from lib.report.tables import COLUMNS


def qualification(
    correct: Mapping[str, ArrayLike], references: Mapping[str, Sequence[str]], seed: int = 0
) -> pd.DataFrame:
    """Paired differences of each encoder to its references, and whether it exceeds all of them.

    Args:
        correct: name -> ``(images,)``, 1 where a linear probe is right, on the same images.
        references: encoder -> names of what it must exceed: raw pixels, random networks.
        seed: of the bootstrap over images.

    Returns:
        a row an encoder and reference, the columns of every table of results and ``qualified``:
        whether all intervals of the encoder lie above 0, as ``lib.report.judge.answer`` says.

    >>> better, worse = [1.0] * 30 + [0.0] * 10, [1.0] * 10 + [0.0] * 30
    >>> found = qualification({"a": better, "b": worse, "c": worse}, {"a": ["c"], "b": ["c"]})
    >>> found["qualified"].tolist()
    [True, False]
    """
    mean = {name: resampled_mean(values, seed=seed) for name, values in correct.items()}
    rows = []
    for name, others in references.items():
        found = {other: interval(mean[name] - mean[other]) for other in others}
        qualified = bool(found) and all(
            answer(low, high, 0) == "yes" for _, low, high in found.values()
        )
        n = len(np.asarray(correct[name]))
        for other, of in found.items():
            metric = f"linear probe minus {other}"
            rows.append((name, None, None, metric, *map(float, of), n, qualified))
    return pd.DataFrame(rows, columns=[*COLUMNS, "qualified"])


def probed_encoders(
    names: list[str], dataset: str, counts: Sequence[int], seed: int = 0
) -> pd.DataFrame:
    """Which of these encoders are good ones on a data set: :func:`qualification` of a linear probe.

    Args:
        names: of cards.
        dataset: whose images.
        counts: of training and of test images, or as many as there are; the same on every page of a
            profile.
        seed: of the samples, of the random networks and of the bootstrap.
    """
    train, test = (
        (images := load_images(dataset, split)).sample(min(most, len(images)), seed)
        for split, most in zip(("train", "test"), counts, strict=True)
    )
    page, raw = load_page(names, dataset, seed, by_pooling=True), RawPixels()
    correct = {e.name: probe_correct(e, train, test) for e in (*page.every, raw)}
    untrained = page.compared.untrained
    references = {name: [raw.name, *untrained[name]] for name in names}
    return qualification(correct, references, seed)


def qualified(
    names: list[str], dataset: str, counts: Sequence[int], seed: int = 0
) -> dict[str, bool]:
    """Name -> whether it is a good encoder; see :func:`probed_encoders`."""
    table = probed_encoders(names, dataset, counts, seed)
    return dict(zip(table["encoder"], table["qualified"], strict=True))
