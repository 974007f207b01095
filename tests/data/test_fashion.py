import gzip

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_closing

from lib.data.fashion import (
    FASHION_CLASSES,
    FASHION_ROOT,
    Images,
    garment_mask,
    load_fashion,
    on_background,
)

TEST_LABELS, TEST_IMAGES = "t10k-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"


def reference_mask(images):
    """The same closing by scipy; the border of two pixels makes the outside background, as the
    definition says."""
    above = np.pad(images[:, 0].numpy() > 0.06, ((0, 0), (2, 2), (2, 2)))
    return torch.from_numpy(binary_closing(above, np.ones((1, 3, 3)))[:, 2:-2, 2:-2])[:, None]


@pytest.fixture
def copy(tmp_path):
    """A folder with links to the official files; replace one to damage it."""
    for file in FASHION_ROOT.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def replace_file(folder, name, content):
    (folder / name).unlink()
    (folder / name).write_bytes(content)


@pytest.mark.parametrize("split, n", [("train", 60_000), ("test", 10_000)])
def test_official_splits(split, n):
    data = load_fashion(split)
    assert len(data) == n and data.images.shape == data.masks.shape == (n, 1, 28, 28)
    assert data.images.dtype == torch.float32 and data.images.min() == 0 and data.images.max() == 1
    assert data.labels.dtype == torch.int64 and data.labels.bincount().tolist() == [n // 10] * 10
    assert data.classes == FASHION_CLASSES and len(FASHION_CLASSES) == 10


def test_order_and_pixels_are_the_official_ones():
    assert load_fashion("train").labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert load_fashion("test").labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    # published mean 0.2860
    assert (load_fashion("train").images.double().mean() * 255).item() == pytest.approx(
        72.94, abs=0.01
    )


def test_masks_equal_scipy_on_the_test_split():
    data = load_fashion("test")
    assert data.masks.equal(reference_mask(data.images))
    share = data.masks.double().mean((1, 2, 3))
    assert share.min() > 0.03 and 0.4 < share.mean() < 0.6


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 0.999), st.integers(1, 9), st.integers(1, 9))
def test_masks_of_any_image(seed, density, height, width):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, 1, height, width, generator=generator) * (
        torch.rand(3, 1, height, width, generator=generator) < density
    )
    masks = garment_mask(images)
    assert masks.dtype == torch.bool and masks.equal(reference_mask(images))
    assert masks[images > 0.06].all()  # closing only adds
    assert garment_mask(masks.float()).equal(masks)  # and adds nothing the second time
    # a higher threshold, a smaller mask
    assert garment_mask(images, threshold=0.5)[~masks].sum() == 0


def test_mask_refuses_colour():
    with pytest.raises(ValueError, match=r"got shape \(2, 3, 4, 4\)"):
        garment_mask(torch.zeros(2, 3, 4, 4))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1), st.sampled_from([1, 3]))
def test_on_background(seed, level, channels):
    generator = torch.Generator().manual_seed(seed)
    images, masks = (
        torch.rand(4, channels, 6, 6, generator=generator),
        torch.rand(4, 1, 6, 6, generator=generator) < 0.5,
    )
    changed = on_background(images, masks, level)
    off = ~masks.expand_as(images)
    assert changed[~off].equal(images[~off])
    assert changed[off].equal(
        images[off] if np.float32(level) == 0 else torch.full_like(images[off], level)
    )
    if level > 1e-6:
        assert on_background(changed, masks, level).equal(changed)
        assert on_background(on_background(images, masks, 0.5), masks, level).equal(changed)
    levels = torch.tensor([0.0, 0.25, level, 1.0])
    each = torch.cat(
        [
            on_background(i[None], m[None], one)
            for i, m, one in zip(images, masks, levels, strict=True)
        ]
    )
    assert on_background(images, masks, levels).equal(each)


@pytest.mark.parametrize("level", [-0.01, 1.01, torch.tensor([0.5, 2.0])])
def test_background_level_out_of_range(level):
    with pytest.raises(ValueError, match=r"levels in \[0, 1\]"):
        on_background(torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3).bool(), level)


def test_subset_keeps_the_order():
    data = Images(
        torch.arange(5.0).reshape(5, 1, 1, 1),
        torch.arange(5),
        torch.ones(5, 1, 1, 1).bool(),
        ("a",),
    )
    some = data.subset(torch.tensor([3, 0]))
    assert (
        some.images.flatten().tolist() == [3, 0]
        and some.labels.tolist() == [3, 0]
        and some.masks.shape == (2, 1, 1, 1)
    )
    assert Images(data.images, data.labels, None, ("a",)).subset(torch.tensor([1])).masks is None


def test_missing_file_is_named(copy):
    (copy / TEST_LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=TEST_LABELS):
        load_fashion("test", copy)


@pytest.mark.parametrize("kept", [0, 5, 300, 5000])
def test_truncated_gzip_is_named(copy, kept):
    replace_file(copy, TEST_LABELS, (FASHION_ROOT / TEST_LABELS).read_bytes()[:kept])
    with pytest.raises(ValueError, match=TEST_LABELS):
        load_fashion("test", copy)


@pytest.mark.parametrize(
    "kept, message",
    [(6, "not the expected IDX file"), (5008, "is truncated: 5000 values for shape")],
)
def test_truncated_content_is_named(copy, kept, message):
    content = gzip.decompress((FASHION_ROOT / TEST_LABELS).read_bytes())
    replace_file(copy, TEST_LABELS, gzip.compress(content[:kept]))
    with pytest.raises(ValueError, match=message) as caught:
        load_fashion("test", copy)
    assert TEST_LABELS in str(caught.value)


def test_wrong_magic_number(copy):
    # labels in place of images
    replace_file(copy, TEST_IMAGES, (FASHION_ROOT / TEST_LABELS).read_bytes())
    with pytest.raises(
        ValueError,
        match=f"{TEST_IMAGES} is not the expected IDX file: magic number 2049, expected 2051",
    ):
        load_fashion("test", copy)


def test_unknown_split():
    with pytest.raises(ValueError, match="got 'valid'"):
        load_fashion("valid")
