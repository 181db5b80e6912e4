"""``--account``, ``--project``, ``--target`` without the SDK; tests/clients/test_headless_accounts.py has it."""

import subprocess
import sys
from importlib.util import find_spec

import pytest


@pytest.mark.parametrize("command", ["profiles", "plan"])
@pytest.mark.parametrize("other", [["--account", "team"], ["--project", "1"], ["--account", "team", "--project", "1"]])
def test_a_target_stands_alone(mp_fetch, simulator, command, other):
    done = mp_fetch(command, "--target", "prod", *other)
    assert (done.code, done.out) == (2, "")
    assert "--target stands for an account and a project; it excludes --account and --project." in done.err
    assert simulator.requests == []


@pytest.mark.skipif(find_spec("mixpanel_headless") is not None, reason="mixpanel-headless is installed")
@pytest.mark.parametrize("command", ["profiles", "plan"])
def test_a_name_needs_the_sdk_and_the_error_names_the_extra(mp_fetch, simulator, command):
    done = mp_fetch(command, "--account", "team")
    assert (done.code, done.out) == (3, "")
    assert done.err.endswith('need that package: pip install "mixpanel-duckdb[headless]"\n')
    assert simulator.requests == []
    assert not (mp_fetch.folder / "mixpanel.duckdb").exists()


def test_the_sdk_is_not_imported_without_one_of_its_names():
    code = (
        "import sys, mixpanel_duckdb.cli, mixpanel_duckdb.api; "
        "print([name for name in sys.modules if name.startswith('mixpanel_headless')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
