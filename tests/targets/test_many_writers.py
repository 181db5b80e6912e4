"""Four projects at once, each in a process of its own, into one place, while a reader counts without pause.

One of them is killed at a random moment and run again. ``MP_TEST_ROUNDS=20`` does it so often on each kind.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, pages_asked
from mixpanel_duckdb.simulator import Behaviour, Latency, Limits, Population, Simulator
from targets.engines import SHARED, Engine, published
from targets.stepping import FORKS

ROUNDS = int(os.environ.get("MP_TEST_ROUNDS", "1"))
FREE = Limits(quota=None, concurrency=None)
TABLES = [f"app_{number}" for number in range(4)]


def count_all_the_time(kind: str, target: md.Target, stop: Any, found: Path) -> None:
    """Write down every count of every table that anybody can see, until it is enough."""
    seen: set[tuple[str, int]] = set()
    engine = Engine(kind, target)
    while not stop.is_set():
        try:
            connection = engine.connect()
        except duckdb.Error:  # it is not there yet, or being written: a DuckDB file has a reader or a writer
            continue
        with connection:
            for _ in range(20):
                for table in TABLES:
                    with contextlib.suppress(duckdb.CatalogException):
                        seen |= {
                            (table, many) for (many,) in connection.execute(f"SELECT count(*) FROM {table}").fetchall()
                        }
    found.write_text("\n".join(f"{table} {many}" for table, many in seen))


def command(sim: Simulator, folder: Path, number: int, target: md.Target) -> subprocess.Popen[str]:
    where = ["--into", target.name, "--setup", str(target.setup), "--union-view", "everybody", "--lock-wait", "120"]
    where += ["--into-data-path", target.data_path] if target.data_path else []
    program = [sys.executable, "-m", "mixpanel_duckdb", "profiles", TABLES[number], "-d", folder / f"{number}.duckdb"]
    return subprocess.Popen(
        [*program, "--page-size", str(PAGE), "--replace", "--allow-other", "--quiet", *where],
        env={**os.environ, **sim.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored_pages(database: Path) -> set[int]:
    """The pages of a fetch that has not been published."""
    records = md.list_fetches(database) if database.exists() else []
    return {
        index
        for each in records
        if not each.is_published
        for index in range(each.total_pages or 0)
        if index not in each.pages_missing
    }


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("kind", ["file", *SHARED])
def test_four_projects_at_once_end_complete_and_no_reader_sees_half_a_table(kind, seed, tmp_path, request):
    engine = Engine.made(kind, tmp_path, request.getfixturevalue("postgres") if kind in SHARED else None)
    rng = random.Random(f"{kind} {seed}")
    people = [Population(PAGE * rng.randrange(6, 12) + number, seed=rng.randrange(10**6)) for number in range(4)]
    before = [Population(2 * PAGE + number, seed=number) for number in range(4)] if seed % 2 else []
    for number, population in enumerate(before):
        published(population, tmp_path / f"{number}.duckdb", engine.target, table=TABLES[number])
    stop, found = FORKS.Event(), tmp_path / "seen"
    reader = FORKS.Process(target=count_all_the_time, args=(kind, engine.target, stop, found))
    reader.start()
    with contextlib.ExitStack() as stack:
        stack.callback(reader.join)
        stack.callback(stop.set)
        behaviour = Behaviour(latency=Latency(base=0.02, jitter=0.5), seed=seed)
        sims = [
            stack.enter_context(Simulator(each, limits=FREE, behaviour=behaviour, project_id=str(100 + number)))
            for number, each in enumerate(people)
        ]
        running = [command(sim, tmp_path, number, engine.target) for number, sim in enumerate(sims)]
        unlucky = rng.randrange(4)
        while not sims[unlucky].requests and running[unlucky].poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 1.0))
        running[unlucky].kill()
        running[unlucky].communicate()
        kept = stored_pages(tmp_path / f"{unlucky}.duckdb")
        asked = len(sims[unlucky].requests)
        running[unlucky] = command(sims[unlucky], tmp_path, unlucky, engine.target)
        for process in running:
            _, talk = process.communicate(timeout=LONGEST)
            assert process.returncode == 0, talk
        assert not kept & set(pages_asked(sims[unlucky].requests[asked:]))
    for table, population in zip(TABLES, people, strict=True):
        assert engine.rows(table) == engine.holding(population)
    projects = engine.sql("SELECT project_id, count(*) FROM everybody GROUP BY 1 ORDER BY 1")
    assert projects == [(str(100 + number), len(each)) for number, each in enumerate(people)]
    whole = {
        f"{table} {len(each)}"
        for all_of_them in (before, people)
        for table, each in zip(TABLES, all_of_them, strict=False)
    }
    assert set(found.read_text().splitlines()) <= whole
