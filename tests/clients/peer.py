"""A client of Mixpanel in an environment of its own, driven by a script that runs there."""

import json
from pathlib import Path
from typing import Any

from helpers import LONGEST
from mixpanel_duckdb.simulator import Simulator
from preloaded import Preloaded

Outcome = dict[str, Any]


class Peer:
    """Sends jobs, pairs of a method's name and its arguments, to a driver script and gives what came of each."""

    def __init__(self, python: Path, driver: str, client: str, home: Path) -> None:
        self._driver = str(Path(__file__).with_name(driver))
        self._home = home
        # The client reads the home as it is imported.
        self._imported = Preloaded(client, python=python, env={"HOME": str(home)})

    def outcomes(self, sim: Simulator, *jobs: tuple[str, dict[str, Any]], **environment: str | None) -> list[Outcome]:
        """Run the jobs one after the other against a simulator; ``None`` takes a variable away."""
        variables = {"HOME": str(self._home), **sim.environment(), **environment}
        done = self._imported.run(
            [self._driver],
            cwd=self._home,
            env={name: value for name, value in variables.items() if value is not None},
            timeout=LONGEST,
            input=json.dumps(jobs),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def profiles(self, sim: Simulator, method: str, **arguments: Any) -> list[dict[str, Any]]:
        """The profiles that one call gives."""
        (outcome,) = self.outcomes(sim, (method, arguments))
        assert "profiles" in outcome, outcome
        return outcome["profiles"]
