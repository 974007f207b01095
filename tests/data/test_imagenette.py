"""Imagenette from a folder, on generated photographs."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.dataset import folder_of, has_masks, is_folder, load_images, side_of
from lib.data.folder import folder_samples
from lib.data.imagenette import IMAGENETTE_SIDE, load_imagenette
from lib.data.read_image import read_image


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of twelve training and six test photographs of three classes, 80 × 100 px."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for split, count in {"train": 12, "val": 6}.items():
        for number in range(count):
            path = folder / split / "abc"[number % 3] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
    return folder


def test_a_folder_is_held_as_bytes_and_given_out_as_floats(photographs):
    train, test = (load_images(f"imagenette:{photographs}", split) for split in ("train", "test"))
    assert (
        train.images.dtype == torch.uint8
        and train.images.shape == (12, 3, IMAGENETTE_SIDE, IMAGENETTE_SIDE)
        and len(test) == 6
    )
    some = test.sample(3, seed=1)
    assert (
        some.images.dtype == torch.float32
        and some.images.max() <= 1
        and some.masks is None
        and test.classes == ("a", "b", "c")
    )


def test_each_photograph_is_the_file_of_its_label_read_as_any_folders(photographs):
    samples, classes = folder_samples(photographs, "train")
    train = load_imagenette("train", photographs)
    for image, label, (path, expected) in zip(
        train.subset(torch.arange(12)).images, train.labels, samples, strict=True
    ):
        assert label == expected and f"/{classes[label]}/" in path
        assert (image - read_image(path, IMAGENETTE_SIDE, 3)).abs().max() <= 0.5 / 255 + 1e-6


def test_it_is_a_data_set_by_name(photographs):
    for name in ("imagenette", f"imagenette:{photographs}"):
        assert not is_folder(name) and not has_masks(name) and side_of(name) == IMAGENETTE_SIDE


def test_the_given_folder_is_known_so_that_a_pages_key_sees_it(photographs):
    assert folder_of(f"imagenette:{photographs}") == photographs == folder_of(str(photographs))
    assert folder_of("imagenette") is None and folder_of("fashion") is None


def test_what_cannot_be_had_is_said(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("lib.data.imagenette.Imagenette", refuse)
    load_imagenette.cache_clear()
    with pytest.raises(
        FileNotFoundError, match=r"cannot be downloaded \(no network\); give a folder that holds it"
    ):
        load_imagenette("train")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_images(f"imagenette:{tmp_path / 'nowhere'}", "train")
