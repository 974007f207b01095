"""Notebooks × encoders on real workers with real kernels, so a few seconds a cluster; what is refused needs neither."""

import os
import time
from types import SimpleNamespace

import psutil
import pytest
from distributed import LocalCluster

import lib.study.cluster
import lib.study.comparison_page
import lib.study.parallel
import lib.study.sweep
from lib.study.__main__ import main
from lib.study.cluster import threads_per_kernel
from lib.study.errors import StudyError
from lib.study.execute import run_profile
from lib.study.profiles import load_profile
from lib.study.sweep import Outcome, sweep
from lib.study.units import Unit, units_of

BOTH = ["fashion/a", "fashion/b"]
LOG = """
import os, signal, time
from pathlib import Path
folder = Path("data/results") / profile
folder.mkdir(parents=True, exist_ok=True)
with open("log", "a") as log:
    log.write(f"{encoders[0]} {os.getpid()}\\n")
"""
KILL = """
deadline = time.monotonic() + 120
if encoders == ["fashion/b"] and not Path("killed").exists():
    while not Path("data/results/sweep-fashion-a/kills.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    Path("killed").touch()
    os.kill(os.getppid(), signal.SIGKILL)  # the worker that runs this notebook
    time.sleep(600)
"""
TABLE = '(folder / f"{name}.csv").write_text(" ".join([*encoders, os.environ["OMP_NUM_THREADS"]]))'


def profile_of(root, *notebooks: str) -> None:
    path = root / "notebooks" / "profiles" / "fashion.yaml"
    path.write_text(f"shared: {{profile: fashion, encoders: [fashion/a]}}\nnotebooks: {{{', '.join(f'{name}: {{}}' for name in notebooks)}}}\n")


def executed(root) -> list[str]:
    """Encoders of the executions of notebooks that keep a log."""
    return [line.split()[0] for line in (root / "log").read_text().splitlines()]


@pytest.fixture
def no_cluster(monkeypatch):
    """From here on a cluster is a failure."""
    return lambda: monkeypatch.setattr(lib.study.parallel, "connect", lambda *_: pytest.fail("a cluster was started"))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has fetched does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_killed_worker_and_a_failing_notebook_cost_nobody_else_anything(root, tools, no_cluster, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    parameters = 'profile: str = "fashion"\nencoders: list = ["fashion/a"]\nname: str = "kills"'
    tools["write_notebook"](root, "kills", parameters, LOG, KILL, TABLE)
    tools["write_notebook"](root, "fails", parameters, "1 / 0")
    profile_of(root, "fails", "kills", "first_second")
    outcome = sweep("fashion", BOTH, workers=2, root=root)
    assert {str(unit) for unit in outcome.ran} == {"kills × fashion/a", "kills × fashion/b"} and outcome.unchanged == []
    assert {str(unit) for unit, _ in outcome.failed} == {"fails × fashion/a", "fails × fashion/b"}
    assert sorted(executed(root)) == ["fashion/a", "fashion/b", "fashion/b"]  # b again, elsewhere; a, which was finished, not
    assert [(root / "data" / "results" / f"sweep-fashion-{x}" / "kills.csv").read_text() for x in "ab"] == ["fashion/a 3", "fashion/b 3"]

    text = str(outcome)
    assert text.startswith("2 ran, 0 unchanged, 2 skipped, 2 failed\nskipped with fashion/a: first_second: it takes no encoders\n")
    assert "failed: fails × fashion/b: notebook fails failed in cell 3 of 3, which begins `1 / 0`: ZeroDivisionError" in text
    assert 'make run NOTEBOOK=fails PROFILE=fashion PARAMETERS="encoders=fashion/b profile=sweep-fashion-b"' in text
    assert str(root) not in text

    kernels, deadline = [int(line.split()[1]) for line in (root / "log").read_text().splitlines()], time.monotonic() + 60
    while any(alive(pid) for pid in kernels):
        assert time.monotonic() < deadline, "the kernel of the killed worker goes on"
        time.sleep(0.2)

    no_cluster()
    again = sweep("fashion", BOTH, ["kills"], root=root)
    assert len(again.unchanged) == 2 and not again.ran and not again.failed and len(executed(root)) == 3
    (alone,) = run_profile("fashion", ["encoders=fashion/b", "profile=sweep-fashion-b"], "kills", root)
    assert alone.reused, "the command of the summary runs the same unit"


def test_an_existing_scheduler_is_used_and_goes_on(root, tools, monkeypatch):
    tools["write_notebook"](root, "logs", 'profile: str = "fashion"\nencoders: list = ["fashion/a"]', LOG)
    profile_of(root, "logs")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster:
        outcome = sweep("fashion", BOTH, scheduler=cluster.scheduler_address, root=root)
        assert len(outcome.ran) == 2 and executed(root) == BOTH and cluster.status.name == "running"
        (root / "data" / "results" / "sweep-fashion-a" / "logs.json").unlink()
        with monkeypatch.context() as patched, pytest.raises(StudyError, match="find no `lib`, or another than this checkout's: tcp://"):
            patched.setattr(lib.study.cluster, "find_spec", lambda _: SimpleNamespace(origin=os.getpid()))  # another in every process
            sweep("fashion", BOTH, scheduler=cluster.scheduler_address, root=root)
        cluster.scale(0)
        monkeypatch.setattr(lib.study.cluster, "PATIENCE", 1)
        while cluster.scheduler.workers:
            time.sleep(0.1)
        with pytest.raises(StudyError, match="has no worker; start one in a checkout of this commit"):
            sweep("fashion", BOTH, scheduler=cluster.scheduler_address, root=root)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere:at:all"])
def test_a_scheduler_that_does_not_answer_is_one_paragraph(root, monkeypatch, address):
    monkeypatch.setattr(lib.study.cluster, "PATIENCE", 1)
    with pytest.raises(StudyError, match=f"no Dask scheduler answers at {address}.*leave SCHEDULER out") as caught:
        sweep("fashion", ["fashion/a"], scheduler=address, root=root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoders", "options", "expected"),
    [
        (["fashion/c"], {}, "unknown encoder 'fashion/c'"),
        (["fashion/a", "fashion/c"], {}, "unknown encoder 'fashion/c'"),
        ([], {}, "at least one encoder, got none"),
        (["fashion/a", "fashion.a"], {}, "differ in more than punctuation, got fashion/a, fashion.a"),
        (BOTH, {"notebooks": ["fisrt"]}, "unknown notebook 'fisrt' for profile fashion; did you mean 'first'"),
        (BOTH, {"workers": 0}, "at least one worker, got 0"),
        (BOTH, {"profile": "fashon"}, "unknown profile 'fashon'"),
    ],
)
def test_everything_is_checked_before_a_cluster_starts(root, no_cluster, encoders, options, expected):
    no_cluster()
    with pytest.raises(StudyError, match=expected):
        sweep(**({"profile": "fashion", "encoders": encoders, "root": root} | options))


def test_units_hold_one_encoder_each_and_a_folder_of_its_own(root):
    units, skipped = units_of("fashion", [*BOTH, "fashion/a"], root)
    assert [(str(unit), unit.profile) for unit in units] == [("first × fashion/a", "sweep-fashion-a"), ("first × fashion/b", "sweep-fashion-b")]
    assert [unit.parameters["encoders"] for unit in units] == [["fashion/a"], ["fashion/b"]] and units[0].parameters["images"] == 8
    assert units[1].parameters == load_profile("fashion", ["encoders=fashion/b", "profile=sweep-fashion-b"], "first", root)["first"]
    assert skipped == dict.fromkeys([("first_second", encoder) for encoder in BOTH], "it takes no encoders")


def test_cores_are_shared_among_the_workers_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(lib.study.cluster, "CPU_COUNT", 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_per_kernel(workers) for workers in (1, 3, 8, 20)] == ["8", "2", "1", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads_per_kernel(8) == "2"


@pytest.mark.parametrize(("failed", "code"), [([(Unit("first", "a", "sweep-a", {}), "why.")], 2), ([], 0)])
def test_the_command_prints_the_summary_and_tells_failure_by_its_exit_code(monkeypatch, capsys, failed, code):
    calls = []
    monkeypatch.setattr(lib.study.sweep, "sweep", lambda *given: calls.append(given) or Outcome([], [], [], {}, failed, "fashion"))
    monkeypatch.setattr(lib.study.comparison_page, "write_comparison", lambda units, encoders: "PAGE")
    assert main(["sweep", "--encoders", "a, b", "--notebooks", "first", "--workers", "2"]) == code
    assert calls == [("fashion", ["a", "b"], ["first"], 2, None, "")]
    said = capsys.readouterr().out
    assert said.startswith(f"0 ran, 0 unchanged, 0 skipped, {len(failed)} failed\n") and said.endswith("the comparison is at PAGE\n")


def test_notebooks_of_a_profile_run_side_by_side_and_only_what_changed_again(root, tools, no_cluster, capsys):
    """Each waits until the other has begun, so one after the other they would fail."""
    meet = """
import time
from pathlib import Path
mine, other = Path(name), Path({"left": "right", "right": "left"}[name])
mine.touch()
deadline = time.monotonic() + 120
while not other.exists():
    assert time.monotonic() < deadline, "the other never began"
    time.sleep(0.1)
folder = Path("data/results") / profile
folder.mkdir(parents=True, exist_ok=True)
(folder / f"{name}.csv").write_text("a\\n1\\n")
"""
    for name in ("left", "right"):
        tools["write_notebook"](root, name, f'profile: str = "fashion"\nname: str = "{name}"', meet)
    tools["write_notebook"](root, "fails", 'profile: str = "fashion"', "1 / 0")
    profile_of(root, "left", "fails", "right")
    path = root / "notebooks" / "profiles" / "fashion.yaml"
    path.write_text("shared: {profile: fashion}\nnotebooks: {left: {}, fails: {}, right: {}}\n")
    with pytest.raises(StudyError, match="^1 of 3 notebooks failed: notebook fails failed in cell 3 of 3.*ZeroDivisionError"):
        run_profile("fashion", root=root, workers=3)
    path.write_text("shared: {profile: fashion}\nnotebooks: {left: {}, right: {}}\n")
    no_cluster()
    runs = run_profile("fashion", root=root, workers=2)
    assert [(run.name, run.reused, run.tables[0].read_text()) for run in runs] == [("left", True, "a\n1\n"), ("right", True, "a\n1\n")]
    assert "0 of 2 notebooks were run, the others are unchanged" in capsys.readouterr().out


def test_tables_of_a_unit_that_did_not_finish_are_put_back(root, monkeypatch):
    """As after an interruption, or a worker that is killed while its notebook has written half of its tables."""
    folder = root / "data" / "results" / "fashion"
    folder.mkdir(parents=True)
    (folder / "first.csv").write_text("good")

    def connect(*_):
        (folder / "first.csv").write_text("half")
        (folder / "first.other.csv").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(lib.study.parallel, "connect", connect)
    with pytest.raises(KeyboardInterrupt):
        run_profile("fashion", root=root, workers=2)
    assert [path.name for path in folder.iterdir()] == ["first.csv"] and (folder / "first.csv").read_text() == "good"


def test_images_that_cannot_be_had_stop_everything_before_a_cluster_starts(root, no_cluster):
    no_cluster()
    with pytest.raises(StudyError, match="^the images /nowhere cannot be used: expected a folder of images at /nowhere"):
        lib.study.parallel.run_units([Unit("first", "", "custom", {"dataset": "/nowhere"})], 2, root=root)
