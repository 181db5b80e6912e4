"""What each test here has: a database that is fetched into, and the file that is published into."""

import pytest


@pytest.fixture
def work(tmp_path):
    return str(tmp_path / "work.duckdb")


@pytest.fixture
def other(tmp_path):
    return str(tmp_path / "other.duckdb")
