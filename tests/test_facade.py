"""Packages hand on names, and ``from package import name`` imports no more than it needs."""

import pickle
import subprocess
import sys
from importlib import import_module

import cloudpickle
import pytest

from lib.facade import Facade
from lib.kept.code import find_module, read_module
from lib.paths import ROOT

FACADES = ("attribution", "data", "encoders", "pretrain", "probes", "report")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("package", FACADES)
def test_each_name_is_that_of_the_module_that_defines_it(package):
    """And both readers of the list agree: the one that imports, and the one that makes keys."""
    facade = import_module(f"lib.{package}")
    assert type(facade) is Facade and len(facade.handed_on) >= 4
    by_key = read_module(find_module(f"lib.{package}")).facade
    assert by_key == {name: (module, name) for name, module in facade.handed_on.items()}
    for name, module in facade.handed_on.items():
        value = getattr(facade, name)
        assert value is vars(sys.modules[module])[name], name
        assert name in dir(facade) and getattr(value, "__module__", module) in (module, "pathlib")
    with pytest.raises(AttributeError, match=f"'lib.{package}' has no attribute 'nothing'"):
        facade.nothing


@pytest.mark.parametrize(
    "before",
    [
        "",
        "from lib.probes.attention_distance import patch_distances",
        "import lib.probes.attention_distance",
        "from lib.probes import attention_map, uniform_attention_distance",
        "import importlib; importlib.import_module('lib.probes.attention_distance')",
    ],
)
def test_a_function_goes_before_the_module_of_its_name(before):
    """Whatever was imported before and after it."""
    code = f"""{before}
from lib.probes import attention_distance
from lib.probes.attention_distance import attention_distance as same, patch_distances
import lib.probes
print(attention_distance is same is lib.probes.attention_distance, callable(same))"""
    assert run(code) == "True True"


def test_what_replaces_a_name_in_its_module_is_what_the_package_hands_on(monkeypatch):
    from lib import probes

    assert probes.measure is not None  # asked for before
    monkeypatch.setattr(sys.modules["lib.probes.measure"], "measure", 7)
    assert probes.measure == 7


def test_a_module_without_a_namesake_is_imported_as_ever():
    assert run("from lib.attribution import controls; print(controls.__name__)") == (
        "lib.attribution.controls"
    )


def test_a_package_imports_nothing_until_it_is_used():
    packages = ", ".join(FACADES)
    loaded = run(f"import sys; from lib import {packages}; print(*sys.modules)").split()
    assert not {"torch", "numpy", "matplotlib", "timm"} & set(loaded)
    assert {name for name in loaded if name.startswith("lib.")} == {
        "lib.facade",
        *(f"lib.{package}" for package in FACADES),
    }
    loaded = run("import sys; from lib.report import two_thirds; print(*sys.modules)").split()
    assert "lib.report.statistics" in loaded and "lib.report.figures" not in loaded


def test_what_uses_a_facade_can_go_to_another_process():
    """As a notebook's own function does with Dask or joblib."""
    from lib import probes

    assert pickle.loads(pickle.dumps(probes)) is probes
    name = pickle.loads(cloudpickle.dumps(lambda: probes.attention_distance.__name__))
    assert name() == "attention_distance"
