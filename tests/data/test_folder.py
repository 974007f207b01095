import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import cifar

from lib.data.folder import load_cifar10, open_folder
from lib.data.read_image import read_image


@pytest.fixture
def folder(tmp_path):
    """Six images of two classes: colour i in the red channel, wide in class "ant", tall in class
    "bee"."""
    for number, (name, shape) in enumerate([("ant", (20, 40, 3))] * 3 + [("bee", (50, 30, 3))] * 3):
        pixels = np.zeros(shape, np.uint8)
        pixels[..., 0] = 40 * number
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def read(path, size, channels=3):
    return torch.stack([read_image(file, size, channels) for file, _ in open_folder(path).samples])


def test_images_and_classes(folder):
    images = read(folder, 16)
    assert images.shape == (6, 3, 16, 16) and images.dtype == torch.float32
    assert open_folder(folder).targets == [0, 0, 0, 1, 1, 1] and open_folder(
        str(folder)
    ).classes == ["ant", "bee"]
    for i, image in enumerate(images):
        assert (image[0] == torch.tensor(40 * i / 255)).all() and (image[1:] == 0).all()


def test_grey(folder):
    images = read(folder, 8, channels=1)
    assert images.shape == (6, 1, 8, 8)
    assert images[5].mean().item() == pytest.approx(0.299 * 200 / 255, abs=1 / 255)


def test_resize_keeps_the_aspect_and_crops_the_centre(tmp_path):
    pixels = np.zeros((32, 96), np.uint8)
    pixels[:, 32:64] = 255  # the middle third is what remains
    (tmp_path / "only").mkdir()
    Image.fromarray(pixels).save(tmp_path / "only" / "wide.png")
    (image,) = read(tmp_path, 16, channels=1)[0]
    assert (image[:, 2:-2] == 1).all() and image[:, 0].max() > 0.5


def test_wrong_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_folder(tmp_path / "nowhere")


def test_file_instead_of_a_folder(folder):
    with pytest.raises(ValueError, match="got the file .*0.png"):
        open_folder(folder / "ant" / "0.png")


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}, got an empty folder"):
        open_folder(tmp_path)


def test_folder_without_class_subfolders(folder):
    with pytest.raises(
        ValueError, match="one subfolder of images per class in .*ant, got only files"
    ):
        open_folder(folder / "ant")


def test_class_without_images(folder):
    (folder / "cat").mkdir()
    with pytest.raises(ValueError, match=f"{folder}: .*cat"):
        open_folder(folder)


@pytest.mark.parametrize("kept", [0, 10, 60, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_image_is_named(folder, kept, suffix):
    good, bad = folder / "bee" / f"good.{suffix}", folder / "bee" / f"bad.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(good)
    content = good.read_bytes()
    bad.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match=f"bad.{suffix} is not a complete image"):
        read(folder, 8)


@pytest.fixture
def tiny_cifar(tmp_path, monkeypatch):
    """CIFAR-10's files with 4 images each; the check of their hashes only looks whether they
    exist."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    generator = np.random.default_rng(0)
    written = {}
    for name in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ]:
        written[name] = dict(
            data=generator.integers(0, 256, (4, 3072), np.uint8),
            labels=generator.integers(0, 10, 4).tolist(),
        )
        (folder / name).write_bytes(pickle.dumps(written[name]))
    (folder / "batches.meta").write_bytes(
        pickle.dumps(dict(label_names=[f"class {k}" for k in range(10)]))
    )
    monkeypatch.setattr(
        cifar,
        "check_integrity",
        lambda path, md5=None: (folder / path.rsplit("/", 1)[-1]).is_file(),
    )
    return tmp_path, written


def test_cifar10(tiny_cifar):
    root, written = tiny_cifar
    train, test = load_cifar10(root, "train"), load_cifar10(str(root), "test")
    assert train.images.shape == (20, 3, 32, 32) and test.images.shape == (4, 3, 32, 32)
    assert (
        test.images.flatten(1).mul(255).round().byte().numpy().tolist()
        == written["test_batch"]["data"].tolist()
    )
    assert (
        test.labels.tolist() == written["test_batch"]["labels"]
        and train.labels[4:8].tolist() == written["data_batch_2"]["labels"]
    )
    assert (
        train.images.dtype == torch.float32 and train.images.min() >= 0 and train.images.max() <= 1
    )
    assert train.masks is None and train.classes == tuple(f"class {k}" for k in range(10))


def test_cifar10_incomplete(tiny_cifar):
    root, _ = tiny_cifar
    (root / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py"):
        load_cifar10(root, "train")


def test_cifar10_changed(tiny_cifar, monkeypatch):
    root, _ = tiny_cifar
    monkeypatch.undo()  # the true hashes
    with pytest.raises(
        FileNotFoundError, match="complete, unchanged CIFAR-10 in .*cifar-10-batches-py"
    ):
        load_cifar10(root, "test")


def test_cifar10_absent(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=(
            "cifar-10-batches-py .*; fetch https://.*/cifar-10-python.tar.gz by hand and unpack"
            " it in"
        ),
    ):
        load_cifar10(tmp_path, "train")


def test_cifar10_wrong_split(tmp_path):
    with pytest.raises(ValueError, match="got 'validation'"):
        load_cifar10(tmp_path, "validation")
