"""The probe that is kept is the linear probe."""

import sys

import numpy as np
import pytest
import torch

from lib.data.images import Images
from lib.probes.linear_probe import linear_probe
from lib.probes.probe_correct import probe_correct
from lib.probes.raw_pixels import RawPixels

module = sys.modules["lib.probes.probe_correct"]  # lib.probes.probe_correct is its function


def test_a_probe_is_kept_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    pictures = torch.rand(40, 1, 28, 28, generator=random) * 0.5 + 0.4 * labels.view(-1, 1, 1, 1)
    images = Images(images=pictures, labels=labels, masks=None, classes=("a", "b"))
    found = probe_correct(RawPixels(), images, images)
    flat = pictures.flatten(1)
    assert np.array_equal(found, linear_probe(flat, labels, flat, labels))
    monkeypatch.setattr(module, "linear_probe", lambda *probed: 1 / 0)
    assert np.array_equal(probe_correct(RawPixels(), images, images), found)
    monkeypatch.setenv("PRECISION", "fast")  # is never taken for what is exact
    with pytest.raises(ZeroDivisionError):
        probe_correct(RawPixels(), images, images)
