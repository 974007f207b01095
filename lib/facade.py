"""Packages that hand on names of their modules, each module imported when a name of it is used."""

import ast
import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType


class Facade(ModuleType):
    """A package whose ``__init__`` lists, under ``if TYPE_CHECKING:``, what it hands on."""

    @cached_property
    def handed_on(self) -> dict[str, str]:
        """Names -> the modules that define them, read from the source of the package."""
        blocks = [
            n for n in ast.parse(Path(self.__file__).read_text("utf-8")).body if type(n) is ast.If
        ]
        lines = [line for block in blocks for line in block.body]
        return {alias.name: line.module for line in lines for alias in line.names}

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or name not in self.handed_on:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(self.handed_on[name]), name)

    def __setattr__(self, name: str, value: object) -> None:
        """An imported module becomes an attribute of its package, unless the package hands on what
        the module defines under the same name."""
        if not isinstance(value, ModuleType) or self.handed_on.get(name) != value.__name__:
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple:
        """Like any module, by name: a function that uses a facade can go to another process."""
        return import_module, (self.__name__,)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.handed_on})


def hand_on(package: str) -> None:
    """Let ``from package import name`` import the one module that defines the name.

    So ``from lib.probes import attention_distance`` is the function, whether or not the module of
    that name has been imported before; ``from lib.probes.attention_distance import …`` works too.

    Args:
        package: whose ``__init__`` calls this, as its last statement.
    """
    sys.modules[package].__class__ = Facade
