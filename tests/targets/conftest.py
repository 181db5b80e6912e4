"""Targets with their real engines: skipped with a reason where those cannot be had, but never where CI asks for them.

``.ci/run`` runs this folder with ``MP_TEST_TARGETS_PYTHON``, a Python with DuckDB 1.5.5 and packages of its extensions.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from targets.engines import EXTENSIONS, KINDS, SHARED, Engine, extension_files
from targets.object_storage import ObjectStorage
from targets.postgres import PostgresServer, programs

# Where nothing may be missing.
_ALL_HERE = sys.executable == os.environ.get("MP_TEST_TARGETS_PYTHON")


def _missing(reason: str) -> None:
    (pytest.fail if _ALL_HERE and os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="session", autouse=True)
def extensions() -> None:
    if len(extension_files()) < len(EXTENSIONS):
        _missing("needs the packages duckdb-extension-... of this DuckDB; see MP_TEST_TARGETS_PYTHON")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    folder = programs()
    if folder is None:
        _missing("needs PostgreSQL")
    server = PostgresServer(folder)
    yield server
    server.close()


@pytest.fixture(scope="session")
def storage() -> Iterator[ObjectStorage]:
    if importlib.util.find_spec("moto") is None:
        _missing("needs moto[server]")
    server = ObjectStorage()
    yield server
    server.close()


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    server = request.getfixturevalue("postgres") if request.param in SHARED else None
    return Engine.made(request.param, tmp_path, server)


@pytest.fixture
def work(tmp_path: Path) -> str:
    return str(tmp_path / "work.duckdb")
