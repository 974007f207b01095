import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lib.attribution.mask_and_attack import (
    PAPER_ATTACKS,
    RATES,
    STRATEGIES,
    Attack,
    mask_and_attack,
    perturb,
    protection_order,
)
from lib.attribution.ranking import feature_count
from lib.data.draws import draws

QUICK = Attack(steps=2, step_size=0.02)


@pytest.fixture
def attribution(doubles):
    return torch.randn(
        doubles.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(8)
    )


def naive(encoder, image, order, rate, attack, index, guide=None):
    """The protocol for one image and one rate, step by step."""
    guide = guide or encoder
    attacked = (order >= round(rate * order.numel())).double()
    u = (
        draws(index.reshape(1), 2 * image.numel(), 0)[0, image.numel() :]
        .double()
        .reshape(image.shape)
        * 2
        - 1
    )
    x = (image + attacked * attack.step_size * u)[None]
    box = [t.clamp(0, 1) for t in (image - attack.epsilon, image + attack.epsilon)]
    x = torch.min(torch.max(x, box[0]), box[1])
    for _ in range(attack.steps):
        x = x.detach().requires_grad_()
        F.cosine_similarity(guide(x), guide(image[None])).sum().backward()
        x = x - attacked * attack.step_size * x.grad.sign()
        x = torch.min(torch.max(x, box[0]), box[1])
    return F.cosine_similarity(encoder(x), encoder(image[None])).item()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equals_a_loop(either, doubles, attribution, indices, strategy):
    rates = (0, 0.25, 1)
    found = mask_and_attack(
        either, doubles, attribution, rates, strategy, QUICK, indices, batch_size=8
    )
    order = protection_order(doubles, attribution, strategy, indices)
    for j, rate in enumerate(rates):
        assert found[3, j].item() == pytest.approx(
            naive(either, doubles[3], order[3], rate, QUICK, indices[3]), abs=1e-9
        )
    torch.testing.assert_close(found[:, 2], torch.ones(5, dtype=torch.float64))  # all protected
    assert (found[:, 0] < found[:, 2]).all()


def test_transferred_attack_follows_the_other_encoder(vit, resnet, doubles, attribution, indices):
    found = mask_and_attack(
        vit, doubles, attribution, (0.3,), "important", QUICK, indices, gradient_encoder=resnet
    )
    order = protection_order(doubles, attribution, "important", indices)
    assert found[1, 0].item() == pytest.approx(
        naive(vit, doubles[1], order[1], 0.3, QUICK, indices[1], guide=resnet), abs=1e-9
    )
    own = mask_and_attack(vit, doubles, attribution, (0.3,), "important", QUICK, indices)
    assert (own < found).all()  # its own gradients hurt more


def test_noise_needs_no_gradient_and_hurts_less(vit, doubles, indices):
    with torch.no_grad():
        noise = mask_and_attack(vit, doubles, None, (0, 1), "random", 16 / 255, indices)
    attack = mask_and_attack(vit, doubles, None, (0, 1), "random", Attack(8, 0.01), indices)
    assert (attack[:, 0] < noise[:, 0]).all() and (noise[:, 0] < 1 - 1e-9).all()
    torch.testing.assert_close(noise[:, 1], torch.ones(5, dtype=torch.float64))


@given(
    rate=st.floats(0, 1),
    channels=st.sampled_from([1, 3]),
    unit=st.sampled_from(["pixel", "entry"]),
    strategy=st.sampled_from(STRATEGIES),
)
def test_masks_hit_exactly_the_rate_and_the_right_end(rate, channels, unit, strategy):
    generator = torch.Generator().manual_seed(0)
    images, attribution = (
        torch.rand(3, channels, 7, 5, generator=generator),
        torch.rand(3, channels, 7, 5, generator=generator),
    )
    order = protection_order(images, attribution, strategy, torch.arange(3), unit=unit)
    features = 35 * (channels if unit == "entry" else 1)
    protected = order < feature_count(rate, features)
    assert (protected.flatten(1).sum(1) == round(rate * features)).all()
    values = attribution if unit == "entry" else attribution.sum(1, keepdim=True)
    if protected.any() and not protected.all() and strategy != "random":
        for value, kept in zip(values, protected, strict=True):
            inside, outside = value[kept], value[~kept]
            assert (
                inside.min() >= outside.max()
                if strategy == "important"
                else inside.max() <= outside.min()
            )


@given(
    seed=st.integers(0, 99), epsilon=st.floats(0, 0.5), step_size=st.floats(0, 0.3),
    rate=st.floats(0, 1), channels=st.sampled_from([1, 2]), dtype=st.sampled_from([torch.float32,
    torch.float64]),
)  # fmt: skip
def test_protected_entries_never_move_and_the_others_stay_in_the_ball(
    seed, epsilon, step_size, rate, channels, dtype
):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(channels * 20, 6, generator=generator, dtype=dtype)
    clean = torch.rand(4, channels, 4, 5, generator=generator, dtype=dtype)
    clean[:, :, 0], clean[:, :, 1] = 0, 1
    attacked = torch.rand(4, 1, 4, 5, generator=generator) >= rate
    noise = torch.rand(clean.shape, generator=generator, dtype=dtype) * 2 - 1
    encoder = lambda x: x.flatten(1) @ weights  # noqa: E731
    moved = perturb(
        encoder,
        clean,
        F.normalize(encoder(clean), dim=1),
        attacked,
        Attack(4, step_size, epsilon),
        noise,
    )
    assert torch.where(attacked, clean, moved).equal(clean)
    assert moved.min() >= 0 and moved.max() <= 1
    assert (moved - clean).abs().max() <= epsilon + torch.finfo(dtype).eps


def test_the_start_is_random_because_the_gradient_is_zero_at_the_image(vit, doubles):
    anchors = F.normalize(vit(doubles), dim=1)
    x = doubles.clone().requires_grad_()
    (F.normalize(vit(x), dim=1) * anchors).sum().backward()
    at_start = x.grad.abs().max()
    x = (doubles + 0.001 * torch.rand_like(doubles)).clamp(0, 1).requires_grad_()
    (F.normalize(vit(x), dim=1) * anchors).sum().backward()
    assert at_start < 1e-10 * x.grad.abs().max()


def test_steps_do_not_raise_the_score_to_first_order(either, doubles):
    anchors, everything = (
        F.normalize(either(doubles), dim=1),
        torch.ones_like(doubles, dtype=torch.bool),
    )
    noise = (
        torch.rand(doubles.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        * 2
        - 1
    )
    after = [
        (
            F.normalize(
                either(perturb(either, doubles, anchors, everything, Attack(steps, 1e-3), noise)),
                dim=1,
            )
            * anchors
        ).sum(1)
        for steps in range(3)
    ]
    assert (torch.stack(after).diff(dim=0) < 0).all()


@pytest.mark.parametrize("attack", [QUICK, 0.05], ids=["attack", "noise"])
@pytest.mark.parametrize("unit", ["pixel", "entry"])
def test_neither_the_batch_nor_other_rates_matter(vit, doubles, attribution, indices, attack, unit):
    for strategy in ("important", "random"):
        whole = mask_and_attack(
            vit,
            doubles,
            attribution,
            (0.2, 0.5),
            strategy,
            attack,
            indices,
            seed=4,
            unit=unit,
            batch_size=3,
        )
        alone = mask_and_attack(
            vit,
            doubles[2:3],
            attribution[2:3],
            (0.5,),
            strategy,
            attack,
            indices[2:3],
            seed=4,
            unit=unit,
        )
        assert alone.item() == pytest.approx(whole[2, 1].item(), abs=1e-10)


def test_a_constant_attribution_ranks_like_chance(vit, doubles, indices):
    flat = torch.zeros_like(doubles)
    found = [
        mask_and_attack(vit, doubles, flat, (0.5,), strategy, QUICK, indices)
        for strategy in STRATEGIES
    ]
    assert found[0].equal(found[1]) and found[0].equal(found[2])


def test_passes_and_memory_are_bounded(vit, doubles, attribution, indices, counted):
    sizes = counted(vit)
    mask_and_attack(vit, doubles, attribution, RATES, "important", QUICK, indices, batch_size=4)
    assert max(sizes) <= 4
    # clean images once; steps and a score for each image and rate
    assert sum(sizes) == 5 + 5 * 11 * (2 + 1)


def test_presets_are_those_of_the_paper():
    assert {name: (a.steps, a.step_size) for name, a in PAPER_ATTACKS.items()} == {
        "SimCLR": (10, 0.001), "MoCo v3": (50, 0.001), "MAE": (50, 0.01), "BYOL": (70, 0.001),
        "SimSiam": (70, 0.001),
    }  # fmt: skip
    assert {a.epsilon for a in PAPER_ATTACKS.values()} == {16 / 255} and RATES == (
        0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1,
    )


def test_bad_input_is_refused(vit, doubles, attribution, indices):
    run = lambda **changes: mask_and_attack(**(dict(  # noqa: E731
        encoder=vit, images=doubles, attribution=attribution, rates=(0.5,), strategy="important", attack=QUICK, indices=indices) | changes))  # fmt: skip
    for changes, message in [
        (dict(strategy="MI"), "'important', 'unimportant', 'random'"),
        (dict(attribution=None), "needs an attribution"),
        (dict(attribution=attribution[:4]), "expected an attribution of shape"),
        (dict(attribution=attribution / 0), "finite"),
        (dict(rates=(50,)), "share in"),
        (dict(images=doubles - 1), r"\[0, 1\]"),
        (dict(indices=indices[:2]), "2 indices"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(**changes)
