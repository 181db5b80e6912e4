"""Whoever has only the README comes from nothing to a chart of profiles by plan: its own blocks, run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from documents.site import ROOT
from helpers import LONGEST
from notebooks.kernels import environment, running_kernel

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = README[README.index("## See it work") : README.index("## On your project")]
# Where `mp-fetch` is, also where no environment was activated.
SCRIPTS = Path(sys.executable).parent


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", FIRST, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path):
    """A folder, and an environment with a home of its own and nothing of a project in it."""
    variables = environment(tmp_path, {"MPLCONFIGDIR": str(tmp_path / "matplotlib"), "HOME": str(tmp_path)})
    return tmp_path, variables | {"PATH": f"{SCRIPTS}:{variables['PATH']}"}


def test_a_script_of_ten_lines_ends_in_a_chart(place):
    pytest.importorskip("matplotlib")
    folder, variables = place
    (script,) = blocks("python")
    assert len(script.strip().splitlines()) <= 10
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=variables, check=True, timeout=LONGEST)
    assert (folder / "plans.png").read_bytes().startswith(b"\x89PNG")


def test_three_cells_of_a_notebook_end_in_a_chart(place):
    pytest.importorskip("matplotlib")
    folder, variables = place
    install, *cells = blocks("ipython")
    assert len(cells) == 2
    assert install.startswith("%pip install")
    with running_kernel(folder, variables) as kernel:
        fetched, chart = map(kernel.run, cells)
    assert not fetched.error
    assert "complete" in fetched.html[-1]
    assert not chart.error
    assert "image/png" in chart.kinds


def test_three_commands_end_in_a_chart(place):
    folder, variables = place
    script, *_ = blocks("sh")
    assert re.findall(r"^\s*(pip install|mp-fetch \w+)|&& (mp-fetch \w+)", script, re.MULTILINE) == [
        ("pip install", ""),
        ("", "mp-fetch demo"),
        ("mp-fetch sql", ""),
    ]
    # It is installed already, and need not imitate how slow a server is.
    script = script.replace("pip install . && mp-fetch demo", "mp-fetch demo --profiles 12000 --latency 0")
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=variables, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert done.returncode == 0, done.stderr
    bars = [line.count("█") for line in done.stdout.splitlines() if "█" in line]
    assert len(bars) >= 3
    assert bars == sorted(bars, reverse=True)
