"""Two processes with half of each batch train like one process with all of it."""

import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lib.pretrain.distributed import gather, own_rows, rand_rows
from lib.run.layout import ROOT

WORKER = """
import sys, timm, torch
from pathlib import Path
from lib.data.images import Images
from lib.pretrain.distributed import rank
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.recipe import Recipe
from lib.pretrain.simmim import SimMIM
from lib.pretrain.trainer import export_weights, train

torch.set_num_threads(1)
images = torch.rand(32, 1, 28, 28, generator=torch.Generator().manual_seed(0))
data = Images(images, torch.arange(32) % 4, images > 0.5, ("a", "b", "c", "d"))
for name, make in dict(moco=MoCoV3, simmim=SimMIM).items():
    torch.manual_seed(0)
    vit = timm.create_model("vit_tiny_patch16_224", img_size=28, patch_size=4, in_chans=1, embed_dim=24, depth=1, num_heads=3, num_classes=0)
    objective = make(vit, features=24)
    stem = Path(sys.argv[1]) / name
    finish = lambda images, seconds: export_weights(objective, [], stem.with_suffix(".safetensors"))
    train(objective, data, data, Recipe(images=48, batch_size=8, rows=6, learning_rate=1e-4), stem, torch.tensor(0.5), torch.tensor(0.3), "patch_mean", finish)
"""


def launch(folder, count):
    folder.mkdir()
    (folder / "worker.py").write_text(WORKER)
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        if count > 1
        else []
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(folder / "worker.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_train_like_one(tmp_path):
    launch(tmp_path / "one", 1)
    launch(tmp_path / "two", 2)
    for name in ("moco", "simmim"):
        one, two = (pd.read_csv(tmp_path / folder / f"{name}.csv") for folder in ("one", "two"))
        assert len(one) == 6 and one["loss"].nunique() == 6
        torch.testing.assert_close(
            torch.tensor(two["loss"].to_numpy()),
            torch.tensor(one["loss"].to_numpy()),
            atol=2e-4,
            rtol=0,
        )
        weights = [
            load_file(tmp_path / folder / f"{name}.safetensors") for folder in ("one", "two")
        ]
        for key, tensor in weights[0].items():
            torch.testing.assert_close(
                weights[1][key].float(), tensor.float(), atol=1e-3, rtol=1e-2, msg=f"{name} {key}"
            )


def test_a_single_process_keeps_all_rows_and_gathers_nothing():
    batch = torch.arange(6.0).reshape(3, 2)
    assert (
        own_rows(batch) is not None
        and torch.equal(own_rows(batch), batch)
        and gather(batch) is batch
    )


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr("lib.pretrain.distributed.processes", lambda: 2)
    with pytest.raises(ValueError, match="batch of 3 rows cannot be shared by 2 processes"):
        own_rows(torch.zeros(3, 1))


def test_the_processes_share_the_draws_of_the_whole_batch(monkeypatch):
    whole = rand_rows(6, torch.Generator().manual_seed(0))
    monkeypatch.setattr("lib.pretrain.distributed.processes", lambda: 2)
    parts = []
    for process in range(2):
        monkeypatch.setattr("lib.pretrain.distributed.rank", lambda process=process: process)
        parts.append(rand_rows(3, torch.Generator().manual_seed(0)))
    assert torch.equal(torch.cat(parts), whole)
