"""The command line: what it passes on, and that a mistake is one line with exit code 2."""

import subprocess
import sys

import pytest

import lib.study.execute
from lib.study.__main__ import main
from lib.study.errors import StudyError
from lib.study.layout import ROOT


@pytest.fixture
def calls(monkeypatch):
    seen = []
    monkeypatch.setattr(lib.study.execute, "run_profile", lambda *args, **kwargs: seen.append((args, kwargs)))
    return seen


def test_arguments_may_stand_in_any_order(calls):
    assert main(["run", "notebooks/first.ipynb", "images=3", "--force", "encoders=a b", "--profile", "small", "seed=1"]) == 0
    assert main(["profile", "--force", "fashion", "images=3"]) == 0
    assert main(["run", "first"]) == 0
    assert calls == [
        (("small", ["images=3", "encoders=a b", "seed=1"], "first"), {"force": True}),
        (("fashion", ["images=3"], None), {"force": True}),
        (("fashion", [], "first"), {"force": False}),
    ]


@pytest.mark.parametrize("argv", [["run"], ["run", "first", "--forse"], ["run", "first", "--force", "second"], ["walk"]])
def test_a_bad_command_line_is_refused(calls, argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2 and calls == [] and "usage: python -m lib.study" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code", "message"), [(StudyError("what to do"), 2, "what to do\n"), (KeyboardInterrupt(), 130, "interrupted")])
def test_mistakes_and_interruptions_leave_no_stack_trace(monkeypatch, capsys, error, code, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(lib.study.execute, "run_profile", fail)
    assert main(["profile", "fashion"]) == code
    assert capsys.readouterr().err.startswith(message)


def test_the_module_runs_and_help_says_where_results_go():
    done = subprocess.run([sys.executable, "-m", "lib.study", "run", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "data/results/custom" in done.stdout
    done = subprocess.run([sys.executable, "-m", "lib.study", "profile", "fashon"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "did you mean 'fashion'" in done.stderr
