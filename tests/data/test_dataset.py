"""The images of a page by name: garments, CIFAR-10, any folder."""

import numpy as np
import pytest
import torch
from PIL import Image

import lib.data.dataset
from lib.data.dataset import FOLDER_SIDE, has_masks, is_folder, load_images, side_of
from lib.data.fashion import load_fashion
from lib.data.read_image import read_image


def fill(folder, count=12, classes="abc", seed=0):
    """``count`` colour images of 20 × 24 px, in turn in each class."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / classes[number % len(classes)] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return folder


def test_garments_are_those_of_the_repository():
    assert load_images("fashion", "test") is load_fashion("test")
    assert (
        has_masks("fashion")
        and not is_folder("fashion")
        and side_of("fashion") == load_fashion("test").images.shape[-1]
    )


def test_a_folder_without_splits_gives_every_other_image_to_each(tmp_path):
    fill(tmp_path)
    train, test = load_images(str(tmp_path), "train"), load_images(str(tmp_path), "test")
    assert len(train) == len(test) == 6 and set(train.files).isdisjoint(test.files)
    assert sorted(train.labels.tolist()) == sorted(test.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert (
        is_folder(str(tmp_path))
        and not has_masks(str(tmp_path))
        and train.masks is None
        and train.classes == ("a", "b", "c")
    )


@pytest.mark.parametrize("held_out", ["val", "validation", "test"])
def test_a_folder_with_splits_keeps_them(tmp_path, held_out):
    fill(tmp_path / "train", 6), fill(tmp_path / held_out, 3, seed=1)
    train, test = load_images(str(tmp_path), "train"), load_images(str(tmp_path), "test")
    assert (len(train), len(test)) == (6, 3) and all(f"/{held_out}/" in file for file in test.files)


def test_images_are_read_when_asked_for_and_belong_to_their_labels(tmp_path):
    test = load_images(str(fill(tmp_path)), "test")
    some = test.subset(torch.tensor([4, 1]))
    assert (
        some.images.shape == (2, 3, FOLDER_SIDE, FOLDER_SIDE)
        and some.labels.tolist() == test.labels[[4, 1]].tolist()
    )
    assert (
        torch.equal(some.images[0], read_image(test.files[4], FOLDER_SIDE, 3))
        and some.masks is None
    )
    assert all(
        f"/{some.classes[label]}/" in test.files[i]
        for i, label in zip((4, 1), some.labels, strict=True)
    )


def test_the_order_is_fixed_and_mixes_the_classes(tmp_path):
    fill(tmp_path, 60)
    first, again = (
        load_images(str(tmp_path), "test"),
        lib.data.dataset.folder_split(tmp_path, "test"),
    )
    assert first.files == again.files and len(set(first.labels[:10].tolist())) == 3


def test_samples_are_drawn_without_replacement(tmp_path):
    test = load_images(str(fill(tmp_path)), "test")
    every = test.sample(6, seed=1)
    assert sorted(every.labels.tolist()) == sorted(test.labels.tolist()) and torch.equal(
        every.images, test.sample(6, seed=1).images
    )
    with pytest.raises(ValueError, match="between 1 and 6 images, got 7"):
        test.sample(7)


def test_cifar10_is_had_from_torchvision_which_downloads_what_is_not_there(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(lib.data.dataset, "CIFAR10_ROOT", tmp_path)
    monkeypatch.setattr(
        lib.data.dataset,
        "load_cifar10",
        lambda root, split, download: asked.append((root, split, download)),
    )
    load_images.cache_clear()
    load_images("cifar10", "test"), load_images("cifar10", "train")
    load_images.cache_clear()
    assert (
        asked == [(tmp_path, "test", True), (tmp_path, "train", True)] and side_of("cifar10") == 32
    )


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"split is one of \['test', 'train'\], got 'validation'"):
        load_images("fashion", "validation")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_images(str(tmp_path / "nowhere"), "test")
    fill(tmp_path / "one", 1)
    with pytest.raises(ValueError, match="at least two images"):
        load_images(str(tmp_path / "one"), "test")
    fill(tmp_path / "three" / "train", 4, "ab")
    with pytest.raises(
        ValueError,
        match=(
            "three to hold test images, in val or validation or valid or test, beside its folder"
            " train"
        ),
    ):
        load_images(str(tmp_path / "three"), "test")
    fill(tmp_path / "two" / "train", 4, "ab"), fill(tmp_path / "two" / "val", 4, "ac", 1)
    with pytest.raises(
        ValueError, match="the same classes in .*train and .*val, got 2 and 2 that differ"
    ):
        load_images(str(tmp_path / "two"), "test")


def test_a_folder_gives_bytes_and_reads_a_slice_without_keeping_it(tmp_path):
    test = load_images(str(fill(tmp_path)), "test")
    some = test[1:3]
    assert some.dtype == torch.uint8 and test.shape == (len(test), 3, FOLDER_SIDE, FOLDER_SIDE)
    read = torch.stack([read_image(file, FOLDER_SIDE, 3) for file in test.files[1:3]])
    assert torch.equal(some / 255, read) and "pixels" not in vars(test)
    assert torch.equal(test.images[1:3], read) and test.pixels is test.pixels
