import inspect
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import functional as TF

from lib.data.images import Images
from lib.pretrain import augment
from lib.pretrain.augment import (
    color_jitter,
    contrastive_view,
    gaussian_blur,
    random_background,
    random_grayscale,
    random_resized_crop,
    shift_hue,
    solarize,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n, channels=1, size=12):
    """Smooth random pictures in [0, 1]."""
    coarse = torch.rand(n, channels, 4, 4, generator=seeded(7))
    return F.interpolate(coarse, size=size, mode="bilinear").clamp(0, 1)


def batch(images, masks=None):
    return Images(images, torch.zeros(len(images), dtype=torch.int64), masks, ("thing",))


AUGMENTATIONS = {
    "crop": random_resized_crop,
    "jitter": lambda x, g: color_jitter(x, g, probability=1.0),
    "blur": lambda x, g: gaussian_blur(x, g, probability=1.0),
    "solarize": lambda x, g: solarize(x, g, probability=0.5),
    "background": lambda x, g: random_background(batch(x, x[:, :1] > 0.5), g, probability=1.0),
    "view 1": lambda x, g: contrastive_view(batch(x, x[:, :1] > 0.5), g),
    "view 2": lambda x, g: contrastive_view(batch(x), g, second=True),
}
on_every_augmentation = pytest.mark.parametrize(
    "operation", AUGMENTATIONS.values(), ids=AUGMENTATIONS
)


@on_every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
def test_values_stay_in_range_and_the_seed_decides(operation, channels):
    images = pictures(64, channels)
    images[:2] = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    before = images.clone()
    found = operation(images, seeded(3))
    assert found.shape == images.shape and found.dtype == images.dtype
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6  # a blur of white may round above 1
    assert torch.equal(operation(images, seeded(3)), found)
    assert not torch.equal(operation(images, seeded(4)), found)
    assert torch.equal(images, before)  # the input is left alone


@on_every_augmentation
def test_each_image_draws_its_own_parameters(operation):
    found = operation(pictures(1).expand(40, -1, -1, -1), seeded())
    distinct = len(found.flatten(1).unique(dim=0))
    assert distinct == 2 if operation is AUGMENTATIONS["solarize"] else distinct > 30


def test_no_draw_bypasses_the_generator():
    state = torch.get_rng_state()
    for operation in AUGMENTATIONS.values():
        operation(pictures(4), seeded())
    assert torch.equal(torch.get_rng_state(), state)


def test_cropping_the_full_image_is_the_identity_and_flipping_it_the_mirror():
    images = pictures(60)
    crop = dict(scale=(1, 1), ratio=(1, 1))
    assert torch.allclose(
        random_resized_crop(images, seeded(), **crop, flip=False), images, atol=1e-5
    )
    found = random_resized_crop(images, seeded(), **crop, flip=True)
    same, mirrored = (
        torch.isclose(found, x, atol=1e-5).flatten(1).all(1) for x in (images, images.flip(3))
    )
    assert (same ^ mirrored).all() and 15 < mirrored.sum() < 45


@pytest.mark.parametrize("ratio", [1.0, 0.8, 1.25])
def test_a_crop_is_a_window_of_the_given_area_and_aspect(ratio):
    # coordinates as pixel values: a crop of them stays a linear ramp, whose ends tell the window
    size = 64
    ramp = (torch.arange(size) + 0.5) / size
    across = random_resized_crop(
        ramp.expand(50, 1, size, size),
        seeded(5),
        scale=(0.25, 0.25),
        ratio=(ratio, ratio),
        flip=False,
    )
    down = random_resized_crop(
        ramp[:, None].expand(50, 1, size, size),
        seeded(5),
        scale=(0.25, 0.25),
        ratio=(ratio, ratio),
        flip=False,
    )
    width, height = (
        (window[..., -1, -1] - window[..., 0, 0]) * size / (size - 1) for window in (across, down)
    )
    inner = lambda x: x[:, 0, 1:-1, 1:-1]  # noqa: E731
    assert torch.allclose(
        inner(across).diff(dim=2),
        (width / size)[:, :, None].expand(-1, size - 2, size - 3),
        atol=2e-3,
    )
    assert torch.allclose(width, torch.tensor(0.5 * ratio**0.5), atol=0.02) and torch.allclose(
        height, torch.tensor(0.5 / ratio**0.5), atol=0.02
    )
    centre = across.mean((1, 2, 3))
    # inside the image
    assert centre.min() > width.min() / 2 - 0.02 and centre.max() < 1 - width.min() / 2 + 0.02
    assert centre.std() > 0.05  # anywhere in it


def test_brightness_scales_and_contrast_keeps_the_mean():
    images = pictures(40) * 0.5 + 0.2  # nothing clips
    brighter = color_jitter(
        images, seeded(), brightness=0.4, contrast=0, saturation=0, probability=1
    )
    factor = brighter / images
    assert torch.allclose(factor, factor[:, :, :1, :1].expand_as(factor), atol=1e-5)
    assert (
        factor.min() > 0.6 - 1e-5
        and factor.max() < 1.4 + 1e-5
        and factor.flatten(1)[:, 0].std() > 0.1
    )
    contrasted = color_jitter(
        images, seeded(), brightness=0, contrast=0.4, saturation=0, probability=1
    )
    assert torch.allclose(contrasted.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5)
    stretch = contrasted.flatten(1).std(1) / images.flatten(1).std(1)
    assert stretch.min() > 0.6 - 1e-4 and stretch.max() < 1.4 + 1e-4 and stretch.std() > 0.1


def test_saturation_keeps_the_luminance_and_leaves_grey_pixels():
    images = pictures(40, 3) * 0.4 + 0.3
    found = color_jitter(
        images, seeded(), brightness=0, contrast=0, saturation=0.2, hue=0, probability=1
    )
    luminance = lambda x: x[:, 0] * 0.299 + x[:, 1] * 0.587 + x[:, 2] * 0.114  # noqa: E731
    assert torch.allclose(luminance(found), luminance(images), atol=1e-5)
    assert (found - images).abs().max() > 0.01
    grey = pictures(40).expand(-1, 3, -1, -1)
    assert torch.allclose(
        color_jitter(
            grey, seeded(), brightness=0, contrast=0, saturation=0.2, hue=0, probability=1
        ),
        grey,
        atol=1e-6,
    )


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.03, 0.4])
def test_the_hue_turns_as_in_torchvision(turn):
    # grey and primaries too
    images = torch.cat(
        [
            pictures(20, 3),
            pictures(3).expand(-1, 3, -1, -1),
            torch.eye(3).reshape(3, 3, 1, 1).expand(-1, -1, 12, 12),
        ]
    )
    assert torch.allclose(
        shift_hue(images, torch.full((len(images),), turn)), TF.adjust_hue(images, turn), atol=1e-5
    )


def test_each_image_turns_its_own_hue_within_the_range():
    found = color_jitter(
        torch.tensor([0.8, 0.2, 0.2]).reshape(1, 3, 1, 1).expand(200, -1, 1, 1),
        seeded(),
        0,
        0,
        0,
        hue=0.1,
        probability=1,
    ).flatten(1)
    assert (
        torch.allclose(found.amax(1), torch.tensor(0.8))
        and torch.allclose(found.amin(1), torch.tensor(0.2))
        and (found.argmax(1) == 0).all()
    )
    turn = (found[:, 1] - found[:, 2]) / 0.6 / 6  # of a red, in parts of the circle
    assert -0.1 <= turn.min() < -0.09 and 0.09 < turn.max() <= 0.1


@pytest.mark.parametrize(
    "operation",
    [color_jitter, random_grayscale, partial(gaussian_blur, sigma=(0.4, 0.5)), solarize],
    ids=["jitter", "grey", "blur", "solarize"],
)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_chosen_share_changes_and_the_others_stay_identical(operation, share):
    images = pictures(600, 3, 6)
    changed = (
        (operation(images, seeded(), probability=share) != images)
        .flatten(1)
        .any(1)
        .float()
        .mean()
        .item()
    )
    assert changed == pytest.approx(share, abs=0 if share == 0 else 0.06)


def test_grayscale_leaves_grey_images_and_turns_colour_to_luminance():
    grey, colour = pictures(5), pictures(5, 3)
    assert torch.equal(random_grayscale(grey, seeded(), probability=1), grey)
    found = random_grayscale(colour, seeded(), probability=1)
    expected = 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2]
    assert torch.allclose(found, expected[:, None].expand_as(colour), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_keeps_constant_images_and_the_mean_of_an_inner_dot(channels):
    constant = torch.rand(8, channels, 1, 1, generator=seeded()).expand(-1, -1, 9, 9)
    assert torch.allclose(
        gaussian_blur(constant, seeded(), sigma=(0.5, 2), probability=1), constant, atol=1e-6
    )
    dot, brightness = torch.zeros(8, channels, 17, 17), torch.arange(1.0, channels + 1)
    dot[:, :, 8, 8] = brightness
    blurred = gaussian_blur(dot, seeded(), sigma=(0.5, 2), probability=1)
    assert torch.allclose(blurred.sum((2, 3)), dot.sum((2, 3)), atol=1e-5)
    # the channels of an image share its width
    assert torch.allclose(blurred, blurred[:, :1] * brightness.reshape(-1, 1, 1), atol=1e-6)
    for symmetric in (blurred.flip(2), blurred.flip(3), blurred.transpose(2, 3)):
        assert torch.allclose(blurred, symmetric, atol=1e-6)


def test_blur_is_a_gaussian_of_the_given_width():
    dot = torch.zeros(1, 1, 17, 17)
    dot[..., 8, 8] = 1
    row = gaussian_blur(dot, seeded(), sigma=(1.5, 1.5), probability=1)[0, 0, 8]
    assert (row[6] / row[8]).item() == pytest.approx(
        2.718281828 ** (-(2**2) / (2 * 1.5**2)), rel=1e-5
    )


def test_solarize_inverts_above_the_threshold():
    images = torch.tensor([0.0, 0.3, 0.5, 0.51, 0.75, 1.0]).reshape(1, 1, 2, 3)
    found = solarize(images, seeded(), threshold=0.5, probability=1)
    assert torch.allclose(found.flatten(), torch.tensor([0.0, 0.3, 0.5, 0.49, 0.25, 0.0]))


def test_a_third_of_the_images_get_a_grey_background_and_objects_stay():
    images, masks = pictures(3000, size=6), torch.zeros(3000, 1, 6, 6, dtype=torch.bool)
    masks[:, :, 1:4, 2:5] = True
    found = random_background(batch(images, masks), seeded())
    changed = (found != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(1 / 3, abs=0.03)
    assert torch.equal(found[masks], images[masks]) and torch.equal(
        found[~changed], images[~changed]
    )
    ground = found[changed][~masks[changed]].reshape(changed.sum(), -1)
    assert (ground == ground[:, :1]).all()  # one level for each image
    assert (
        ground[:, 0].min() < 0.02
        and ground[:, 0].max() > 0.98
        and ground[:, 0].mean().item() == pytest.approx(0.5, abs=0.04)
    )


def test_without_masks_the_background_stays():
    images = pictures(9)
    assert random_background(batch(images), seeded(), probability=1.0) is images


def test_the_views_are_asymmetric(monkeypatch):
    calls = []

    def watch(operation):
        usual = inspect.signature(operation).parameters["probability"].default

        def watched(images, generator, probability=usual, **rest):
            calls.append((operation.__name__, probability))
            return operation(images, generator, probability=probability, **rest)

        return watched

    for operation in (gaussian_blur, solarize):
        monkeypatch.setattr(augment, operation.__name__, watch(operation))
    contrastive_view(batch(pictures(2)), seeded())
    assert calls == [("gaussian_blur", 1.0)]
    calls.clear()
    contrastive_view(batch(pictures(2)), seeded(), second=True)
    assert calls == [("gaussian_blur", 0.1), ("solarize", 0.2)]


@pytest.mark.parametrize(("side", "largest"), [(28, 0.5), (32, 0.5), (112, 1.0), (224, 2.0)])
def test_the_blur_grows_with_the_image(monkeypatch, side, largest):
    seen = []
    monkeypatch.setattr(
        augment,
        "gaussian_blur",
        lambda images, generator, sigma, probability: seen.append(sigma) or images,
    )
    contrastive_view(batch(pictures(2, 3, side)), seeded())
    assert seen == [(0.1, largest)]
