"""A simulator in a process of its own: a job on the command line, one JSON line when ready, ends with its input."""

import json
import os
import sys

from mixpanel_duckdb.simulator import Behaviour, Latency, Limits, Population, Simulator

_BLOCK = 10_000


def serve(job):
    population = Population.uniform(job["profiles"], profile_bytes=job["profile_bytes"])
    if job["lines"]:
        _write_lines(population, job["lines"])
    latency = Latency(base=job["latency"], jitter=job["jitter"])
    behaviour = Behaviour(latency=latency, page_size=job["page_size"])
    simulator = Simulator(population, behaviour=behaviour, limits=Limits(quota=None, concurrency=None))
    for gzip in {True, job["gzip"]}:
        simulator.prepare(gzip=gzip)
    with simulator:
        print(json.dumps(simulator.environment()), flush=True)
        sys.stdin.read()


def _write_lines(population, path):
    """NDJSON, on disk before anything is measured."""
    with open(path, "wb") as file:
        for start in range(0, len(population), _BLOCK):
            file.write(b"\n".join(population.rows[start : start + _BLOCK]) + b"\n")
        os.fsync(file.fileno())


serve(json.loads(sys.argv[1]))
