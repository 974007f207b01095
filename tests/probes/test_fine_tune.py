import numpy as np
import pytest
import timm
import torch

from lib.encoders.encoder import Encoder
from lib.probes.fine_tune import FineTuned, fine_tune, fit_fine_tuned, flip, shift

FAST = dict(epochs=1, least_steps=4, batch_size=8)


def bright_halves(n, seed, per_patch=False):
    """Noise whose top or bottom half is brighter: class 0 or 1, of the image or of each patch."""
    generator = torch.Generator().manual_seed(seed)
    images, labels = (
        0.5 * torch.rand(n, 1, 28, 28, generator=generator),
        torch.randint(2, (n,), generator=generator),
    )
    bottom = torch.arange(28)[:, None] >= 14 + torch.zeros(28)
    images = images + 0.5 * (bottom == labels.bool().reshape(-1, 1, 1, 1))
    return images, (
        (images.unfold(2, 4, 4).unfold(3, 4, 4).mean((1, 4, 5)) > 0.5).long()
        if per_patch
        else labels
    )


@pytest.fixture
def small_resnet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(
            timm.create_model("resnet18", num_classes=0, in_chans=1, channels=(8, 8, 8, 16)),
            [0.3],
            [0.35],
            "global_average",
        )


@pytest.mark.parametrize("pooling", ["class_token", "patch_mean"])
def test_learns_where_the_frozen_encoder_is_random(make_vit, pooling):
    encoder = Encoder(make_vit(shaken=False), [0.3], [0.35], pooling)
    right = fine_tune(
        encoder,
        *bright_halves(64, 1),
        *bright_halves(100, 2),
        least_steps=30,
        epochs=1,
        batch_size=16,
        layer_decay=1.0,
    )
    assert (
        right.shape == (100,) and right.dtype == torch.float32 and set(right.tolist()) <= {0.0, 1.0}
    )
    assert right.mean() > 0.95


def test_a_convolutional_network_learns_and_stays_as_it_is(small_resnet):
    # with the batch statistics
    before = {name: value.clone() for name, value in small_resnet.model.state_dict().items()}
    right = fine_tune(
        small_resnet,
        *bright_halves(64, 1),
        *bright_halves(100, 2),
        least_steps=40,
        epochs=1,
        batch_size=16,
        learning_rate=1e-2,
    )
    assert right.mean() > 0.9
    assert all(
        torch.equal(value, before[name]) for name, value in small_resnet.model.state_dict().items()
    )


def test_the_encoder_and_the_random_state_stay_as_they_are(encoder):
    before, state, grad = (
        encoder(bright_halves(4, 0)[0]),
        torch.random.get_rng_state(),
        torch.is_grad_enabled(),
    )
    tuned = fit_fine_tuned(encoder, *bright_halves(16, 1), **FAST)
    assert (
        torch.equal(encoder(bright_halves(4, 0)[0]), before)
        and torch.equal(torch.random.get_rng_state(), state)
        and grad
    )
    assert not encoder.model.training and not any(
        p.requires_grad or p.grad is not None for p in encoder.model.parameters()
    )
    assert not tuned.training and not any(p.requires_grad for p in tuned.parameters())
    moved = dict(tuned.model.named_parameters())
    # all of it is trained
    assert not any(torch.equal(p, moved[name]) for name, p in encoder.model.named_parameters())


def test_deeper_layers_learn_faster_by_the_decay(encoder):
    def moved(decay):
        """Mean change of a weight of the patch embedding, of each block, of the last norm and of
        the head, which starts at 0."""
        tuned = fit_fine_tuned(
            encoder,
            *bright_halves(16, 1),
            least_steps=15,
            epochs=1,
            batch_size=8,
            learning_rate=2e-3,
            layer_decay=decay,
        )
        pairs = zip(modules(encoder.model), modules(tuned.model), strict=True)
        return np.array(
            [
                *[(a.weight - b.weight).abs().mean() for a, b in pairs],
                tuned.head.weight.abs().mean(),
            ]
        )

    modules = lambda model: [
        model.patch_embed.proj,
        *[block.norm1 for block in model.blocks],
        model.norm,
    ]  # noqa: E731
    assert np.log10(moved(0.1) / moved(1.0)) == pytest.approx([-3, -2, -1, -1, 0], abs=0.35)


def test_the_seed_decides(encoder):
    heads = [
        fit_fine_tuned(encoder, *bright_halves(24, 1), **FAST, seed=seed).head.weight
        for seed in (3, 3, 4)
    ]
    assert torch.allclose(heads[0], heads[1], atol=1e-6) and not torch.allclose(
        heads[0], heads[2], atol=1e-4
    )


@pytest.mark.parametrize(
    ("n", "epochs", "least_steps", "steps"), [(20, 3, 2, 7), (20, 1, 5, 5), (3, 1, 4, 4)]
)
def test_number_of_steps(encoder, n, epochs, least_steps, steps):
    batches = []
    encoder.model.patch_embed.register_forward_pre_hook(
        lambda _, inputs: batches.append(len(inputs[0]))
    )
    images, labels = bright_halves(n, 1)
    labels[:2] = torch.tensor([0, 1])
    fit_fine_tuned(encoder, images, labels, epochs=epochs, least_steps=least_steps, batch_size=8)
    assert batches == [min(8, n)] * steps


@pytest.mark.parametrize("per_patch", [False, True])
def test_the_head_starts_without_an_opinion_and_reads_standardised_features(
    encoder, images, per_patch
):
    tuned = FineTuned(encoder, 4, per_patch).train()
    assert (tuned(images) == 0).all()
    torch.nn.init.normal_(tuned.head.weight)
    features = encoder.patch_tokens(images) if per_patch else encoder(images)
    flat = features.flatten(0, -2)
    expected = (features - flat.mean(0)) / flat.std(0, correction=0) @ tuned.head.weight.T
    assert torch.allclose(tuned(images), expected, atol=2e-2) and expected.std() > 1
    assert torch.equal(tuned.eval().predict(images, batch_size=2), tuned(images).argmax(-1))
    assert tuned.predict(images).shape == ((5, 49) if per_patch else (5,))


def test_learns_labels_of_patches(make_vit):
    encoder = Encoder(make_vit(shaken=False), [0.3], [0.35], "patch_mean")
    images, labels = bright_halves(32, 1, per_patch=True)
    tuned = fit_fine_tuned(
        encoder, images, labels, least_steps=20, epochs=1, batch_size=16, layer_decay=1.0
    )
    test_images, test_labels = bright_halves(20, 2, per_patch=True)
    assert (
        tuned.predict(test_images).reshape(test_labels.shape) == test_labels
    ).float().mean() > 0.95


def test_flip_keeps_images_and_labels_of_patches_together():
    labels = torch.arange(200 * 12).reshape(200, 3, 4)
    images = labels.unsqueeze(1).float()
    flipped, mirrored = flip(images, labels, torch.Generator().manual_seed(0))
    assert torch.equal(flipped[:, 0].long(), mirrored)
    plain, turned = (flipped == images).all((1, 2, 3)), (flipped == images.flip(-1)).all((1, 2, 3))
    assert (plain ^ turned).all() and 70 < turned.sum() < 130
    assert torch.equal(
        flip(images, labels[:, 0, 0], torch.Generator().manual_seed(0))[1], labels[:, 0, 0]
    )


def test_shift_equals_padding_and_cutting():
    images = torch.arange(300 * 2 * 20.0).reshape(300, 2, 5, 4)
    shifted, seen = shift(images, torch.Generator().manual_seed(0), pixels=1), set()
    for before, after in zip(images.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(before, [(0, 0), (1, 1), (1, 1)], mode="edge")
        at = [
            (y, x)
            for y in range(3)
            for x in range(3)
            if np.array_equal(padded[:, y : y + 5, x : x + 4], after)
        ]
        assert len(at) == 1
        seen.update(at)
    assert len(seen) == 9
    assert torch.equal(shift(images, torch.Generator(), pixels=0), images)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (torch.tensor([0, 1]), {}, r"got 5 images and labels \(2,\)"),
        (torch.zeros(5, dtype=torch.long), {}, "at least 2 classes"),
        (torch.tensor([0, 1, 0, 1, 0]), dict(layer_decay=0.0), r"\(0, 1\], got 0.0"),
        (torch.tensor([0, 1, 0, 1, 0]), dict(layer_decay=1.5), r"\(0, 1\], got 1.5"),
    ],
)
def test_refusals(encoder, images, labels, options, message):
    with pytest.raises(ValueError, match=message):
        fit_fine_tuned(encoder, images, labels, **options)
