import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from scipy.stats import kstest, truncnorm
from torch import nn

from lib.encoders.architecture import build_resnet, build_vit, resnet_arguments, vit_arguments
from lib.encoders.exact_init import ExactInit

MODELS = {
    "vit": (lambda: build_vit(vit_arguments("ti") | {"depth": 2}), "a1b01777ad64f710"),
    "resnet": (lambda: build_resnet(resnet_arguments()), "1082ef7e9b8dc254"),
    "convnext": (lambda: timm.create_model("convnext_atto", num_classes=0), "8e487b5af3df244c"),
}


def hash_of(name):
    with ExactInit(4):
        state = MODELS[name][0]().state_dict()
    found = hashlib.sha256()
    for key, tensor in sorted(state.items()):
        found.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("name", MODELS)
def test_bits_are_the_same_everywhere(name):
    assert hash_of(name) == MODELS[name][1]


def test_processors_without_wide_registers_give_the_same_bits():
    code = "from tests.encoders.test_exact_init import *; print(*map(hash_of, MODELS))"
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [hash_of(name) for name in MODELS]


@pytest.mark.parametrize("name", MODELS)
def test_distributions_are_those_of_the_initialisers(name):
    torch.manual_seed(0)
    plain = MODELS[name][0]()
    with ExactInit(0):
        exact = MODELS[name][0]()
    for (key, a), b in zip(plain.state_dict().items(), exact.state_dict().values(), strict=True):
        if a.unique().numel() < 3 or "pos_embed" in key:
            assert torch.equal(a, b), key
        else:
            assert not torch.equal(a, b), key
            close = 5 / (2 * a.numel()) ** 0.5
            assert b.std().item() == pytest.approx(a.std().item(), rel=2 * close), key
            assert abs(b.mean()) < 5 * a.std() / a.numel() ** 0.5, key


def test_truncated_normal():
    with ExactInit(0):
        found = nn.init.trunc_normal_(torch.empty(50_000), 1.0, 2.0, a=-1.0, b=4.0)
    assert kstest(found.numpy(), truncnorm(-1, 1.5, loc=1, scale=2).cdf).pvalue > 1e-3
    assert np.abs(found.numpy()).max() <= 4


def test_every_call_draws_anew_and_the_seed_decides():
    def layers(seed):
        with ExactInit(seed):
            return [
                nn.Linear(3, 3).weight,
                nn.Linear(3, 3).weight,
                torch.randn(3, 3),
                torch.rand(3, 3),
            ]

    first, again, other = layers(0), layers(0), layers(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({tuple(t.flatten().tolist()) for t in [*first, *other]}) == 8


def test_what_it_cannot_draw_is_refused():
    with pytest.raises(TypeError, match=r"no exact draw stands for aten.bernoulli"), ExactInit(0):
        torch.empty(3).bernoulli_()
    state = torch.get_rng_state()
    with ExactInit(0):
        nn.Linear(3, 3)
    assert torch.equal(torch.get_rng_state(), state)
