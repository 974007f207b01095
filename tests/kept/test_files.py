"""A kept result is reused exactly when nothing it depends on has changed, and never when damaged."""

import multiprocessing
import os
import random
import time

import pytest
import torch

import lib.kept.files as module
from lib.data.images import Images
from lib.encoders.encoder import Encoder
from lib.kept.files import digest, kept, key_of
from lib.probes.cosine import pairwise_cosine


def doubled(x):
    return {"found": 2 * x}


doubled.__module__ = "lib.probes.cosine"


@pytest.fixture
def calls(monkeypatch):
    """A function of lib, as far as one can tell, and how often it ran."""
    ran = []

    def function(x, **options):
        ran.append(options)
        return doubled(x)

    function.__module__ = "lib.probes.cosine"
    return function, ran


@pytest.mark.parametrize(
    "other", [torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.float64), torch.ones(3, 2)]
)
def test_type_shape_and_values_of_tensors_count(other):
    assert digest(torch.zeros(3, 2)) == digest(torch.zeros(2, 3).T) != digest(other)


def test_equal_values_of_another_type_or_place_are_others():
    values = [1, 1.0, True, "1", None, [1], (1,), {"a": 1}, {"a": [1]}, [[1]], [1, 1]]
    assert len({digest(value) for value in values}) == len(values)
    with pytest.raises(TypeError, match="a set cannot be part of a key"):
        digest({1})


def test_dataclasses_count_by_their_fields(batch):
    fields = dict(labels=batch.labels, masks=batch.masks, classes=batch.classes)
    assert digest(batch) == digest(Images(batch.images.clone(), **fields))
    assert digest(batch) != digest(Images(1 - batch.images, **fields))


def test_all_of_a_network_counts_and_its_name_does_not(make_vit):
    vit = lambda **arguments: Encoder(make_vit(**arguments), [0.3], [0.35], "patch_mean")  # noqa: E731
    same = Encoder(make_vit(), [0.3], [0.35], "patch_mean", name="another", family="MIM")
    assert digest(vit()) == digest(same)
    bias, epsilon = vit(), vit()
    bias.model.blocks[1].mlp.fc1.bias.data[0] += 1
    epsilon.model.norm.eps *= 2
    others = [
        vit(num_heads=6),  # the same tensors
        vit(seed=1),
        bias,
        epsilon,
        Encoder(make_vit(), [0.3], [0.36], "patch_mean"),
        Encoder(make_vit(), [0.3], [0.35], "class_token"),
        Encoder(make_vit(), [0.3], [0.35], "patch_mean", input_size=56),
    ]
    assert len({digest(encoder) for encoder in (vit(), *others)}) == 1 + len(others)


def test_function_arguments_options_code_and_versions_count(monkeypatch):
    x = torch.ones(2)
    keys = {key_of(pairwise_cosine, x), key_of(doubled, x), key_of(doubled, x, y=1)}
    assert key_of(doubled, x, a=1, b=2) == key_of(doubled, x, b=2, a=1)
    monkeypatch.setattr(module, "versions", lambda: {"torch": "0"})
    keys.add(key_of(doubled, x))
    monkeypatch.setattr(module, "closure", lambda *_, **__: {"lib/a.py": "0"})
    assert len(keys | {key_of(doubled, x)}) == 5
    with pytest.raises(TypeError, match="expected a function of lib"):
        key_of(os.getcwd)


def test_what_is_there_is_read_and_a_failure_leaves_nothing(tmp_path, calls):
    function, ran = calls
    with pytest.raises(TypeError):
        kept(tmp_path / "new", "a", function, None)
    assert not (tmp_path / "new").exists() and len(ran) == 1
    for _ in range(2):
        assert kept(tmp_path, "a b", function, torch.arange(3))["found"].tolist() == [0, 2, 4]
    assert len(ran) == 2
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("a-b-")


def empty(content):
    return b""


def truncated(content):
    return content[: len(content) // 2]


def without_checksum(content):
    return content.replace(b"checksum", b"checksun")


def flipped(bit):
    def flip(content):
        place = bit % len(content)
        return content[:place] + bytes([content[place] ^ 1 << bit % 8]) + content[place + 1 :]

    return flip


DAMAGE = [
    empty,
    truncated,
    without_checksum,
    *(flipped(37 * n + 8) for n in range(12)),
    flipped(-1),
]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_file_is_named_removed_and_computed_again(tmp_path, calls, capsys, damage):
    function, ran = calls
    good = kept(tmp_path, "a", function, torch.arange(40.0))["found"]
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert torch.equal(kept(tmp_path, "a", function, torch.arange(40.0))["found"], good)
    assert f"{file.name} is damaged, computed again" in capsys.readouterr().err
    kept(tmp_path, "a", function, torch.arange(40.0))
    assert len(ran) == 2 and capsys.readouterr().err == "" and list(tmp_path.iterdir()) == [file]


def test_the_file_of_another_key_is_not_taken(tmp_path, calls):
    function, ran = calls
    kept(tmp_path, "a", function, torch.zeros(1))
    (first,) = tmp_path.iterdir()
    kept(tmp_path, "a", function, torch.ones(1))
    (second,) = set(tmp_path.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    assert kept(tmp_path, "a", function, torch.ones(1))["found"].tolist() == [2.0]


def test_code_that_changed_since_it_was_loaded_keeps_nothing(tmp_path, calls, monkeypatch):
    function, ran = calls
    monkeypatch.setattr(module, "STARTED", 0)
    for _ in range(2):
        assert kept(tmp_path, "a", function, torch.ones(1))["found"].tolist() == [2.0]
    assert len(ran) == 2 and not list(tmp_path.iterdir())


def test_what_a_dead_process_left_half_written_is_removed(tmp_path, calls):
    dead, alive = tmp_path / "x.safetensors.999999999", tmp_path / f"x.safetensors.{os.getppid()}"
    for file in (dead, alive):
        file.touch()
    kept(tmp_path, "a", calls[0], torch.ones(1))
    assert not dead.exists() and alive.exists()


def keep_on(folder) -> None:
    """Keep one result after the other, in a process to be killed."""
    torch.set_num_threads(1)  # those of the parent are not there after a fork
    for number in range(10**6):
        kept(folder, "a", doubled, torch.full((50_000,), float(number % 3)))


def test_killed_at_random_moments_it_leaves_good_files(tmp_path, capsys):
    """Twenty-four times, two processes at once that keep the same results; the next leaves no
    debris."""
    moments, context = random.Random(0), multiprocessing.get_context("fork")
    for _ in range(12):
        for file in tmp_path.iterdir():
            file.unlink()
        running = [context.Process(target=keep_on, args=(tmp_path,)) for _ in range(2)]
        for process in running:
            process.start()
        for process in running:
            time.sleep(moments.uniform(0.01, 0.12))
            process.kill()
            process.join()
        for value in range(4):  # the last one is new, and its write sweeps
            found = kept(tmp_path, "a", doubled, torch.full((50_000,), float(value)))
            assert torch.equal(found["found"], torch.full((50_000,), 2.0 * value))
        assert len(list(tmp_path.iterdir())) == 4 and capsys.readouterr().err == ""
