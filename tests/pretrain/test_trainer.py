import csv
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lib.data.images import Images
from lib.encoders.card import Card, file_sha256, write_card
from lib.encoders.load import load_encoder
from lib.pretrain import trainer
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.recipe import Recipe, batch_indices
from lib.pretrain.simmim import SimMIM
from lib.pretrain.trainer import LOG_FIELDS, export_weights, monitor, train

MEAN, STD = torch.tensor(0.3).reshape(1, 1, 1), torch.tensor(0.35).reshape(1, 1, 1)
POOLING = {"moco-v3": "class_token", "simmim": "patch_mean"}
OBJECTIVES = {
    "moco-v3": lambda vit: MoCoV3(vit, features=24, hidden=16, outputs=8),
    "simmim": lambda vit: SimMIM(vit, features=24),
}
EIGHT = Recipe(images=64, batch_size=8, rows=4)  # eight steps, every second logged


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, 1, 28, 28, generator=generator)
    return Images(
        images, torch.randint(4, (64,), generator=generator), images > 0.4, ("a", "b", "c", "d")
    )


@pytest.fixture
def objective(make_vit):
    """Factory of objectives: equal names and seeds give equal initial weights."""

    def make(name, seed=0):
        torch.manual_seed(seed)
        return OBJECTIVES[name](make_vit(seed, shaken=False))

    return make


@pytest.fixture
def run(data, tmp_path):
    """Train in a folder; returns how many images each export had seen."""

    def run(objective, folder, recipe=EIGHT, stop_after=None):
        exported = []
        (tmp_path / folder).mkdir(exist_ok=True)
        held_out, export = (
            data.subset(torch.arange(9)),
            lambda images, seconds: exported.append(images),
        )
        train(
            objective,
            data,
            held_out,
            recipe,
            tmp_path / folder / "tiny",
            MEAN,
            STD,
            "patch_mean",
            export,
            stop_after,
        )
        return exported

    return run


def rows(folder):
    """The log of a training without its seconds."""
    with (folder / "tiny.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_equal_weights(found: nn.Module, expected: nn.Module):
    for (name, one), other in zip(
        found.state_dict().items(), expected.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


# between two rows of the log, and at one
@pytest.mark.parametrize(("name", "stop_after"), [("moco-v3", 3), ("simmim", 3), ("simmim", 4)])
def test_a_resumed_training_equals_an_uninterrupted_one(run, objective, tmp_path, name, stop_after):
    # its own initial weights do not matter
    whole, resumed = objective(name), objective(name, seed=1)
    assert run(whole, "whole") == [64]
    assert run(objective(name), "parts", stop_after=stop_after) == [8 * stop_after]
    assert run(resumed, "parts") == [64]
    assert_equal_weights(resumed, whole)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


class Killed(BaseException):
    pass


def kill(*_args):
    raise Killed


def test_a_killed_training_goes_on_from_the_last_saved_state(run, objective, tmp_path, monkeypatch):
    recipe = replace(EIGHT, save_every=2)
    whole, killed = objective("simmim"), objective("simmim")
    assert run(whole, "whole", recipe) == [16, 32, 48, 64]
    monkeypatch.setattr(killed, "update", lambda progress: kill() if progress == 5 / 8 else None)
    with pytest.raises(Killed):
        run(killed, "parts", recipe)
    resumed = objective("simmim", seed=1)
    assert run(resumed, "parts", recipe) == [48, 64]
    assert_equal_weights(resumed, whole)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        "tiny.csv",
        "tiny.resume.pt",
    ]


def test_a_kill_between_state_and_log_loses_no_row(run, objective, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(trainer.csv, "writer", kill)
        run(objective("simmim"), "parts", replace(EIGHT, save_every=4))
    run(objective("simmim"), "parts")
    assert [row["step"] for row in rows(tmp_path / "parts")] == ["2", "4", "6", "8"]


def test_rows_of_the_log_after_the_saved_state_are_written_anew(run, objective, tmp_path):
    run(objective("simmim"), "whole")
    run(objective("simmim"), "parts", stop_after=4)
    with (tmp_path / "parts" / "tiny.csv").open("a") as log:
        log.write("6,48,0,9.9,9.9,9.9,9.9\n")  # the training was killed after it wrote this
    run(objective("simmim"), "parts")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


@pytest.mark.parametrize("place", ["empty", "half", 0.3, 0.6, 0.8])
def test_a_damaged_state_is_named_and_the_training_starts_anew(
    run, objective, tmp_path, capsys, place
):
    """One flipped bit within the weights or the optimizer's averages, too."""
    run(objective("simmim"), "whole")
    run(objective("simmim"), "parts", stop_after=4)
    state = tmp_path / "parts" / "tiny.resume.pt"
    good = state.read_bytes()
    bit = int(len(good) * place) if isinstance(place, float) else 0
    flipped = good[:bit] + bytes([good[bit] ^ 1]) + good[bit + 1 :]
    state.write_bytes({"empty": b"", "half": good[: len(good) // 2]}.get(place, flipped))
    run(objective("simmim"), "parts")
    assert "tiny.resume.pt is damaged, trained from the start: " in capsys.readouterr().err
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_finished_training_is_not_trained_further(run, objective):
    finished, again = objective("simmim"), objective("simmim", seed=1)
    run(finished, "whole")
    run(again, "whole")
    assert_equal_weights(again, finished)


def test_the_log_and_the_learning(run, objective, tmp_path):
    recipe = Recipe(images=8 * 24, batch_size=8, rows=4, learning_rate=3e-3)
    trained = objective("simmim")
    run(trained, "whole", recipe)
    log = rows(tmp_path / "whole")
    assert list(log[0]) == [field for field in LOG_FIELDS if field != "seconds"]
    assert [(row["step"], row["images"]) for row in log] == [
        ("6", "48"),
        ("12", "96"),
        ("18", "144"),
        ("24", "192"),
    ]
    assert float(log[-1]["loss"]) < 0.9 * float(log[0]["loss"])
    assert [float(row["learning_rate"]) for row in log] == [
        pytest.approx(recipe.rate(step), rel=1e-3) for step in (5, 11, 17, 23)
    ]
    assert all(
        float(row["representation_std"]) > 0 and 0 <= float(row["knn_accuracy"]) <= 1 for row in log
    )
    assert trained.training and trained.encoder.training  # the watch leaves training mode on


def test_the_moving_averages_follow_each_step(run, objective):
    trained = objective("moco-v3")
    before = [parameter.clone() for parameter in trained.momentum_encoder.parameters()]
    run(trained, "whole")
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, trained.momentum_encoder.parameters(), strict=True)
    ]
    learns = [parameter.requires_grad for parameter in trained.encoder.parameters()]
    assert moved == learns  # frozen parts do not move


class Stub(nn.Module):
    """An objective whose loss is what it is told for each step."""

    def __init__(self, encoder, losses):
        super().__init__()
        self.encoder, self.weight, self.losses, self.drawn = (
            encoder,
            nn.Parameter(torch.ones(1)),
            iter(losses),
            [],
        )

    def draw(self, batch, generator):
        return batch.images, batch.masks

    def forward(self, images, masks):
        self.drawn.append((images, masks))
        return 0 * self.weight.sum() + next(self.losses)

    def update(self, progress):
        pass


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_stops_at_its_step(run, make_vit, tmp_path, bad):
    stub = Stub(make_vit(), [1.0, 1.0, 1.0, bad])
    with pytest.raises(
        FloatingPointError,
        match=f"tiny: the loss is {bad} at step 3; the last good state is .*tiny.resume.pt",
    ):
        run(stub, "bad", replace(EIGHT, save_every=2))
    assert torch.load(tmp_path / "bad" / "tiny.resume.pt", weights_only=True)["step"] == 2
    assert torch.isfinite(stub.weight).all()


def test_images_are_normalised_and_masks_are_not(run, make_vit, data):
    stub = Stub(make_vit(), [1.0] * 8)
    run(stub, "stub")
    for step, (images, masks) in enumerate(stub.drawn):
        chosen = batch_indices(step, 8, 64, 0)
        assert torch.allclose(images, (data.images[chosen] - 0.3) / 0.35) and torch.equal(
            masks, data.masks[chosen]
        )


def test_the_log_averages_the_losses_since_the_row_before(run, make_vit, tmp_path):
    run(Stub(make_vit(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), "stub")
    assert [row["loss"] for row in rows(tmp_path / "stub")] == [
        "1.50000",
        "3.50000",
        "5.50000",
        "7.50000",
    ]


class Pixels(nn.Module):
    """An encoder whose single token is the image, times a factor."""

    num_prefix_tokens = 0

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward_features(self, images):
        return images.flatten(1)[:, None] * self.factor + (self.factor == 0)


@pytest.mark.parametrize(("factor", "spread"), [(1, 1.0), (100, 1.0), (0, 0.0)])
def test_the_watch_tells_collapse_from_spread(factor, spread):
    images = torch.rand(400, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    data = Images(images, torch.arange(400) % 4, None, ("a", "b", "c", "d"))
    found, accuracy = monitor(
        Stub(Pixels(factor), []), "patch_mean", data, data, torch.tensor(0.5), torch.tensor(0.3)
    )
    # of noise, each image among its own neighbours
    assert found == pytest.approx(spread, abs=0.02) and 0.2 < accuracy < 0.6
    # directions bunched around one
    assert (
        0.2
        < monitor(
            Stub(Pixels(1), []), "patch_mean", data, data, torch.tensor(-0.5), torch.tensor(0.3)
        )[0]
        < 0.6
    )


@pytest.mark.parametrize(
    ("name", "extras"), [("moco-v3", ()), ("simmim", ("decoder", "mask_token")), ("simmim", ())]
)
def test_exported_weights_load_strictly(objective, images, tmp_path, name, extras):
    made = objective(name).eval()
    export_weights(made, extras, tmp_path / "tiny.safetensors")
    tensors = load_file(tmp_path / "tiny.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert {label.split(".")[0] for label in tensors} == {"encoder", *extras}
    card = Card(
        method=name, family=made.family, architecture="vit_tiny_patch16_224", patch_size=4,
        prefix_tokens=1, mean=[0.3], std=[0.35], pooling=POOLING[name], arguments=dict(img_size=28,
        patch_size=4, in_chans=1, embed_dim=24, depth=2, num_heads=3, num_classes=0,
        dynamic_img_size=True), images_seen=0, seconds=0, command="", commit="", data="", seed=0,
        licence="", source="", sha256=file_sha256(tmp_path / "tiny.safetensors"),
        extras=list(extras),
    )  # fmt: skip
    write_card(card, tmp_path / "tiny.yaml")
    loaded = load_encoder("tiny", tmp_path)
    expected = trainer.representations(
        made.encoder, POOLING[name], Images(images, torch.zeros(len(images)), None, ()), MEAN, STD
    )
    assert torch.allclose(loaded(images), expected, atol=0.02)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["tiny.safetensors", "tiny.yaml"]
