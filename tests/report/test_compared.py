"""Who a page compares, read from cards."""

import re

import pytest
import torch

from lib.encoders.card import CHECKPOINTS, read_card
from lib.report.compared import MOST_DRAWN, load_page, training_of

VITS = ["fashion/moco-v3-s", "fashion/simmim-s"]
MANY = [
    "fashion/moco-v3-s", "fashion/simmim-s", "fashion/mae-s", "fashion/moco-v3-s-96k",
    "fashion/moco-v3-s-96k-seed1", "fashion/simmim-s-96k", "fashion/simmim-s-96k-seed1",
]  # fmt: skip


def test_random_networks_have_the_architecture_and_differ_by_seed():
    page = load_page(VITS, seed=3)
    assert [e.name for e in page.random] == ["random weights", "random weights (seed 4)"]
    names = [e.name for e in page.random]
    assert page.compared.untrained == {name: names for name in VITS}
    first, second = (e.model.state_dict()["blocks.0.attn.qkv.weight"] for e in page.random)
    assert first.shape == second.shape and not torch.equal(first, second)
    assert page.families == {VITS[0]: "CL", VITS[1]: "MIM", "random weights": "other"}


def test_each_architecture_has_its_own_random_networks():
    page = load_page(["fashion/simclr-r", *VITS], networks=1)
    untrained = page.compared.untrained
    assert untrained["fashion/simclr-r"] == ["random weights, ResNet"]
    assert untrained[VITS[0]] == untrained[VITS[1]] == ["random weights, ViT"]
    assert page.random[0].model.num_features != page.random[1].model.num_features


def test_representations_are_compared_with_networks_of_the_same_pooling():
    page = load_page(VITS, networks=1, by_pooling=True)
    pooling = {e.name: e.pooling for e in page.every}
    for name in VITS:
        (null,) = page.compared.untrained[name]
        assert pooling[null] == pooling[name] and null.startswith("random weights, ")


def test_roles_are_family_method_and_activation():
    roles = load_page(["fashion/simclr-r", *VITS], networks=0).compared.roles
    assert roles["fashion/simclr-r"] == {"CL", "SimCLR", "encoder", "piecewise"}
    assert roles[VITS[1]] == {"MIM", "SimMIM", "encoder", "smooth"}


def test_of_many_encoders_the_first_of_each_method_is_drawn():
    assert len(MANY) > MOST_DRAWN
    page = load_page(MANY, networks=1)
    assert list(page.families) == [*MANY[:3], "random weights"]
    assert [e.name for e in page.drawn] == list(page.families) and len(page.every) == 8


def test_seeds_of_one_length_share_a_training_and_other_lengths_do_not():
    of = {name: training_of(read_card(CHECKPOINTS / f"{name}.yaml")) for name in MANY}
    assert of["fashion/moco-v3-s-96k"] == of["fashion/moco-v3-s-96k-seed1"]
    assert of["fashion/simmim-s-96k"] == of["fashion/simmim-s-96k-seed1"]
    assert len(set(of.values())) == 5
    assert not any(re.search("SEED", training) for training in of.values())


@pytest.mark.parametrize("unknown", [{"seed": None}, {"images_seen": None}])
def test_a_card_that_does_not_know_its_training_shares_it_with_none(unknown):
    card = read_card(CHECKPOINTS / "fashion/moco-v3-s.yaml")
    assert training_of(type(card)(**{**vars(card), **unknown})) is None
