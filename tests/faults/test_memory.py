"""G8: peak memory follows the pages in flight, not the number of profiles."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_duckdb.simulator import Behaviour, Limits, Population, Simulator

# A whole process each time: its peak is its own.
SCRIPT = """
import resource, sys
import mixpanel_duckdb as md
assert md.fetch_profiles(sys.argv[1]).is_complete
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(profiles: int, folder: Path) -> int:
    people = Population.uniform(profiles, profile_bytes=1000, seed=1)
    unlimited = Limits(quota=None, concurrency=None)
    with Simulator(people, behaviour=Behaviour(order="fixed"), limits=unlimited) as sim:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder / f"{profiles}.duckdb"],
            env={**os.environ, **sim.environment()},
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
    return int(done.stdout)


@pytest.mark.timeout(400)
def test_three_times_the_profiles_do_not_take_half_as_much_memory_again(tmp_path: Path) -> None:
    assert peak(300_000, tmp_path) < 1.5 * peak(100_000, tmp_path)
