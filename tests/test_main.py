"""The command line: what it passes on, and that a mistake is one line with exit code 2."""

import os
import signal
import subprocess
import sys
import time

import pytest

import lib.run.profiles
import lib.run.runs
from lib.__main__ import main
from lib.paths import ROOT
from lib.run.errors import StudyError


@pytest.fixture
def calls(monkeypatch):
    seen = []
    monkeypatch.setattr(
        lib.run.profiles, "resolve", lambda *given, **named: (seen.append((*given, *named)), {})
    )
    monkeypatch.setattr(lib.run.runs, "run_pages", lambda pages, *given: seen.append(given) or [])
    return seen


def test_arguments_may_stand_in_any_order(calls):
    line = "run notebooks/first.ipynb images=3 --force encoders=a,b --profile small seed=1"
    assert main(line.split()) == 0
    assert main(["run", "first", "--workers", "3", "--scheduler", "tcp://a"]) == 0
    assert calls == [
        ("small", ["images=3", "encoders=a,b", "seed=1"], "first"),
        (None, None, True),
        ("fashion", [], "first"),
        (3, "tcp://a", False),
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ["run"],
        ["run", "first", "--forse"],
        ["run", "first", "--force", "second"],
        ["sweep", "--encoders", "a", "images=3"],
        ["walk"],
    ],
)
def test_a_bad_command_line_is_refused(calls, argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and calls == [] and "usage: python -m lib" in said


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(StudyError("what to do"), 2, "what to do\n"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_mistakes_and_interruptions_leave_no_stack_trace(monkeypatch, capsys, error, code, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(lib.run.profiles, "resolve", fail)
    assert main(["run", "first"]) == code
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_ends_as_an_interruption_does(monkeypatch, number):
    ended = []

    def endless(*_, **__):
        try:
            os.kill(os.getpid(), number)
            time.sleep(30)
        finally:
            ended.append(True)

    monkeypatch.setattr(lib.run.profiles, "resolve", endless)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught:
        main(["run", "first"])
    assert caught.value.code == 128 + number and ended == [True]
    assert signal.getsignal(number) == before


def test_the_module_runs_and_help_says_where_results_go():
    command = [sys.executable, "-m", "lib", "run"]
    done = subprocess.run(
        [*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "data/results/custom" in done.stdout
    done = subprocess.run(
        [*command, "first", "--profile", "fashon"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "did you mean 'fashion'" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("book WORKER=2", "book knows no WORKER=; did you mean WORKERS=?"),
        ("run NOTEBOOK=a SEED=1", "run knows no SEED="),
        ("sweep ENCODERS=a NOTEBOOK=b", "did you mean NOTEBOOKS=?"),
        ("adopt SOURCE=a NAME=b HEAD=3", "did you mean HEADS=?"),
        ("pretrain METHOD=a SEEDS=3", "did you mean SEED=?"),
        ("test NAME=a", "test knows no NAME="),
        ("bench DEVICE=cpu", "bench knows no DEVICE="),
    ],
)
def test_make_refuses_a_variable_that_it_would_not_read(command, said):
    make = ["make", "-n", "-o", ".venv/installed", *command.split()]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and "python -m" not in done.stdout


@pytest.mark.parametrize("target", ["book DRY=1", "adopt SOURCE=a NAME=b", "pretrain METHOD=mae"])
def test_make_hands_the_device_on_as_it_was_given(target):
    make = ["make", "-o", ".venv/installed", *target.split(), "DEVICE=$(shell id)"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "got '$(shell id)'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "dry"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_flag_of_make_can_say_no(given, dry):
    make = ["make", "-n", "-o", ".venv/installed", "book", f"DRY={given}"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ("--dry" in done.stdout) == dry
