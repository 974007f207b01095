import sys

import numpy as np
import pytest
import torch

from lib.data.images import Images
from lib.data.mosaic import mosaic
from lib.encoders.architecture import build_vit, vit_arguments
from lib.encoders.encoder import Encoder
from lib.probes import fine_tuned
from lib.probes.both_readings import both_readings
from lib.probes.fine_tuned import tuned_confusion, tuned_correct
from lib.probes.linear_probe import linear_probe

OPTIONS = dict(epochs=1, least_steps=2, seed=0)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(
        build_vit(vit_arguments("ti") | {"depth": 1}),
        [0.3],
        [0.35],
        "patch_mean",
        name="fashion/tiny one",
    )


def some(n, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 1, 28, 28, generator=generator)
    return Images(images, torch.arange(n) % 3, images > 0.2, ["a", "b", "c"])


def test_the_first_labels_are_used_once_and_the_result_is_read_again(results, encoder, monkeypatch):
    train, test = some(12, 0), some(5, 1)
    first = tuned_correct("custom", encoder, train, test, 6, **OPTIONS)
    assert first.shape == (5,) and set(first) <= {0.0, 1.0}
    (kept,) = (results / "custom" / "fine_tuned").iterdir()
    assert kept.name.startswith("tiny-one-6-labels-")
    changed = Images(
        torch.cat([train.images[:6], train.images[6:] * 0.5]),
        train.labels,
        train.masks,
        train.classes,
    )
    monkeypatch.setattr(fine_tuned, "fine_tune", lambda *_, **__: pytest.fail("computed again"))
    # images beyond the labels do not count
    assert np.array_equal(tuned_correct("custom", encoder, changed, test, 6, **OPTIONS), first)


@pytest.mark.parametrize("change", ["seed", "labels", "test", "weights"])
def test_what_the_result_depends_on_computes_it_again(results, encoder, change):
    train, test = some(12, 0), some(5, 1)
    tuned_correct("custom", encoder, train, test, 6, **OPTIONS)
    options, labels = dict(OPTIONS), 6
    if change == "seed":
        options["seed"] = 1
    elif change == "labels":
        labels = 7
    elif change == "test":
        test = some(5, 2)
    else:
        with torch.no_grad():
            encoder.model.norm.bias += 0.1
    tuned_correct("custom", encoder, train, test, labels, **options)
    assert len(list((results / "custom" / "fine_tuned").iterdir())) == 2


def test_confusions_of_mosaics(results, encoder):
    def tiles(seed):
        data = some(8, seed)
        return mosaic(data.images, data.masks, data.labels)

    found = tuned_confusion("custom", encoder, tiles(0), tiles(1), **OPTIONS)
    assert found.shape == (2, 11, 11) and found.dtype == int and (found.sum((1, 2)) == 196).all()
    assert np.array_equal(found, tuned_confusion("custom", encoder, tiles(0), tiles(1), **OPTIONS))


def test_both_readings_use_the_first_labels(results, encoder, monkeypatch):
    monkeypatch.setattr(
        sys.modules["lib.probes.both_readings"],
        "representations",
        lambda e, images: e.representations(images),
    )
    train, test = some(24, 0), some(5, 1)
    found = both_readings("custom", encoder, train, test, 12, **OPTIONS)
    assert list(found) == ["linear probe", "fine-tuning"]
    first = train.subset(torch.arange(12))
    probe = linear_probe(
        encoder.representations(first.images),
        first.labels,
        encoder.representations(test.images),
        test.labels,
    )
    assert np.array_equal(found["linear probe"], probe)
    assert np.array_equal(
        found["fine-tuning"], tuned_correct("custom", encoder, train, test, 12, **OPTIONS)
    )
