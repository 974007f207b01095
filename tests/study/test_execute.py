"""Running, reusing and failing; the first tests start a kernel each, the others use a stand-in."""

import json
import os
from pathlib import Path

import nbformat
import papermill
import pytest

from lib.study.errors import StudyError
from lib.study.execute import run_notebook, run_profile
from lib.study.layout import executed_notebook, record_path


def files(root) -> dict[str, bytes]:
    """Everything that runs have written."""
    folders = [root / "build", root / "data" / "results"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_parameters_reach_the_notebook_and_a_second_run_takes_no_kernel(root, monkeypatch, capsys):
    run = run_profile("fashion", ["images=21", "scale=2", "encoders=fashion/a fashion/b", "quick=true"], "first", root)[0]
    assert [path.name for path in run.tables] == ["first.csv"] and run.notebook == executed_notebook("custom", "first", root)
    assert run.tables[0].read_text().splitlines()[1] == "42,2.0,True,fashion/a fashion/b"
    written = files(root)
    assert sorted(written) == ["build/notebooks/custom/first.ipynb", "data/results/custom/first.csv", "data/results/custom/first.json"]
    assert not any(str(root).encode() in content for content in written.values())
    record = json.loads(written["data/results/custom/first.json"])
    assert record["parameters"]["images"] == 21 and record["commit"] == "unknown" and record["versions"]["papermill"] == papermill.__version__
    assert sorted(record["outputs"]) == sorted(written)[:2]

    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: pytest.fail("executed again"))
    again = run_profile("fashion", ["quick=true", "encoders=fashion/a,fashion/b", "scale=2.0", "images=21"], "first", root)[0]
    assert again.reused and again.tables == run.tables and files(root) == written
    assert "first: unchanged" in capsys.readouterr().out


def test_a_failed_notebook_is_named_and_previous_results_stay(root, tools, executions, monkeypatch):
    run_notebook("first_second", {}, "fashion", root)
    written = files(root)
    monkeypatch.undo()  # from here on the real papermill
    writes = "open(f'data/results/{profile}/first_second.csv', 'w').close()\nopen(f'data/results/{profile}/first_second.more.csv', 'w').close()"
    tools["write_notebook"](root, "first_second", 'profile = "fashion"\nimages = 4', writes, "1 / 0  # after the tables")
    with pytest.raises(StudyError) as caught:
        run_notebook("first_second", {}, "fashion", root)
    message = "notebook first_second failed in cell 4 of 4, which begins `1 / 0 # after the tables`: ZeroDivisionError: division by zero. Results of"
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert files(root) == written  # no half-written table, no notebook with papermill's red banner, no temporary file


@pytest.mark.skipif(os.name == "nt", reason="kernels are reached by TCP on Windows")
@pytest.mark.parametrize(
    ("last", "expected"),
    [("pass", None), ("1 / 0", "failed in cell 3 of 3.*ZeroDivisionError"), ("os.kill(os.getpid(), 9)", "failed: its Python process ended, often for lack of memory")],
)
def test_a_kernel_is_reached_by_socket_files_which_go_with_it(root, tools, monkeypatch, last, expected):
    (root / ("long" * 30)).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(root / ("long" * 30)))  # too long for a socket
    code = "import os, ipykernel\nfrom pathlib import Path\nfile = Path(ipykernel.get_connection_file())\n"
    listed = "Path('kernel').write_text('\\n'.join([file.read_text().replace('\\n', ''), *map(str, file.parent.iterdir())]))\n"
    tools["write_notebook"](root, "first_second", 'profile = "fashion"\nimages = 4', code + listed + last)
    if expected:
        with pytest.raises(StudyError, match=expected):
            run_notebook("first_second", {}, "fashion", root)
    else:
        run_notebook("first_second", {}, "fashion", root)
    facts, *paths = (root / "kernel").read_text().splitlines()
    assert json.loads(facts)["transport"] == "ipc" and len(paths) == 6 and not any(Path(path).parent.exists() for path in paths)


def test_nothing_is_executed_if_any_notebook_is_refused(root, executions, tools):
    tools["write_notebook"](root, "first_second", 'profile = "fashion"\nimages = 4\nhalf = images / 2')
    with pytest.raises(StudyError, match="first_second"):
        run_profile("fashion", root=root)
    for assignments in (["image=3"], ["images=x"], ["encoders=fashion/c"]):
        with pytest.raises(StudyError):
            run_profile("fashion", assignments, "first", root)
    assert executions == [] and files(root) == {}


def test_only_what_changed_is_run_again(root, executions, tools):
    run_profile("fashion", root=root)
    assert executions == ["first", "first_second"]
    run_profile("fashion", root=root)
    assert len(executions) == 2
    tools["write_notebook"](root, "first_second", 'profile = "fashion"\nimages = 4', "1")
    run_profile("fashion", root=root)
    assert executions[2:] == ["first_second"]
    (root / "lib" / "tools" / "base.py").write_text("two = 3\n")
    run_profile("fashion", root=root)
    assert executions[3:] == ["first"]
    run_profile("fashion", root=root, force=True)
    assert executions[4:] == ["first", "first_second"]


@pytest.mark.parametrize("path", ["build/notebooks/fashion/first.ipynb", "data/results/fashion/first.csv", "data/results/fashion/first.json"])
@pytest.mark.parametrize("change", ["remove", "edit"])
def test_results_that_were_changed_or_removed_are_made_again(root, executions, path, change):
    run_profile("fashion", root=root)
    if change == "remove":
        (root / path).unlink()
    else:
        (root / path).write_text("[1]")
    run_profile("fashion", root=root)
    assert executions[2:] == ["first"]


def test_other_parameters_leave_the_published_results_alone(root, executions):
    run_profile("fashion", root=root)
    published = files(root)
    run_profile("fashion", ["images=9"], root=root)
    assert published.items() <= files(root).items() and "data/results/custom/first.csv" in files(root)
    with pytest.raises(StudyError, match="give both the same"):
        run_notebook("first", {"profile": "fashion"}, "custom", root)


def test_a_table_that_is_no_longer_written_goes(root, executions):
    stale = root / "data" / "results" / "fashion" / "first.claims.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("old\n")
    run = run_notebook("first", {}, "fashion", root)
    assert [path.name for path in run.tables] == ["first.csv"] and not stale.exists()
    assert "claims" not in record_path("fashion", "first", root).read_text()


def test_a_failed_notebook_does_not_prevent_the_others(root, executions, monkeypatch):
    stand_in = papermill.execute_notebook

    def fails_first(source, target, **kwargs):
        stand_in(source, target, **kwargs)
        if source.stem == "first":
            raise papermill.PapermillExecutionError(3, 3, "x = 1\ny", "NameError", "name 'y'\nis not defined", [])

    monkeypatch.setattr(papermill, "execute_notebook", fails_first)
    with pytest.raises(StudyError, match=r"^1 of 2 notebooks failed: notebook first failed in cell 3 of 3, which begins `x = 1`: NameError: name 'y' is not"):
        run_profile("fashion", root=root)
    assert executions == ["first", "first_second"]
    written = ["build/notebooks/fashion/first_second.ipynb", "data/results/fashion/first_second.csv", "data/results/fashion/first_second.json"]
    assert sorted(files(root)) == written


def test_an_interruption_keeps_the_previous_results(root, executions, monkeypatch):
    run_profile("fashion", root=root)
    written = files(root)

    def interrupted(source, target, cwd, **_):
        (cwd / "data" / "results" / "fashion" / "first.csv").write_text("half")
        nbformat.write(nbformat.v4.new_notebook(), target)
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_profile("fashion", root=root, force=True)
    assert files(root) == written
