"""The notebooks of the docs run from the first cell to the last, and what is stored of them is what they show."""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pandas")

from helpers import LONGEST
from notebooks.notebooks import FOLDER, NAMES, kinds, stored

REFRESH = Path(__file__).with_name("refresh.py")


def test_there_are_three():
    assert NAMES == ["events-and-profiles", "first-steps", "when-it-breaks"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Run anew, side by side, in processes of their own, whose event loops and sockets end with them."""
    folder = tmp_path_factory.mktemp("fresh")
    with ExitStack() as stack:
        runs = [
            stack.enter_context(subprocess.Popen([sys.executable, REFRESH, name, folder], stderr=PIPE, text=True))
            for name in NAMES
        ]
        for run in runs:
            stack.callback(run.kill)
        for run in runs:
            _, errors = run.communicate(timeout=LONGEST)
            assert run.returncode == 0, errors
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_and_shows_what_is_stored(name, fresh):
    assert kinds(stored(name, fresh)) == kinds(stored(name)), "run tests/notebooks/refresh.py"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_names_no_machine_and_no_errors(name):
    text = (FOLDER / f"{name}.ipynb").read_text()
    assert not re.search(r"/(home|root|tmp|Users|work)\b|Traceback|\\r|\\u001b|[Ww]arning", text)
    counts = [cell.execution_count for cell in stored(name).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_its_page_has_a_screenshot_for_light_and_for_dark(name, scheme):
    picture = FOLDER / f"{name}-{scheme}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
