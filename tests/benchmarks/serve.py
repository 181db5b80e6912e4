"""A simulator in a process of its own: a job on the command line, one JSON line when ready, ends with its input."""

import gzip
import json
import os
import sys
from datetime import date, timedelta
from pathlib import Path

from mixpanel_duckdb.simulator import (
    Behaviour,
    EventPopulation,
    Latency,
    Limits,
    Population,
    RawExport,
    Shape,
    Simulator,
)
from mixpanel_duckdb.simulator.wire import HttpResponse

_BLOCK = 10_000


FREE = Limits(quota=None, concurrency=None)
FIRST = date(2026, 1, 1)


class FromFiles(RawExport):
    """Days of events, written and packed beforehand: nothing is made while somebody measures."""

    def __init__(self, folder, job):
        super().__init__(EventPopulation(FIRST, FIRST, 0), limits=FREE, per_second=None)
        self._folder = folder
        days = [FIRST + timedelta(days=number) for number in range(job["days"])]
        per_day = -(-job["profiles"] // job["days"])
        events = EventPopulation(days[0], days[-1], per_day, event_bytes=job["profile_bytes"], odd=0)
        # All days in one piece, too: some clients read nothing behind the first of several gzip members.
        with open(job["lines"], "wb") as file, gzip.open(folder / f"{days[0]} {days[-1]}.gz", "wb", 1) as whole:
            for day in days:
                lines = b"\n".join(events.of(day)) + b"\n"
                file.write(lines)
                whole.write(lines)
                (folder / f"{day}.gz").write_bytes(gzip.compress(lines, 1))
                if not job["gzip"]:
                    (folder / f"{day}.txt").write_bytes(lines)

    def _answer(self, line, request, parameters, note):
        zipped = request.accepts_gzip
        headers = {"Content-Type": "text/plain"} | ({"Content-Encoding": "gzip"} if zipped else {})
        note(200)
        line.write(HttpResponse(200, (), headers).head(keep_alive=False, framing="Transfer-Encoding: chunked"))
        for path in self._files(parameters["from_date"], parameters["to_date"], zipped=zipped):
            with path.open("rb") as file:
                while piece := file.read(1 << 16):
                    line.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        line.done()
        line.write(b"0\r\n\r\n")

    def _files(self, first, last, *, zipped):
        whole = self._folder / f"{first} {last}.gz"
        if zipped and whole.exists():
            return [whole]
        first, last = date.fromisoformat(first), date.fromisoformat(last)
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return [self._folder / f"{day}.{'gz' if zipped else 'txt'}" for day in days]


def serve_events(job):
    folder = Path(job["lines"]).with_suffix("")
    folder.mkdir()
    with Simulator(events=FromFiles(folder, job)) as simulator:
        last = FIRST + timedelta(days=job["days"] - 1)
        print(json.dumps({**simulator.environment(), "FIRST": str(FIRST), "LAST": str(last)}), flush=True)
        sys.stdin.read()


def serve(job):
    population = Population.shaped(job["profiles"], Shape(**job["shape"]), profile_bytes=job["profile_bytes"])
    if job["lines"]:
        _write_lines(population, job["lines"])
    latency = Latency(base=job["latency"], jitter=job["jitter"])
    behaviour = Behaviour(latency=latency, page_size=job["page_size"])
    simulator = Simulator(population, behaviour=behaviour, limits=FREE)
    for zipped in {True, job["gzip"]}:
        simulator.prepare(gzip=zipped)
    if job["larger"]:
        simulator.prepare(job["larger"])
    with simulator:
        print(json.dumps(simulator.environment()), flush=True)
        sys.stdin.read()


def _write_lines(population, path):
    """NDJSON, on disk before anything is measured."""
    with open(path, "wb") as file:
        for start in range(0, len(population), _BLOCK):
            file.write(b"\n".join(population.rows[start : start + _BLOCK]) + b"\n")
        os.fsync(file.fileno())


job = json.loads(sys.argv[1])
(serve_events if job["days"] else serve)(job)
