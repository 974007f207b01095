"""Many pages: on real worker processes where that matters, else in this process."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import yaml
from distributed import LocalCluster

import lib.run.runs
from lib.paths import ROOT
from lib.run.errors import StudyError
from lib.run.page import Page
from lib.run.profiles import resolve, sweep_pages
from lib.run.runs import held, run_pages

BOTH = ["fashion/a", "fashion/b"]
PARAMETERS = 'profile: str = "fashion"\nencoders: list = ["fashion/a"]'
LOG = """
import os, signal, time
from pathlib import Path
with open("log", "a") as log:
    log.write(f"{encoders[0]} {os.getpid()}\\n")
"""
KILL = """
deadline = time.monotonic() + 120
if encoders == ["fashion/b"] and not Path("killed").exists():
    other = Path("data/results/sweep-fashion-a/kills.json")
    while not other.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    Path("killed").touch()
    os.kill(os.getppid(), signal.SIGKILL)  # the worker that runs this notebook
    time.sleep(600)
"""
TABLE = 'Path(os.environ["STUDY_TABLES"], "kills.csv").write_text(" ".join(encoders))'


@pytest.fixture
def no_cluster(monkeypatch):
    """From here on a cluster is a failure."""
    fail = lambda *_: pytest.fail("a cluster was started")  # noqa: E731
    return lambda: monkeypatch.setattr(lib.run.runs, "local", fail)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has fetched does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_killed_worker_and_a_failing_notebook_cost_nobody_else_anything(root, tools, no_cluster):
    tools["write_notebook"](root, "kills", PARAMETERS, LOG, KILL, TABLE)
    tools["write_notebook"](root, "fails", PARAMETERS, "1 / 0")
    tools["write_contents"](root, "fails", "kills", "first_second")
    pages, skipped = sweep_pages("fashion", BOTH, root=root)
    assert skipped == {("first_second", encoder): "it takes no encoders" for encoder in BOTH}
    runs = run_pages(pages, workers=2, root=root)
    failed = {str(run.page): run.why for run in runs if run.why}
    assert set(failed) == {"fails × fashion/a", "fails × fashion/b"}, failed
    assert all("ZeroDivisionError" in why for why in failed.values()), failed
    lines = [line.split() for line in (root / "log").read_text().splitlines()]
    # b again, elsewhere; a, which was finished, not
    assert sorted(encoder for encoder, _ in lines) == ["fashion/a", "fashion/b", "fashion/b"]
    results = root / "data" / "results"
    tables = [(results / f"sweep-fashion-{x}" / "kills.csv").read_text() for x in "ab"]
    assert tables == BOTH and not list((results / ".runs").glob("*/*"))
    deadline = time.monotonic() + 60
    while any(alive(int(pid)) for _, pid in lines):
        assert time.monotonic() < deadline, "the kernel of the killed worker goes on"
        time.sleep(0.2)
    no_cluster()
    again = [page for page in pages if page.notebook == "kills"]
    assert all(run.reused for run in run_pages(again, root=root))
    (alone,), _ = resolve(
        "fashion", ["encoders=fashion/b", "profile=sweep-fashion-b"], "kills", root
    )
    assert alone.damage(root) is None, "the command of the summary runs the same page"


def test_an_existing_scheduler_is_used_and_goes_on(root, tools, monkeypatch):
    tools["write_notebook"](root, "logs", PARAMETERS, LOG)
    tools["write_contents"](root, "logs")
    pages, _ = sweep_pages("fashion", BOTH, root=root)
    options = dict(n_workers=1, threads_per_worker=1, dashboard_address=":0", memory_limit=0)
    with LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        runs = run_pages(pages, scheduler=address, root=root)
        assert not any(run.why for run in runs) and cluster.status.name == "running"
        with (
            monkeypatch.context() as patched,
            pytest.raises(StudyError, match="find no `lib`, or another than this checkout's: tcp"),
        ):
            # another in every process
            patched.setattr(
                lib.run.runs, "find_spec", lambda _: SimpleNamespace(origin=os.getpid())
            )
            run_pages(pages, scheduler=address, force=True, root=root)
        cluster.scale(0)
        monkeypatch.setattr(lib.run.runs, "PATIENCE", 1)
        while cluster.scheduler.workers:
            time.sleep(0.1)
        with pytest.raises(StudyError, match="has no worker; start one in a checkout of this"):
            run_pages(pages, scheduler=address, force=True, root=root)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere:at:all"])
def test_a_scheduler_that_does_not_answer_is_one_paragraph(root, monkeypatch, address):
    monkeypatch.setattr(lib.run.runs, "PATIENCE", 1)
    with pytest.raises(StudyError, match=f"no Dask scheduler answers at {address}") as caught:
        run_pages(resolve("fashion", root=root)[0], scheduler=address, root=root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoders", "options", "expected"),
    [
        (["fashion/c"], {}, "unknown encoder 'fashion/c'"),
        ([], {}, "at least one encoder, got none"),
        (["fashion/a", "fashion.a"], {}, "differ in more than punctuation, got fashion/a"),
        (BOTH, {"notebooks": ["fisrt"]}, "unknown notebook 'fisrt' .*did you mean 'first'"),
        (BOTH, {"profile": "fashon"}, "unknown profile 'fashon'"),
    ],
)
def test_a_sweep_is_checked_before_anything_runs(root, encoders, options, expected):
    with pytest.raises(StudyError, match=expected):
        sweep_pages(**({"profile": "fashion", "encoders": encoders, "root": root} | options))


def test_no_worker_and_images_that_cannot_be_had_stop_everything_before_a_cluster(root, no_cluster):
    no_cluster()
    pages, _ = resolve("fashion", root=root)
    with pytest.raises(StudyError, match="at least one worker, got workers=0"):
        run_pages(pages, workers=0, root=root)
    page = Page("first", pages[0].parameters | {"dataset": "/nowhere"}, "custom")
    with pytest.raises(StudyError, match="^the images /nowhere cannot be used: expected a folder"):
        run_pages([page], root=root)


def test_only_what_changed_is_run_again(root, executions, tools, no_cluster):
    run = lambda **options: run_pages(resolve("fashion", root=root)[0], root=root, **options)  # noqa: E731
    assert [done.reused for done in run()] == [False, False]
    assert executions == ["first", "first_second"]
    tools["write_notebook"](root, "first_second", 'profile = "fashion"\nimages = 4', "1")
    assert [done.reused for done in run()] == [True, False]
    (root / "lib" / "tools" / "base.py").write_text("two = 3\n")
    assert [done.reused for done in run()] == [False, True]
    (root / "lib" / "tools" / "base.py").write_text("# words\ntwo = 3  # more\n")
    run(force=True)
    assert executions[4:] == ["first", "first_second"]
    no_cluster()
    assert all(done.reused for done in run())


FILES = ("build/notebooks/{}.ipynb", "data/results/{}.csv", "data/results/{}.json")


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "bit"])
def test_damaged_results_are_named_and_made_again(root, executions, capsys, path, damage):
    pages, _ = resolve("fashion", root=root)
    run_pages(pages, root=root)
    file = root / path.format("fashion/first")
    good = file.read_bytes()
    flipped = good[:9] + bytes([good[9] ^ 1]) + good[10:]
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "half": good[: len(good) // 2], "bit": flipped}[damage])
    capsys.readouterr()
    run_pages(pages, root=root)
    assert executions[2:] == ["first"] and pages[0].damage(root) is None
    if file.suffix != ".json" or damage != "gone":
        word = "gone" if damage == "gone" else "damaged"
        assert (
            f"first: {file.relative_to(root)} is {word}, computed again" in capsys.readouterr().out
        )


WAITS = """
import sys, time
from pathlib import Path
from lib.run.runs import held
root = Path(sys.argv[1])
with held(["custom"], root):
    with (root / "order").open("a") as order:
        order.write("b")
"""


def test_two_runs_into_one_folder_come_one_after_the_other(root):
    with held(["custom"], root), held(["custom"], root):  # again in one process is no matter
        command = [sys.executable, "-c", WAITS, str(root)]
        other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        said = other.stdout.readline()
        assert "waiting for another run that writes to data/results/custom" in said
        with held(["fashion"], root), (root / "order").open("a") as order:
            order.write("a")
    assert other.wait(60) == 0 and (root / "order").read_text() == "ab"
    other.stdout.close()


def test_pages_run_side_by_side(root, tools):
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
"""
    for name in ("left", "right"):
        tools["write_notebook"](root, name, f'profile: str = "fashion"\nname: str = "{name}"', meet)
    pages = [
        Page(name, {"profile": "fashion", "name": name}, "fashion") for name in ("left", "right")
    ]
    assert not any(run.why for run in run_pages(pages, workers=2, root=root))


def test_a_page_is_added_in_three_places(root, tools, executions):
    """A notebook, its claims, a line in the contents: it is in the book, in another profile and in
    the sweep."""
    profiles = root / "notebooks" / "profiles"
    (profiles / "other.yaml").write_text("shared: {profile: other, encoders: [fashion/b]}\n")
    run_pages(resolve("fashion", root=root)[0], root=root)

    tools["write_notebook"](root, "third", PARAMETERS, "1")
    (root / "book" / "claims.yaml").write_text(yaml.safe_dump([{"id": "N", "page": "third"}]))
    tools["write_contents"](root, "first", "first_second", "third")

    for profile, encoders in (("fashion", ["fashion/a"]), ("other", ["fashion/b"])):
        pages, _ = resolve(profile, root=root)
        assert [page.notebook for page in pages] == ["first", "first_second", "third"]
        assert pages[2].parameters == {"profile": profile, "encoders": encoders}
    run_pages(resolve("fashion", root=root)[0], root=root)
    assert executions == ["first", "first_second", "third"]
    swept, _ = sweep_pages("fashion", BOTH, root=root)
    assert [str(page) for page in swept if page.notebook == "third"] == [
        "third × fashion/a",
        "third × fashion/b",
    ]
