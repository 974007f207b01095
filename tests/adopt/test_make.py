"""What is given to make reaches the command as it is: neither make nor the shell runs any."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
HOSTILE = [
    "a b", "it's", 'a"b', "`touch bad`", "$(touch bad)", "$(shell touch bad)", "$HOME", "${HOME}",
    "a; touch bad", "&& touch bad", "| touch bad", "> bad", "$$", "*", "a\\b", "#a",
    "$(SOURCE)", "~", "!x",
]  # fmt: skip


@pytest.fixture
def make(tmp_path):
    """Run make in a folder whose python prints its arguments, one a line."""
    shutil.copy(MAKEFILE, tmp_path)
    for path in (tmp_path / "requirements.lock", tmp_path / ".venv/installed"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir()
    python.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    before = set(tmp_path.rglob("*"))

    def run(*arguments, **environment):
        done = subprocess.run(
            ["make", "-s", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        assert set(tmp_path.rglob("*")) == before, "something was run"
        return done

    return run


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize("value", HOSTILE)
def test_values_arrive_as_they_are(make, value):
    done = make("adopt", f"SOURCE={value}", f"NAME={value}", f"ARCH={value}")
    assert done.stdout.split("\n")[1:-1] == [
        "lib.adopt",
        value,
        f"--name={value}",
        f"--arch={value}",
    ]
    for target, variable in (("run", "NOTEBOOK"), ("sweep", "ENCODERS")):
        assert value in make(target, f"{variable}={value}", f"PROFILE={value}").stdout.split("\n")
    assert value in make("pretrain", f"METHOD={value}").stdout.split("\n")
    assert f"--data={value}" in make("book", f"DATA={value}").stdout.split("\n")


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_words_options_and_what_is_missing(make):
    done = make("run", "NOTEBOOK=a", "PARAMETERS=images=64 seed=1", "FORCE=1")
    assert done.stdout.split() == "-m lib run a --profile fashion --force images=64 seed=1".split()
    assert make("book", "DRY=1").stdout.split() == "-m lib book --profile fashion --dry".split()
    assert "--arch=x" not in make("adopt", "SOURCE=a", "NAME=b", ARCH="x").stdout
    done = make("adopt", "SOURCE=a")
    assert done.returncode == 2 and "NAME is missing" in done.stderr
