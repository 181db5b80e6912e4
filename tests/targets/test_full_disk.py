"""A disk that fills up while a table is published: the old one stays, and the next call needs no request.

Skipped where no file system of a few megabytes can be had; that takes root.
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import fetch
from mixpanel_duckdb.simulator import Population, Simulator
from targets.engines import Engine, published
from targets.postgres import PostgresServer, programs

BEFORE, AFTER = Population(60, seed=1), Population.uniform(4000, profile_bytes=2000)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system, where the server's user comes to, too."""
    folder = Path(tempfile.mkdtemp(prefix="mp-small-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "none", str(folder)]
    try:
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("no size-limited file system can be had here")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()


@pytest.fixture
def own_server(small_disk: Path) -> Iterator[Callable[[], PostgresServer]]:
    """Start a server that may lose its disk, and end it before that."""
    with contextlib.ExitStack() as stack:

        def start() -> PostgresServer:
            server = PostgresServer(programs())
            stack.callback(server.close)
            return server

        yield start


def fill(file: Path, *, but: int) -> None:
    """Write a file that takes all the room of its file system, but for so many bytes."""
    free = os.statvfs(file.parent)
    file.write_bytes(bytes(free.f_bavail * free.f_frsize - but))


@pytest.mark.parametrize("kind", ["file", "ducklake", "ducklake:postgres", "postgres"])
def test_a_full_disk_leaves_the_old_table_and_the_next_call_publishes_without_a_request(
    kind, small_disk, tmp_path, postgres, own_server
):
    if kind == "postgres":
        postgres = own_server()
    engine, work = Engine.made(kind, small_disk, postgres), str(tmp_path / "work.duckdb")
    if kind == "postgres":
        (small_disk / "space").mkdir(mode=0o777)
        postgres.own(small_disk / "space")
        postgres.sql("postgres", f"CREATE TABLESPACE {engine.database}_space LOCATION '{small_disk}/space'")
        postgres.sql("postgres", f"ALTER DATABASE {engine.database} SET TABLESPACE {engine.database}_space")
    published(BEFORE, work, engine.target)
    ballast = small_disk / "ballast"
    fill(ballast, but=1 << 20)
    options = {"into": engine.target, "if_exists": "replace", "allow_other": True}
    with Simulator(AFTER) as sim:
        left = fetch(sim, work, page_size=1000, **options)
        assert not left.published
        assert "No space left on device" in left.target_refusal
        assert left.summary().endswith(
            f"{left.target_refusal.rstrip('.')}. The same fetch tries it again without a request."
        )
        assert engine.rows() == engine.holding(BEFORE)
        asked = len(sim.requests)
        ballast.unlink()
        done = fetch(sim, work, page_size=1000, **options)
        assert len(sim.requests) == asked
    assert done.is_complete
    assert engine.rows() == engine.holding(AFTER)
