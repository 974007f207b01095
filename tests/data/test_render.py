import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from lib.data.fashion import load_fashion, on_background
from lib.data.mosaic import BACKGROUND, mosaic
from lib.data.render import conflict_pairs, cue_conflict, negative, silhouette, stylise
from lib.data.texture import interior, texture, texture_parameters

SEEDS = st.integers(0, 2**31)
QUICK = settings(max_examples=30, deadline=None)


def random_set(seed: int, n: int = 4, channels: int = 1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, channels, 12, 12, generator=generator)
    masks = torch.rand(n, 1, 12, 12, generator=generator) < 0.6
    masks[:, :, 5, 5] = True
    return images, masks, torch.rand(n, 1, 12, 12, generator=generator)


@pytest.fixture(scope="module")
def garments():
    data = load_fashion("test").subset(torch.arange(200))
    return data, texture(texture_parameters(torch.arange(200), seed=0))


@QUICK
@given(SEEDS, st.floats(0, 1), st.sampled_from([1, 3]))
def test_off_mask_pixels_are_untouched_and_values_stay_in_range(seed, strength, channels):
    images, masks, textures = random_set(seed, channels=channels)
    flipped = images.flip(0), masks.flip(0)
    for changed in (
        silhouette(images, masks),
        stylise(images, masks, textures, strength),
        cue_conflict(images, masks, *flipped),
    ):
        assert changed.shape == images.shape
        assert changed.masked_select(~masks).equal(images.masked_select(~masks))
        assert changed.min() >= 0 and changed.max() <= 1


@QUICK
@given(SEEDS, st.floats(0.01, 1))
def test_results_do_not_depend_on_the_batch(seed, level):
    images, masks, textures = random_set(seed, 5)
    functions = {
        "silhouette": lambda i: silhouette(images[i], masks[i]),
        "stylise": lambda i: stylise(images[i], masks[i], textures[i], level),
        "cue_conflict": lambda i: cue_conflict(
            images[i], masks[i], images[i].flip(2), masks[i].flip(2)
        ),
    }
    for name, function in functions.items():
        whole, parts = (
            function(slice(None)),
            torch.cat([function(slice(0, 2)), function(slice(2, 5))]),
        )
        torch.testing.assert_close(
            whole, parts, rtol=0, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_negative():
    images, _, _ = random_set(0)
    torch.testing.assert_close(images + negative(images), torch.ones_like(images))
    assert negative(torch.zeros(1, 1, 2, 2)).equal(torch.ones(1, 1, 2, 2))


def test_silhouette_keeps_the_mean_and_nothing_else(garments):
    data, _ = garments
    shapes = silhouette(data.images, data.masks)
    for image, mask, shape in zip(data.images, data.masks, shapes, strict=True):
        inside = shape[mask]
        assert inside.max() == inside.min()
        assert inside[0].item() == pytest.approx(image[mask].mean().item(), abs=1e-6)


@QUICK
@given(SEEDS)
def test_stylise_at_strength_0_changes_no_bit(seed):
    images, masks, textures = random_set(seed)
    assert stylise(images, masks, textures, 0).equal(images)
    per_image = stylise(images, masks, textures, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert per_image[::2].equal(images[::2]) and not per_image[1::2].equal(images[1::2])


def test_stylise_matches_mean_and_deviation_where_nothing_is_clipped():
    images, masks, textures = random_set(5, 6)
    images = 0.4 + 0.2 * images
    full = stylise(images, masks, textures, 1)
    for image, mask, some, foreign in zip(images, masks, full, textures, strict=True):
        assert some[mask].mean().item() == pytest.approx(image[mask].mean().item(), abs=1e-5)
        assert some[mask].std().item() == pytest.approx(image[mask].std().item(), abs=1e-5)
        assert np.corrcoef(some[mask], foreign[mask])[0, 1] > 0.999  # the texture alone
    torch.testing.assert_close(stylise(images, masks, textures, 0.25), 0.75 * images + 0.25 * full)
    # contrast of the texture is immaterial
    torch.testing.assert_close(
        stylise(images, masks, 0.1 + 0.5 * textures, 1), full, rtol=0, atol=1e-5
    )


def test_stylise_with_a_constant_texture_is_the_silhouette():
    images, masks, _ = random_set(2)
    torch.testing.assert_close(
        stylise(images, masks, torch.full_like(images, 0.3), 1), silhouette(images, masks)
    )


def test_stylised_garments_lose_their_texture_and_compose_with_a_background(garments):
    data, textures = garments
    full = stylise(data.images, data.masks, textures, 1)
    assert full.min() >= 0 and full.max() <= 1
    wrong = [np.corrcoef(full[i][m], data.images[i][m])[0, 1] for i, m in enumerate(data.masks)]
    right = [np.corrcoef(full[i][m], textures[i][m])[0, 1] for i, m in enumerate(data.masks)]
    assert abs(np.mean(wrong)) < 0.1 and np.mean(right) > 0.9  # clipping costs a little
    before = stylise(on_background(data.images, data.masks, 0.5), data.masks, textures, 0.7)
    after = on_background(stylise(data.images, data.masks, textures, 0.7), data.masks, 0.5)
    assert before.equal(after)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), torch.tensor([0.5, 0.5])])
def test_stylise_refuses_a_wrong_strength(strength):
    with pytest.raises(ValueError, match="one strength or one for each of 4 images"):
        stylise(*random_set(0), strength)


@pytest.mark.parametrize("bad", ["few_masks", "float_masks", "few_textures", "small_textures"])
def test_shapes_that_do_not_fit(bad):
    images, masks, textures = random_set(0)
    masks = {"few_masks": masks[:2], "float_masks": masks.float()}.get(bad, masks)
    textures = {"few_textures": textures[:2], "small_textures": textures[..., :8]}.get(
        bad, textures
    )
    with pytest.raises(ValueError, match="expected"):
        stylise(images, masks, textures, 0.5)


def test_cue_conflict_takes_shape_and_texture_from_different_images(garments):
    data, _ = garments
    shape, partner = conflict_pairs(data.labels, seed=0).T
    source, source_masks = data.images[partner], data.masks[partner]
    made = cue_conflict(data.images[shape], data.masks[shape], source, source_masks)
    expected = interior(source, source_masks)
    assert made[data.masks[shape]].equal(expected[data.masks[shape]])
    # the shape image's own texture is gone
    repainted = torch.where(data.masks, negative(data.images), data.images)
    assert made.equal(cue_conflict(repainted, data.masks, source, source_masks))


def test_conflict_pairs_have_two_classes_and_use_every_shape_once():
    # labels need not be consecutive
    labels = torch.randint(7, (3000,), generator=torch.Generator().manual_seed(0)) * 3
    shape, partner = conflict_pairs(labels, seed=4).T
    assert shape.equal(torch.arange(3000))
    assert (labels[shape] != labels[partner]).all()
    assert conflict_pairs(labels, 4).equal(conflict_pairs(labels, 4)) and not conflict_pairs(
        labels, 4
    ).equal(conflict_pairs(labels, 5))
    table = torch.zeros(7, 7).index_put(
        (labels // 3, labels[partner] // 3), torch.ones(3000), accumulate=True
    )
    sizes = labels.div(3, rounding_mode="floor").bincount().double()
    for c in range(7):
        others = [k for k in range(7) if k != c]
        expected = sizes[others] / sizes[others].sum() * sizes[c]
        assert chisquare(table[c, others].double().numpy(), expected.numpy()).pvalue > 1e-3
    # 1 − 1/e of the images when drawn with replacement
    assert partner.unique().numel() > 0.6 * 3000


@QUICK
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=20), st.integers())
def test_conflict_pairs_for_any_labels(labels, seed):
    labels = torch.tensor(labels)
    if labels.unique().numel() == 1:
        with pytest.raises(ValueError, match="at least 2 classes, got 1"):
            conflict_pairs(labels, seed)
    else:
        shape, partner = conflict_pairs(labels, seed).T
        assert (labels[shape] != labels[partner]).all()


def test_mosaic_of_garments(garments):
    data, _ = garments
    made = mosaic(data.images, data.masks, data.labels)
    assert made.images.shape == made.masks.shape == (50, 1, 56, 56)
    assert made.patch_labels.shape == (50, 14, 14) and made.patch_labels.dtype == torch.int64
    assert made.images[3, :, :28, 28:].equal(data.images[13]) and made.masks[3, :, 28:, :28].equal(
        data.masks[14]
    )
    for m in range(50):
        for row in range(14):
            for column in range(14):
                garment = 4 * m + 2 * (row >= 7) + (column >= 7)
                y, x = row % 7 * 4, column % 7 * 4
                covered = data.masks[garment, 0, y : y + 4, x : x + 4].sum() >= 4
                assert made.patch_labels[m, row, column] == (
                    data.labels[garment] if covered else BACKGROUND
                )


def test_mosaic_share_and_patch_size():
    masks = torch.zeros(4, 1, 4, 4, dtype=torch.bool)
    masks[0, 0, 0, 0] = masks[1, 0, :2, 0] = masks[2, 0, :2, :2] = True
    images, labels = torch.zeros(4, 3, 4, 4), torch.tensor([0, 1, 2, 1])
    classes = lambda share, patch: (
        mosaic(images, masks, labels, patch, share, background=3).patch_labels[0].tolist()
    )  # noqa: E731
    assert classes(1 / 16, 4) == [[0, 1], [2, 3]]
    assert classes(0.25, 4) == [[3, 3], [2, 3]]
    assert classes(0.5, 2) == [[3, 3, 1, 3], [3, 3, 3, 3], [2, 3, 3, 3], [3, 3, 3, 3]]


@pytest.mark.parametrize(
    "change, message",
    [
        (
            dict(
                images=torch.zeros(5, 1, 8, 8),
                masks=torch.zeros(5, 1, 8, 8).bool(),
                labels=torch.zeros(5).long(),
            ),
            "multiple of 4",
        ),
        (dict(labels=torch.zeros(3).long()), "one label each"),
        (dict(masks=torch.zeros(4, 1, 8, 8)), "bool masks"),
        (dict(patch_size=3), "divides the images' \\(8, 8\\) pixels, got 3"),
        (dict(labels=torch.tensor([0, 1, 2, 10])), "labels from 0 to 9"),
        (dict(share=0.0), "share is in"),
    ],
)
def test_mosaic_refuses_bad_input(change, message):
    good = dict(
        images=torch.zeros(4, 1, 8, 8),
        masks=torch.zeros(4, 1, 8, 8).bool(),
        labels=torch.zeros(4).long(),
    )
    with pytest.raises(ValueError, match=message):
        mosaic(**(good | change))
