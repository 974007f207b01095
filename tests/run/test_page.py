"""Running one page: with a real kernel where the kernel matters, else with a stand-in."""

import json
import multiprocessing
import os
import random
import time
from pathlib import Path

import nbformat
import papermill
import pytest

from lib.run.environment import kernel_environment
from lib.run.errors import StudyError
from lib.run.layout import executed_notebook, record_path
from lib.run.page import Page, run_page, settle, staging
from lib.run.parameters import check_parameters
from lib.run.runs import held

PARAMETERS = 'profile: str = "fashion"\nimages: int = 4'
TABLE = "import os\nopen(os.environ['STUDY_TABLES'] + '/first_second.csv', 'w').write(f'a\\n{images}\\n')"


def files(root) -> dict[str, bytes]:
    """Everything that runs have written, locks apart."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in (root / "build", root / "data" / "results")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def page_of(root, name="first_second", **given) -> Page:
    notebook = root / "notebooks" / f"{name}.ipynb"
    return Page(name, check_parameters(notebook, given, root), "fashion")


def test_parameters_reach_the_notebook_and_all_results_are_recorded(root):
    given = dict(images=21, scale=2, encoders=["fashion/a", "fashion/b"], quick=True)
    page = page_of(root, "first", **given)
    assert page.damage(root) == ""
    run_page(page, 1, root)
    assert page.damage(root) is None
    written = files(root)
    assert sorted(written) == [
        "build/notebooks/fashion/first.ipynb",
        "data/results/fashion/first.csv",
        "data/results/fashion/first.json",
    ]
    line = written["data/results/fashion/first.csv"].decode().splitlines()[1]
    assert line == "42,2.0,True,fashion/a fashion/b"
    assert not any(str(root).encode() in content for content in written.values())
    record = json.loads(written["data/results/fashion/first.json"])
    assert record["parameters"]["images"] == 21 and record["commit"] == "unknown"
    assert record["versions"]["papermill"] == papermill.__version__
    assert sorted(record["outputs"]) == sorted(written)[:2]
    assert not list(staging("fashion", root).glob("*"))


FAILURES = [
    (
        "1 / 0",
        "failed in cell 4 of 5, which begins `1 / 0`: ZeroDivisionError: division by zero. Re",
    ),
    ("import sys\nsys.exit(0)", "failed"),
    ("raise SystemExit", "failed"),
    ("import os\nos._exit(0)", "failed: its Python process ended, often for lack of memory"),
    ("import os\nos.kill(os.getpid(), 9)", "failed: its Python process ended, often for lack"),
]


@pytest.mark.parametrize(("last", "expected"), FAILURES, ids=[last for last, _ in FAILURES])
def test_a_failed_notebook_is_named_and_previous_results_stay(root, tools, last, expected):
    tools["write_notebook"](root, "first_second", PARAMETERS, TABLE)
    run_page(page_of(root), 1, root)
    written = files(root)
    tools["write_notebook"](root, "first_second", PARAMETERS, TABLE + "\nimages = 5", last, "1")
    with pytest.raises(StudyError) as caught:
        run_page(page_of(root), 1, root)
    assert str(caught.value).startswith(f"notebook first_second {expected}")
    assert "\n" not in str(caught.value) and files(root) == written


def test_cells_after_an_end_are_missed_wherever_it_stands(root, tools):
    tools["write_notebook"](root, "first_second", PARAMETERS, "import sys\nsys.exit()", TABLE)
    with pytest.raises(StudyError, match="first_second failed"):
        run_page(page_of(root), 1, root)
    assert files(root) == {}


SHELL = {
    "MPLBACKEND": "Agg",
    "MATPLOTLIBRC": "{folder}/matplotlibrc",
    "MPLCONFIGDIR": "{folder}",
    "HOME": "{folder}",
    "XDG_CONFIG_HOME": "{folder}",
    "PYTHONHASHSEED": "123",
    "PYTHONOPTIMIZE": "1",
    "PYTHONPATH": "{folder}",
    "PYTHONSTARTUP": "{folder}/startup.py",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "LC_ALL": "C",
    "LANG": "de_DE",
    "TZ": "Asia/Tokyo",
    "OMP_NUM_THREADS": "3",
    "MKL_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "3",
    "KMP_AFFINITY": "disabled",
    "ATEN_CPU_CAPABILITY": "default",
    "TORCH_DISABLE_ADDR2LINE": "1",
    "NVIDIA_TF32_OVERRIDE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "SOURCE_DATE_EPOCH": "1",
    "IPYTHONDIR": "{folder}",
    "JUPYTER_CONFIG_DIR": "{folder}",
    "JUPYTER_CONFIG_PATH": "{folder}",
    "JUPYTER_DATA_DIR": "{folder}",
    "JUPYTER_PATH": "{folder}",
    "PAPERMILL_X": "1",
    "DASK_X": "1",
    "STUDY_TABLES": "{folder}",
}
LOOK = """
import os, json, sys, locale, time
import matplotlib, matplotlib.pyplot as plt, numpy, torch
facts = {
    "backend": matplotlib.get_backend(), "size": plt.rcParams["figure.figsize"],
    "hash": hash("a"), "optimize": sys.flags.optimize, "utf8": sys.flags.utf8_mode,
    "path": [p for p in sys.path if "poison" in p], "time": time.tzname,
    "locale": locale.getpreferredencoding(), "threads": torch.get_num_threads(),
    "poisoned": "poisoned" in globals(),
    "left": sorted(k for k in os.environ if k in SHELL and k not in ("HOME",)),
    "values": {k: os.environ.get(k) for k in ("PYTHONHASHSEED", "LC_ALL", "TZ", "OMP_NUM_THREADS")},
}
figure = plt.figure()
figure.savefig(os.environ["STUDY_TABLES"] + "/first_second.png.csv", format="png")
open(os.environ["STUDY_TABLES"] + "/first_second.csv", "w").write(json.dumps(facts))
"""


def test_nothing_of_the_shell_reaches_a_page(root, tools, monkeypatch, tmp_path_factory):
    monkeypatch.setattr("lib.run.page.check_claims", lambda *_: None)  # its tables are none
    look = f"SHELL = {list(SHELL)}\n{LOOK}"
    tools["write_notebook"](root, "first_second", PARAMETERS, look)
    folder = root / "data" / "results" / "fashion"
    run_page(page_of(root), 2, root)
    clean = [(folder / f"first_second{end}.csv").read_bytes() for end in ("", ".png")]
    assert json.loads(clean[0])["threads"] == 2

    poison = tmp_path_factory.mktemp("poison")
    for name in ("matplotlibrc", ".config/matplotlib/matplotlibrc", "matplotlib/matplotlibrc"):
        (poison / name).parent.mkdir(parents=True, exist_ok=True)
        (poison / name).write_text("figure.figsize: 1, 1\n")
    for name in (
        "startup.py",
        "profile_default/startup/a.py",
        ".ipython/profile_default/startup/a.py",
    ):
        (poison / name).parent.mkdir(parents=True, exist_ok=True)
        (poison / name).write_text("poisoned = True\n")
    kernel = poison / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value.format(folder=poison))
    run_page(page_of(root), 2, root)
    assert os.environ["MPLBACKEND"] == "Agg" and os.environ["OMP_NUM_THREADS"] == "3"
    assert [(folder / f"first_second{end}.csv").read_bytes() for end in ("", ".png")] == clean


@pytest.mark.skipif(os.name == "nt", reason="kernels are reached by TCP on Windows")
def test_a_kernel_is_reached_by_socket_files_which_go_with_it(root, tools, monkeypatch):
    (root / ("long" * 30)).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root / ("long" * 30)))  # too long for a socket
    code = """
import ipykernel
from pathlib import Path
file = Path(ipykernel.get_connection_file())
Path("kernel").write_text("\\n".join([file.read_text().replace("\\n", ""), str(file)]))
"""
    tools["write_notebook"](root, "first_second", PARAMETERS, code)
    run_page(page_of(root), 1, root)
    facts, path = (root / "kernel").read_text().splitlines()
    assert json.loads(facts)["transport"] == "ipc" and not Path(path).parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="the folder is another on Windows")
def test_folders_of_killed_processes_are_swept(tmp_path):
    dead, mine = Path("/tmp/study-999999999-x"), Path(f"/tmp/study-{os.getppid()}-x")
    for folder in (dead, mine):
        folder.mkdir(exist_ok=True)
    with kernel_environment(tmp_path, 1):
        assert not dead.exists() and mine.exists()
        assert os.environ["STUDY_TABLES"] == str(tmp_path)
    mine.rmdir()


def test_a_table_that_is_no_longer_written_goes(root, executions):
    stale = root / "data" / "results" / "fashion" / "first.claims.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("old\n")
    (stale.parent / "first_second.csv").write_text("another page's\n")
    run_page(page_of(root, "first"), 1, root)
    assert not stale.exists() and (stale.parent / "first_second.csv").exists()
    assert "claims.csv" not in record_path("fashion", "first", root).read_text()


def test_a_claim_that_is_not_in_the_key_is_refused(root, tools):
    (root / "book" / "claims.yaml").write_text(
        "[{id: X, page: first_second}, {id: Y, page: first}]"
    )
    for name, ok in (("X", True), ("Y", False)):
        table = TABLE.replace("a\\\\n{images}", f"id\\\\n{name}")
        tools["write_notebook"](
            root, "first_second", PARAMETERS, table.replace("a\\n{images}", f"id\\n{name}")
        )
        if ok:
            run_page(page_of(root), 1, root)
        else:
            with pytest.raises(StudyError, match="judges Y, which book/claims.yaml does not give"):
                run_page(page_of(root), 1, root)


def test_an_interruption_keeps_the_previous_results(root, executions, monkeypatch):
    run_page(page_of(root, "first"), 1, root)
    written = files(root)

    def interrupted(source, target, **_):
        open(os.environ["STUDY_TABLES"] + "/first.csv", "w").write("half")
        nbformat.write(nbformat.v4.new_notebook(), target)
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_page(page_of(root, "first"), 1, root)
    assert files(root) == written


@pytest.mark.parametrize("steps", range(6))
def test_a_publication_that_was_stopped_is_finished_by_the_next(
    root, executions, monkeypatch, steps
):
    """Killed after so many of its moves."""
    run_page(page_of(root, "first"), 1, root)
    real, done = os.replace, []

    def replace(*paths):
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(real(*paths))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        try:
            run_page(page_of(root, "first", images=9), 1, root)
        except KeyboardInterrupt:
            assert steps < 3
    with held(["fashion"], root):
        pass
    assert page_of(root, "first", images=9).damage(root) is None
    assert not list(staging("fashion", root).glob("*")) and len(files(root)) == 3


def test_what_a_dead_run_left_is_swept(root, executions):
    folder = staging("fashion", root) / "first-x" / "tables"
    folder.mkdir(parents=True)
    (folder / "first.csv").write_text("half")
    empty = staging("fashion", root) / "first-y.ready"
    empty.mkdir()
    settle("fashion", root)
    assert not list(staging("fashion", root).glob("*")) and files(root) == {}


def run_on(root, images: int) -> None:
    """Run a page again and again, each time with one image more, in a process to be killed."""

    def quick(source, target, **given):
        for part in "abc":
            table = Path(os.environ["STUDY_TABLES"], f"first_second.{part}.csv")
            table.write_text(f"{given['parameters']['images']}\n")
        nbformat.write(nbformat.read(source, as_version=4), target)

    papermill.execute_notebook = quick
    while True:
        images += 1
        with held(["fashion"], root):
            run_page(page_of(root, images=images), 1, root)


def test_killed_at_random_moments_it_leaves_one_good_state(root, monkeypatch):
    """Twenty-four times, two processes at once that write to the same folder."""
    monkeypatch.setattr("lib.run.record.git_state", lambda root: {})
    moments, context = random.Random(0), multiprocessing.get_context("fork")
    for number in range(12):
        starts = [1000 * number + 500 * k + 1 for k in range(2)]
        running = [context.Process(target=run_on, args=(root, start)) for start in starts]
        for process in running:
            process.start()
        for process in running:
            time.sleep(moments.uniform(0.1, 0.4))
            process.kill()
            process.join()
        with held(["fashion"], root):
            record = record_path("fashion", "first_second", root)
            if record.is_file():
                images = json.loads(record.read_text())["parameters"]["images"]
                assert page_of(root, images=images).damage(root) is None
                tables = {p.read_text() for p in record.parent.glob("first_second.*.csv")}
                assert tables == {f"{images}\n"}
            assert not list(staging("fashion", root).glob("*"))
    assert record.is_file() and len(files(root)) == 5
    assert executed_notebook("fashion", "first_second", root).is_file()


def test_publish_moves_over_file_systems(root, executions, monkeypatch):
    """As where data and build are two disks: a rename is refused, a copy beside it is not."""
    real = os.replace

    def replace(source, target):
        if ".runs" in str(source):
            raise OSError("Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    run_page(page_of(root, "first"), 1, root)
    assert page_of(root, "first").damage(root) is None and len(files(root)) == 3
