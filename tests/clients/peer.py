"""A client of Mixpanel in an environment of its own, driven by a script that runs there."""

import json
import subprocess
from pathlib import Path
from typing import Any

from helpers import LONGEST
from mixpanel_duckdb.simulator import Simulator

Outcome = dict[str, Any]


class Peer:
    """Sends jobs, pairs of a method's name and its arguments, to a driver script and gives what came of each."""

    def __init__(self, python: Path, driver: str, home: Path) -> None:
        self._command = [str(python), str(Path(__file__).with_name(driver))]
        self._home = home

    def outcomes(self, sim: Simulator, *jobs: tuple[str, dict[str, Any]], **environment: str | None) -> list[Outcome]:
        """Run the jobs one after the other against a simulator; ``None`` takes a variable away."""
        variables = {"HOME": str(self._home), **sim.environment(), **environment}
        done = subprocess.run(
            self._command,
            input=json.dumps(jobs),
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def profiles(self, sim: Simulator, method: str, **arguments: Any) -> list[dict[str, Any]]:
        """The profiles that one call gives."""
        (outcome,) = self.outcomes(sim, (method, arguments))
        assert "profiles" in outcome, outcome
        return outcome["profiles"]
