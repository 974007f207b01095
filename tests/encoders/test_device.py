"""The device and the precision that the environment names; batches that fit, and shrink."""

from types import SimpleNamespace

import pytest
import timm
import torch

from lib.data.dataset import FolderImages
from lib.encoders import batches, device, memory
from lib.encoders.batches import Rows, ahead, in_batches
from lib.encoders.device import chosen_device, chosen_precision, describe, free_memory
from lib.encoders.encoder import Encoder
from lib.encoders.memory import bytes_of_a_pass, images_that_fit


@pytest.fixture
def machine(monkeypatch):
    """A machine with some CUDA devices, by what torch says of it."""

    def having(devices: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)

    return having


@pytest.mark.parametrize(
    ("name", "devices", "expected"),
    [
        (None, 0, "cpu"),
        ("", 0, "cpu"),
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_device_is_the_one_named(monkeypatch, machine, name, devices, expected):
    machine(devices)
    if name is None:
        monkeypatch.delenv("DEVICE", raising=False)
    else:
        monkeypatch.setenv("DEVICE", name)
    assert chosen_device() == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "DEVICE is auto, cpu, cuda.* got 'gpu'"),
        ("cuda:x", "got 'cuda:x'"),
        ("cuda:2", "has 2 CUDA devices"),
        ("CPU", "got 'CPU'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, machine, name, message):
    machine(2)
    monkeypatch.setenv("DEVICE", name)
    with pytest.raises(ValueError, match=message):
        chosen_device()


def test_precision_is_exact_unless_told(monkeypatch):
    monkeypatch.delenv("PRECISION", raising=False)
    assert chosen_precision() == "exact"
    monkeypatch.setenv("PRECISION", "fast")
    assert chosen_precision() == "fast" and describe()["precision"] == "fast"
    monkeypatch.setenv("PRECISION", "half")
    with pytest.raises(ValueError, match="exact or fast, got 'half'"):
        chosen_precision()


def test_exact_leaves_no_tf32(machine):
    machine(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    device.be_exact()
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)


def test_fast_representations_stay_near_the_exact_ones(encoder, images):
    exact = encoder.representations(images)
    fast = encoder.representations(images, precision="fast")
    assert fast.dtype == torch.float32 and not fast.equal(exact)
    assert torch.cosine_similarity(exact, fast, dim=1).min() > 0.999


def hungry(limit: int, seen: list[int]):
    """A computation whose memory runs out above some rows."""

    def compute(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        if len(x) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x.flatten(1).sum(1)

    return compute


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
def test_batches_are_halved_when_memory_runs_out_and_nothing_is_done_twice(encoder, limit):
    images, seen = torch.rand(13, 1, 28, 28), []
    found = in_batches(encoder, hungry(limit, seen), images, batch_size=8)
    torch.testing.assert_close(found, images.flatten(1).sum(1))
    assert sum(size for size in seen if size <= limit) == 13
    failed = [size for size in seen if size > limit]
    assert failed == [size for size in (8, 4, 2) if size > limit]  # each size once


def test_what_does_not_fit_at_all_and_other_errors_are_raised(encoder, images):
    with pytest.raises(torch.OutOfMemoryError):
        in_batches(encoder, hungry(0, []), images, batch_size=4)
    seen = []

    def broken(x):
        seen.append(len(x))
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        in_batches(encoder, broken, images, batch_size=4)
    assert seen == [4]


def test_columns_go_together_in_any_order(encoder, images):
    order = torch.tensor([4, 0, 0, 2, 1, 3, 3])
    found = in_batches(
        encoder,
        lambda x, i: {"mean": x.mean((1, 2, 3)), "pair": (i, -i)},
        Rows(images, order),
        order,
        batch_size=3,
    )
    assert found["mean"].equal(images[order].mean((1, 2, 3)))
    assert found["pair"][0].equal(order) and found["pair"][1].equal(-order)


def test_half_precision_leaves_as_single(encoder, images):
    found = in_batches(encoder, lambda x: x.bfloat16(), images, batch_size=2)
    assert found.dtype == torch.float32


def test_bytes_of_a_pass_count_what_the_gradient_keeps():
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0).requires_grad_(False)
    plain, kept = (bytes_of_a_pass(model, (3, 224, 224), g) for g in (False, True))
    residual = 197 * 192 * 4
    assert plain < 30 * residual  # two or three tensors of the MLP's width, not those of 12 blocks
    assert 12 * 8 * residual < kept < 12 * 40 * residual
    assert next(model.parameters()).device.type == "cpu"


def test_large_images_come_in_as_many_as_fit(monkeypatch):
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    encoder = Encoder(model, [0.5] * 3, [0.5] * 3, "class_token")
    sizes = []
    for free in (2**24, 2**30, 2**34):
        monkeypatch.setattr(memory, "free_memory", lambda _, free=free: free)
        sizes.append(images_that_fit(encoder, (3, 224, 224), True))
    assert sizes == sorted(sizes) and sizes[0] < sizes[1] < sizes[2]
    assert all(size & (size - 1) == 0 for size in sizes)  # powers of 2
    needed = bytes_of_a_pass(model, (3, 224, 224), True)
    assert sizes[1] * needed <= 2**30 < 4 * memory.MARGIN * sizes[1] * needed
    assert images_that_fit(encoder, (3, 64, 64), True) > 10**6  # small: as many as asked for


def test_a_folder_is_read_ahead_slice_by_slice(monkeypatch, encoder):
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    encoder = Encoder(model, [0.5] * 3, [0.5] * 3, "class_token")
    monkeypatch.setattr(
        "lib.data.dataset.read_image",
        lambda path, size, channels: torch.full((channels, size, size), int(path) / 255),
    )
    files = FolderImages(tuple(map(str, range(7))), torch.zeros(7, dtype=torch.long), ("a",))
    sizes = []

    def compute(pixels):
        assert pixels.dtype == torch.uint8
        sizes.append(len(pixels))
        return pixels[:, 0, 0, 0].float()

    assert in_batches(encoder, compute, files, batch_size=3).tolist() == list(range(7))
    assert sizes == [3, 3, 1] and "pixels" not in vars(files)


def test_ahead_passes_errors_on():
    def items():
        yield 1
        raise ValueError("a damaged file")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="a damaged file"):
        next(coming)


def test_free_memory_is_a_share_of_what_is_there(monkeypatch):
    monkeypatch.setattr(device.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9))
    assert free_memory(torch.device("cpu")) == 10**9 * device.SHARE["cpu"]
    assert batches.images_that_fit is images_that_fit
