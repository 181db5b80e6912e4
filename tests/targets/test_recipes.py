"""Every recipe of the page on targets runs, with the names of its hosts and folders replaced by those of the test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from mixpanel_duckdb.simulator import EventPopulation, Population, RawExport, Simulator
from targets.engines import EXTENSIONS, setup_text
from targets.postgres import LOADER, PASSWORD

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
SECTIONS = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
RECIPES = [
    pytest.param(re.findall(r"^```(sh|py|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE), id=heading)
    for heading, text in SECTIONS
    if re.search(r"^```(sh|py|python)\n", text, re.MULTILINE)
]
JOBS = (
    '[defaults]\nif_exists = "replace"\n[[profiles]]\ntable = "app_one"\n[[profiles]]\ntable = "app_two"\nlimit = 5\n'
)


@pytest.fixture
def place(tmp_path, postgres, storage, monkeypatch):
    """A folder as the page supposes it; gives what stands for the names on it."""
    lake, crm = postgres.database(), postgres.database()
    (tmp_path / "setup.sql").write_text(setup_text(EXTENSIONS))
    (tmp_path / "targets.sql").write_text(setup_text(EXTENSIONS) + storage.secret)
    (tmp_path / "projects.toml").write_text(JOBS)
    duckdb.connect(tmp_path / "team.duckdb").close()
    # What a user's DuckDB loads by itself.
    (tmp_path / "sitecustomize.py").write_text(
        "import duckdb\n_connect = duckdb.connect\n"
        "def connect(*rest, **more):\n"
        "    connection = _connect(*rest, **more)\n"
        f"    connection.execute({setup_text(EXTENSIONS)!r})\n"
        "    return connection\n"
        "duckdb.connect = connect\n"
    )
    (tmp_path / "mp-fetch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mixpanel_duckdb "$@"\n')
    (tmp_path / "mp-fetch").chmod(0o700)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return {
        "dbname=lake host=db user=loader": postgres.place(lake, LOADER),
        "dbname=crm host=db user=loader": postgres.place(crm, LOADER),
        "/srv/lake/": f"{tmp_path}/lake/",
        "s3://lake/": f"s3://lake/{tmp_path.name}/",
        "file://iceberg": f"file://{tmp_path}",
    }


@pytest.mark.parametrize("steps", RECIPES)
def test_a_recipe_works(steps, place, tmp_path):
    events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 20))
    with Simulator(Population(60, seed=1), events=events) as sim:
        env = {
            **os.environ,
            **sim.environment(),
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(tmp_path),
        }
        for language, text in steps:
            code = re.sub("|".join(map(re.escape, place)), lambda name: place[name[0]], text)
            program = ["sh", "-e", "-c", code] if language == "sh" else [sys.executable, "-W", "ignore", "-c", code]
            for _ in range(2 if language == "sh" else 1):  # every night
                done = subprocess.run(program, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stdout + done.stderr
