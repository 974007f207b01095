"""The command line of the trainings."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lib.data.folder import open_folder
from lib.data.read_image import read_image
from lib.encoders.card import read_card
from lib.encoders.load import load_encoder
from lib.pretrain.__main__ import free_stem, main, parse
from lib.run.layout import ROOT


def test_a_finished_encoder_is_not_overwritten(tmp_path):
    assert free_stem(tmp_path, "new") == tmp_path / "new"
    (tmp_path / "done.yaml").touch()
    with pytest.raises(SystemExit, match="done is there already"):
        free_stem(tmp_path, "done")
    (tmp_path / "done.resume.pt").touch()
    assert free_stem(tmp_path, "done") == tmp_path / "done"


def test_the_command_refuses_before_it_trains(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pretrain", "simmim"])
    monkeypatch.setattr("lib.pretrain.__main__.free_stem", lambda *_: sys.exit("refused"))
    monkeypatch.setattr("lib.pretrain.__main__.train", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit, match="refused"):
        main()


WRONG = [
    "hybrid",
    "simmim --weight 0.2",
    "mae --size r",
    "unknown",
    "simmim --arch resnet18",
    "simmim --data x --size s --arch resnet18",
    "simmim --data imagenette --arch resnet18",
    "simmim --size r --stem convolutional",
    "simmim --data x --arch unknown",
]


@pytest.mark.parametrize("words", WRONG)
def test_what_does_not_go_together_is_refused(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["pretrain", *words.split()])
    with pytest.raises(SystemExit):
        parse()


@pytest.fixture(scope="module")
def garden(tmp_path_factory):
    """A folder of generated colour images of two classes at 224 px."""
    folder, rng = tmp_path_factory.mktemp("images") / "garden", np.random.default_rng(0)
    for i in range(30):
        path = folder / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (7, 8, 3), dtype=np.uint8))
        coarse.resize((256, 224), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture
def pretrain(monkeypatch, tmp_path):
    """Run the command with checkpoints in a folder of their own, and return that folder."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["pretrain", *map(str, words)])
        monkeypatch.setattr("lib.pretrain.__main__.CHECKPOINTS", tmp_path)
        threads = torch.get_num_threads()
        try:
            main()
        finally:
            torch.set_num_threads(threads)
        return tmp_path

    return run


@pytest.mark.parametrize(
    ("method", "arch", "pooling"),
    [
        ("simmim", "vit_tiny_patch16_224", "patch_mean"),
        ("moco-v3", "test_vit", "class_token"),
        ("supervised", "test_resnet", "global_average"),
    ],
)
def test_trains_a_timm_model_on_a_folder_of_images_for_two_steps(
    pretrain, garden, method, arch, pooling
):
    root = pretrain(method, "--data", garden, "--arch", arch, "--images", 8, "--batch-size", 4)
    name = f"garden/{method}-{arch}"
    log, card = pd.read_csv(root / f"{name}.csv"), read_card(root / f"{name}.yaml")
    assert (
        log["step"].tolist() == [1, 2]
        and np.isfinite(log["loss"]).all()
        and log["loss"].nunique() == 2
    )
    assert (
        card.architecture == arch
        and card.images_seen == 8
        and card.pooling == pooling
        and card.mean == [0.485, 0.456, 0.406]
    )
    side = 224 if arch == "vit_tiny_patch16_224" else 160
    assert card.data == f"folder garden: 27 images of 2 classes at {side} px; 3 more held out"
    assert (
        card.command
        == f"make pretrain METHOD={method} DATA=garden ARCH={arch} IMAGES=8 SEED=0 BATCH_SIZE=4"
    )
    encoder = load_encoder(name, root)
    images = torch.stack([read_image(file, side, 3) for file, _ in open_folder(garden).samples[:2]])
    found = encoder(images)
    assert found.shape == (2, encoder.model.num_features) and torch.isfinite(found).all()


COMMAND = """
import sys
from pathlib import Path
import lib.pretrain.__main__ as command
command.CHECKPOINTS = Path(sys.argv.pop(1))
command.main()
"""


def test_two_processes_train_on_a_folder_like_one(garden, tmp_path):
    script, logs = tmp_path / "command.py", []
    script.write_text(COMMAND)
    for count in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        words = [
            "simmim",
            "--data",
            garden,
            "--arch",
            "test_vit",
            "--images",
            12,
            "--batch-size",
            4,
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *launcher, script, tmp_path / str(count), *words]
        done = subprocess.run(
            [str(word) for word in command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        logs.append(pd.read_csv(tmp_path / str(count) / "garden" / "simmim-test_vit.csv"))
        assert (
            read_card(tmp_path / str(count) / "garden" / "simmim-test_vit.yaml").images_seen == 12
        )
    assert len(logs[0]) == 3 and logs[0]["loss"].nunique() == 3
    assert logs[1]["loss"].to_numpy() == pytest.approx(logs[0]["loss"].to_numpy(), abs=2e-4)


def test_patch_methods_refuse_a_resnet(pretrain, garden):
    with pytest.raises(
        SystemExit, match="expected a timm VisionTransformer, test_resnet is a ResNet"
    ):
        pretrain("simmim", "--data", garden, "--arch", "test_resnet")


def test_a_folder_that_is_none_is_refused(pretrain, tmp_path):
    with pytest.raises(SystemExit, match="nowhere, which does not exist"):
        pretrain("simmim", "--data", tmp_path / "nowhere", "--arch", "test_vit")
