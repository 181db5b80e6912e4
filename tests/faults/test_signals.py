"""A real signal at any moment of the command, from exec to exit: SIGINT, SIGTERM, SIGKILL, with a new file each time.

None hangs, none leaves a lock or a wrong row, and the same command then completes exactly. ``MP_TEST_SIGNALS=500``
sends so many that can be heeded, ``MP_TEST_KILLS=100`` so many that cannot.
"""

import os
import random
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers import LONGEST, PAGE, committed, served, stored, tables
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import Behaviour, Latency, Limits, Population, Simulator

SIGNALS = int(os.environ.get("MP_TEST_SIGNALS", "30"))
KILLS = int(os.environ.get("MP_TEST_KILLS", "10"))
PAGES = 12
PEOPLE = Population(PAGE * PAGES - 7, seed=21)
# The first is for a signal that comes before Python, or the command, is there to heed it.
ENDS = {
    signal.SIGINT: {-signal.SIGINT, 128 + signal.SIGINT, 0},
    signal.SIGTERM: {-signal.SIGTERM, 128 + signal.SIGTERM, 0},
    signal.SIGKILL: {-signal.SIGKILL, 0},
}


# What Python itself says, with code 1, when Ctrl-C comes before it has begun with the command.
NOT_BEGUN = ("Could not import runpy module", "Fatal Python error: init")


def server() -> Simulator:
    # A server goes on for a while with requests whose client has gone, and counts them.
    limits = Limits(quota=None, concurrency=None)
    return Simulator(PEOPLE, limits=limits, behaviour=Behaviour(latency=Latency(base=0.02, jitter=0.5)))


def words(database: Path) -> list[str]:
    return ["profiles", "-d", str(database), "--page-size", str(PAGE)]


def start(sim: Simulator, database: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_duckdb", *words(database)],
        env={**os.environ, **sim.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@cache
def usual(folder: Path) -> float:
    """Seconds that the command takes here, from exec to exit."""
    with server() as sim:
        started = time.monotonic()
        process = start(sim, folder / "usual.duckdb")
        said, _ = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, said
        return time.monotonic() - started


@pytest.mark.parametrize("seed", range(SIGNALS))
def test_a_signal_at_any_moment_ends_the_command_and_the_next_one_completes(
    seed: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = random.Random(seed)
    code, said, sent = struck(rng.choice((signal.SIGINT, signal.SIGTERM)), rng, tmp_path, tmp_path_factory)
    if not said.startswith(NOT_BEGUN):
        assert code in ENDS[sent], said
        assert code < 0 or "Traceback" not in said, said


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_at_any_moment_leaves_a_file_that_the_next_run_completes(
    seed: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code, said, sent = struck(signal.SIGKILL, random.Random(seed), tmp_path, tmp_path_factory)
    assert code in ENDS[sent], said


def struck(
    sent: signal.Signals, rng: random.Random, folder: Path, factory: pytest.TempPathFactory
) -> tuple[int, str, signal.Signals]:
    """Send a signal at a random moment, look at what it leaves, and run the command again."""
    moment = rng.random() * 1.05 * usual(factory.getbasetemp())
    database = folder / "profiles.duckdb"
    with server() as sim:
        process = start(sim, database)
        time.sleep(moment)
        process.send_signal(sent)
        said, _ = process.communicate(timeout=LONGEST)
        kept = committed(str(database)) if database.exists() else set()
        if database.exists() and "profiles" in tables(str(database)):
            assert stored(str(database)) == served(PEOPLE), said
            return process.returncode, said, sent
        assert process.returncode != 0
        sim.clear_requests()
        again = CliRunner(env=sim.environment()).invoke(main, words(database))
        assert again.exit_code == 0, f"after {moment:.3f} s and {said!r}: {again.output}"
        assert sorted(each.page or 0 for each in sim.requests) == sorted(set(range(PAGES)) - kept)
    assert stored(str(database)) == served(PEOPLE)
    assert [each.name for each in folder.iterdir()] == [database.name]
    return process.returncode, said, sent
