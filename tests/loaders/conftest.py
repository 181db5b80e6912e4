"""Tools that run fetches on a schedule, each installed once into an environment of its own."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from clients.environments import UnavailableError, python_with

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dagster():
    return _python_with("dagster>=1.9,<2")


@pytest.fixture(scope="session")
def airflow():
    return _python_with("apache-airflow>=3,<4")


@pytest.fixture
def examples():
    """The Python blocks of the page, by the tool they are for, in order."""
    text = (ROOT / "docs" / "loaders.md").read_text()
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return {tool: re.findall(r"^```python\n(.*?)^```", part, re.DOTALL | re.MULTILINE) for tool, part in sections}


@pytest.fixture
def surroundings(tmp_path):
    """Environment variables for a process that knows this checkout and nothing of this machine's user."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MP_")},
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONDONTWRITEBYTECODE": "",
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "0",
    }


def _python_with(requirement):
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    try:
        return python_with(requirement, *own)
    except UnavailableError as reason:
        pytest.skip(f"{requirement} cannot be installed: {reason}")
