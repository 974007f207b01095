"""Images of a folder: read when needed, in the order of the training."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.folder import open_folder
from lib.data.images import Images
from lib.data.read_image import read_image
from lib.pretrain.source import ImageFiles, batches, fashion_source, folder_source

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    """Thirty colour images of unequal shapes in three classes."""
    rng = np.random.default_rng(0)
    for i in range(30):
        path = tmp_path / "garden" / "abc"[i % 3] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20 + i, 24, 3), dtype=np.uint8)).save(path)
    return tmp_path / "garden"


@pytest.fixture
def memory(folder):
    """The same images, read at once."""
    found = open_folder(folder)
    images = torch.stack([read_image(file, 16, 3) for file, _ in found.samples])
    return Images(images, torch.tensor(found.targets), None, tuple(found.classes))


def sources(folder):
    source = folder_source(folder, 16)
    return source.train, source.held_out


def test_every_image_is_trained_on_or_held_out(folder, memory):
    train, held_out = sources(folder)
    assert (len(train), len(held_out)) == (27, 3) and isinstance(train, ImageFiles)
    assert len({*train.files, *held_out.files}) == 30
    counts = torch.cat([train.labels, held_out.labels]).bincount()
    assert torch.equal(counts, memory.labels.bincount()) and train.classes == memory.classes
    # the first ones, a bank for neighbours, are of all classes
    assert len(train.labels[:9].unique()) == 3


def test_all_trainings_hold_out_the_same_images(folder):
    torch.manual_seed(5)
    assert folder_source(folder, 16).held_out.files == folder_source(folder, 16).held_out.files


def test_batches_are_the_images_in_the_order_asked(folder, memory):
    everything = {
        image.numpy().tobytes(): label.item()
        for image, label in zip(memory.images, memory.labels, strict=True)
    }
    train, _ = sources(folder)
    order = [torch.tensor([4, 1, 4]), torch.tensor([20]), torch.tensor([2, 3])]
    state = torch.get_rng_state()
    found = list(batches(train, iter(order), CPU))
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(batch) for batch in found] == [3, 1, 2] and all(
        batch.masks is None and batch.classes == train.classes for batch in found
    )
    for batch, indices in zip(found, order, strict=True):
        assert batch.images.shape[1:] == (3, 16, 16) and torch.equal(
            batch.labels, train.labels[indices]
        )
        assert [
            everything[image.numpy().tobytes()] for image in batch.images
        ] == batch.labels.tolist()
    assert torch.equal(found[0].images[0], found[0].images[2]) and not torch.equal(
        found[0].images[0], found[0].images[1]
    )


def test_images_in_memory_are_batched_the_same_way(memory):
    order = [torch.tensor([4, 1]), torch.tensor([20])]
    found = list(batches(memory, order, CPU))
    assert all(
        torch.equal(batch.images, memory.images[indices])
        for batch, indices in zip(found, order, strict=True)
    )


def test_a_subset_reads_nothing(folder):
    train, _ = sources(folder)
    files = train.files
    for path in folder.rglob("*.png"):
        path.unlink()
    part = train.subset(torch.tensor([3, 0]))
    assert (
        part.files == [files[3], files[0]]
        and len(part) == 2
        and torch.equal(part.labels, train.labels[[3, 0]])
    )
    with pytest.raises(ValueError, match="is not a complete image"):
        part[0]


def test_what_the_cards_say(folder):
    source = folder_source(folder, 16)
    assert source.card == "folder garden: 27 images of 3 classes at 16 px; 3 more held out"
    assert source.mean == [0.485, 0.456, 0.406] and source.std == [0.229, 0.224, 0.225]
    fashion = fashion_source()
    assert (len(fashion.train), len(fashion.held_out), fashion.mean, fashion.std) == (
        60_000,
        1000,
        [0.286],
        [0.353],
    )
    assert fashion.train.images.mean().item() == pytest.approx(
        0.286, abs=1e-4
    ) and fashion.train.images.std().item() == pytest.approx(0.353, abs=1e-4)


def test_refuses_a_wrong_or_small_folder(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        folder_source(tmp_path / "nowhere", 16)
    for path in sorted(folder.rglob("*.png"))[:6]:
        path.unlink()
    with pytest.raises(ValueError, match="at least 25 images in .*garden, got 24"):
        folder_source(folder, 16)
