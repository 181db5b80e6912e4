"""Examples run, and every public name says what it is for."""

import doctest
import importlib
import inspect
import os
import pkgutil
from unittest.mock import patch

import pytest

import mixpanel_duckdb

MODULES = ["mixpanel_duckdb"] + [
    found.name
    for found in pkgutil.walk_packages(mixpanel_duckdb.__path__, "mixpanel_duckdb.")
    if not found.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):  # an example may set what the next test must not see
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are_for(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", [name for name in mixpanel_duckdb.__all__ if name != "__version__"])
def test_public_names_say_what_they_are_for(name):
    found = getattr(mixpanel_duckdb, name)
    assert found.__doc__
    assert not found.__doc__.startswith(f"{name}("), "dataclass made this up"
    if not inspect.isclass(found):
        return
    for attribute, value in vars(found).items():
        member = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{name}.{attribute}"


def test_public_names_are_sorted_and_there():
    assert sorted(mixpanel_duckdb.__all__) == mixpanel_duckdb.__all__
    assert all(hasattr(mixpanel_duckdb, name) for name in mixpanel_duckdb.__all__)


def test_the_examples_are_many():
    finder = doctest.DocTestFinder()
    examples = sum(len(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert examples > 50
