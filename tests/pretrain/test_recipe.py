import pytest
import torch

from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.recipe import Recipe, batch_indices, optimizer_for, seeded
from lib.pretrain.simmim import SimMIM


def test_the_learning_rate_warms_up_then_falls_along_a_half_cosine():
    recipe = Recipe(images=64 * 1000, learning_rate=0.01, warmup=0.05)
    assert recipe.steps == 1000
    rates = [recipe.rate(step) for step in range(1001)]
    assert [rates[0], rates[24], rates[49], rates[50]] == pytest.approx(
        [0.01 / 50, 0.005, 0.01, 0.01]
    )
    assert rates[525] == pytest.approx(0.005) and rates[1000] == pytest.approx(0, abs=1e-12)
    assert all(a < b for a, b in zip(rates[:49], rates[1:50], strict=True)) and all(
        a > b for a, b in zip(rates[50:-1], rates[51:], strict=True)
    )


@pytest.mark.parametrize(("n", "batch_size"), [(64, 8), (67, 8), (8, 8), (9, 4)])
def test_each_epoch_is_a_fresh_permutation(n, batch_size):
    per_epoch = n // batch_size
    epochs = [
        torch.cat(
            [batch_indices(epoch * per_epoch + i, batch_size, n, 3) for i in range(per_epoch)]
        )
        for epoch in range(4)
    ]
    for epoch in epochs:
        assert (
            len(epoch) == per_epoch * batch_size == len(epoch.unique())
            and 0 <= epoch.min()
            and epoch.max() < n
        )
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    if n % batch_size:
        # not always the same images are dropped
        assert len({tuple(sorted(epoch.tolist())) for epoch in epochs}) > 1


def test_the_images_of_a_step_depend_on_seed_and_step_alone():
    expected = batch_indices(11, 8, 64, 0)
    torch.manual_seed(99)
    batch_indices(3, 8, 64, 1)
    assert torch.equal(batch_indices(11, 8, 64, 0), expected) and not torch.equal(
        batch_indices(11, 8, 64, 1), expected
    )
    with pytest.raises(
        ValueError, match="batch of 65 images needs at least as many images, got 64"
    ):
        batch_indices(0, 65, 64, 0)


def test_generators_of_different_numbers_differ():
    numbers = [(a, b, c) for a in range(4) for b in (0, 1) for c in range(30)] + [
        (0,),
        (0, 0),
        (1, 0),
    ]
    draws = {torch.randint(2**62, (1,), generator=seeded(*each)).item() for each in numbers}
    assert len(draws) == len(numbers)


OBJECTIVES = {
    "moco-v3": lambda vit: MoCoV3(vit, features=24, hidden=16, outputs=8),
    "simmim": lambda vit: SimMIM(vit, features=24),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_matrices_decay_and_vectors_tokens_and_frozen_parameters_do_not(make_vit, name):
    made = OBJECTIVES[name](make_vit())
    names = {id(parameter): label for label, parameter in made.named_parameters()}
    groups = optimizer_for(made, Recipe(64, weight_decay=0.3)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    decayed, plain = ([names[id(parameter)] for parameter in group["params"]] for group in groups)
    assert all(label.endswith("weight") or label == "encoder.pos_embed" for label in decayed)
    assert {"encoder.blocks.0.attn.qkv.weight", "encoder.blocks.1.mlp.fc2.weight"} <= set(decayed)
    tokens = {"encoder.cls_token"} | ({"mask_token"} if name == "simmim" else set())
    assert tokens | {
        "encoder.norm.weight",
        "encoder.norm.bias",
        "encoder.blocks.0.attn.qkv.bias",
    } <= set(plain)
    assert not any(label.startswith("momentum_") or label in decayed for label in plain)
    assert sorted(decayed + plain) == sorted(
        label for label, parameter in made.named_parameters() if parameter.requires_grad
    )
