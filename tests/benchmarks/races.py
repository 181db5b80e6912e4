"""Runs a scenario: servers up, entries in turns, one sample each; gives plain values, ready for JSON."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import measure, processor_seconds
from benchmarks.scenarios import Contestant, Entry, Round, Sample, Scenario, Server
from clients.environments import python_with

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src"
LONGEST = 1800.0
_NOT_OURS = ("proxy", "mp_", "python")
_NAMED = ("duckdb", "httpx", "mixpanel-utils", "mixpanel-headless", "requests", "pandas", "dlt")
_VERSIONS = f"""
from importlib.metadata import PackageNotFoundError, version
for name in {_NAMED}:
    try: print(name, version(name))
    except PackageNotFoundError: pass
"""


def race(scenario: Scenario, runs: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Every entry once, then every entry again, until each has its number of runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        interpreters = {entry.contestant: _interpreter(entry.contestant) for entry in scenario.entries}
        tell("preparing pages")
        places = _serve_all(scenario, folder, stack)
        rounds: list[Round] = []
        for number in range(runs):
            rounds.append({})
            for entry in scenario.entries:
                tell(f"run {number + 1} of {runs}: {entry.label}")
                rounds[-1][entry.label] = _sample(
                    entry, interpreters[entry.contestant], places[entry.server], folder / "run"
                )
    return _outcome(scenario, rounds, interpreters)


def _outcome(scenario: Scenario, rounds: list[Round], interpreters: dict[Contestant, Path]) -> dict[str, Any]:
    return {
        "title": scenario.title,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "runs": [{label: asdict(sample) for label, sample in samples.items()} for samples in rounds],
        "figures": [
            {
                "text": figure.text,
                "value": median(figure.of(samples) for samples in rounds),
                "at_most": figure.at_most,
            }
            for figure in scenario.figures
        ],
        "versions": {entry.label: _versions(interpreters[entry.contestant]) for entry in scenario.entries},
    }


def _serve_all(scenario: Scenario, folder: Path, stack: ExitStack) -> dict[Server, dict[str, str]]:
    places = {}
    for number, server in enumerate({entry.server for entry in scenario.entries}):
        guests = [entry.contestant for entry in scenario.entries if entry.server == server]
        lines = folder / f"{number}.ndjson"
        job = {
            **asdict(server),
            "lines": str(lines) if server.days or any(guest.lines or guest.table for guest in guests) else None,
            "gzip": all(guest.gzip for guest in guests),
        }
        environment, pid = stack.enter_context(_serving(job))
        places[server] = {**environment, "lines": str(lines), "server": str(pid)}
        if any(guest.table for guest in guests):
            places[server]["table"] = _prepared(lines)
    return places


def _prepared(lines: Path) -> str:
    """A database with the profiles, beside their lines."""
    database = lines.with_suffix(".duckdb")
    job = {"database": str(database), "lines": str(lines)}
    measure(_command("read_json", job), _environment({}), within=LONGEST)
    return str(database)


@contextmanager
def _serving(job: dict[str, Any]) -> Iterator[tuple[dict[str, str], int]]:
    """A simulator until the block ends: leaving closes its input, which it takes for its end."""
    process = subprocess.Popen(
        [sys.executable, "-P", HERE / "serve.py", json.dumps(job)],
        env=_environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        ready = process.stdout.readline()
        if not ready:
            raise RuntimeError("the simulator did not start; see above")
        yield json.loads(ready), process.pid


def _sample(entry: Entry, python: Path, place: dict[str, str], folder: Path) -> Sample:
    folder.mkdir()
    database = folder / "profiles.duckdb"
    job = {"database": str(database), "lines": place["lines"], "page_size": entry.server.page_size}
    if entry.contestant.table:
        shutil.copy(place["table"], database)
    if entry.contestant.before:
        measure(_command(entry.contestant.before, job, python), _environment({}), within=LONGEST)
    command = _command(entry.contestant.function, job, python)
    before = processor_seconds(int(place["server"]))
    usage, output = measure(command, _environment({**place, "HOME": str(folder)}), within=LONGEST)
    served = processor_seconds(int(place["server"])) - before
    told = json.loads(output.splitlines()[-1])
    if told["rows"] != entry.server.profiles:
        raise RuntimeError(f"{entry.label}: {told['rows']} rows of {entry.server.profiles}")
    file_mb = database.stat().st_size / 1e6 if database.exists() else None
    shutil.rmtree(folder)
    return Sample(told["rows"], usage.wall, told["seconds"], usage.cpu, served, usage.peak_mb, file_mb, told["held"])


def _command(function: str, job: dict[str, Any], python: Path = Path(sys.executable)) -> list[str]:
    return [str(python), "-P", str(HERE / "contestants.py"), function, json.dumps(job)]


def _environment(more: dict[str, str]) -> dict[str, str]:
    """This process's, without what would send a client elsewhere; our own package from this checkout."""
    kept = {name: value for name, value in os.environ.items() if not any(word in name.lower() for word in _NOT_OURS)}
    return {**kept, "PYTHONPATH": str(SOURCE), "DO_NOT_TRACK": "1", "RUNTIME__DLTHUB_TELEMETRY": "false", **more}


def _interpreter(contestant: Contestant) -> Path:
    if not contestant.requirements:
        return Path(sys.executable)
    python = python_with(*contestant.requirements)
    # Nobody's first run is measured with modules that are not compiled yet.
    subprocess.run(
        [python, "-m", "compileall", "-q", python.parents[1] / "lib"], stdout=subprocess.DEVNULL, check=False
    )
    return python


def _versions(python: Path) -> dict[str, str]:
    done = subprocess.run([python, "-P", "-c", _VERSIONS], capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split() for line in done.stdout.splitlines())
