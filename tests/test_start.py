"""An import and a help text are instant: nothing is loaded before it is used, and every name is there nevertheless."""

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import mixpanel_duckdb
from helpers import LONGEST
from house.rooms import ROOT

HEAVY = {"asyncio", "click", "duckdb", "httpx", "json", "logging", "pydantic", "rich", "typer"}
OF_A_COMMAND = {"asyncio", "duckdb", "httpx", "pydantic", "rich", "typer"}
SCRIPT = Path(sys.executable).with_name("mp-fetch")
COMPLETING = {"_MP_FETCH_COMPLETE": "bash_complete", "COMP_WORDS": "mp-fetch prof", "COMP_CWORD": "1"}


def loaded_by(code):
    """The modules that are there once some code has run, whatever it says meanwhile."""
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('\\n', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"sys_path = {sys.path!r}; import sys; sys.path[:] = sys_path\n{code}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_an_import_loads_nothing_heavy():
    assert not loaded_by("import mixpanel_duckdb") & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["profiles", "--help"], ["--version"], ["status", "--no-such-flag"]])
def test_a_help_text_loads_what_it_needs_and_no_more(words):
    loaded = loaded_by(f"from mixpanel_duckdb.cli import main; main({words!r})")
    assert "mixpanel_duckdb.cli" in loaded
    assert not loaded & OF_A_COMMAND


def test_the_names_that_load_late_are_those_that_type_checkers_see():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    early = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: f".{node.module}" for node in early.body for alias in node.names}
    late = {name: room for room, names in mixpanel_duckdb._ROOMS.items() for name in names.split()}
    assert late == seen
    assert {*seen, "__version__"} == set(mixpanel_duckdb.__all__)
    assert mixpanel_duckdb.__all__ == sorted(mixpanel_duckdb.__all__)


def test_every_name_is_offered_and_comes_with_star():
    assert set(mixpanel_duckdb.__all__) <= set(dir(mixpanel_duckdb))
    space = {}
    exec("from mixpanel_duckdb import *", space)
    assert set(mixpanel_duckdb.__all__) <= set(space)
    with pytest.raises(AttributeError, match="'mixpanel_duckdb' has no attribute 'fetch_everything'"):
        mixpanel_duckdb.fetch_everything  # noqa: B018


def test_a_shell_completes_commands_and_flags():
    environment = {**os.environ, **COMPLETING}
    said = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert said.stdout == "plain,profiles\n"
    environment |= {"COMP_WORDS": "mp-fetch profiles --par", "COMP_CWORD": "2"}
    said = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert said.stdout == "plain,--parallel\n"


def seconds(words, **environment):
    """Processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, env={**os.environ, **environment}, capture_output=True, check=True, timeout=LONGEST)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.timed
def test_an_import_a_help_text_and_a_completion_are_instant_beside_pythons_own_start():
    rounds = [
        (
            seconds([sys.executable, "-c", "pass"]),
            seconds([sys.executable, "-c", "import click"]),
            seconds([sys.executable, "-c", "import mixpanel_duckdb"]),
            seconds([SCRIPT, "--help"]),
            seconds([SCRIPT], **COMPLETING),
        )
        for _ in range(9)
    ]
    click, imported, helped, completed = (median(each[i] - each[0] for each in rounds) for i in (1, 2, 3, 4))
    # Promised for a machine that imports click in 30 ms; where that takes longer, so does all else.
    slower = max(1.0, click / 0.03)
    assert imported < slower * 0.05, rounds
    assert helped < slower * 0.15, rounds
    assert completed < slower * 0.15, rounds


def test_a_command_collects_garbage_again_when_it_has_loaded_the_library(tmp_path):
    program = (
        "import gc\nfrom mixpanel_duckdb.cli import main\ntry: main(['status', '-d', 'nowhere.duckdb'])\n"
        "except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 50_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST, check=True
    )
    assert done.stdout == "True True\n"
