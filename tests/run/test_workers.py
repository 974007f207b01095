"""Workers of a sweep and what they find in their environment."""

import os

import pytest
import torch

from lib.run.runs import default_workers, gpus, local, worker_environments


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("DEVICE", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def visible(environments: list[dict[str, str]]) -> list[str | None]:
    return [environment.get("CUDA_VISIBLE_DEVICES") for environment in environments]


def test_one_worker_a_gpu_and_each_its_own(two_gpus, monkeypatch):
    assert default_workers() == 2 and visible(worker_environments(3)) == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert visible(worker_environments(2)) == ["5", "7"]


@pytest.mark.parametrize("name", ["cpu", "cuda:1"])
def test_a_device_that_is_named_is_that_of_every_worker(two_gpus, monkeypatch, name):
    monkeypatch.setenv("DEVICE", name)
    assert gpus() == [] and visible(worker_environments(2)) == [None, None]


def test_workers_are_started_with_it(two_gpus):
    with local(2) as client:
        found = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert sorted(found.values()) == ["0", "1"]
