"""A whole process, measured: wall clock, processor time, the most memory it ever had."""

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from time import perf_counter

_RSS_UNIT = 1024 if os.uname().sysname == "Linux" else 1


class FailedError(Exception):
    """The process ended badly; says how in its own last words."""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds, processor seconds of user and system, megabytes."""

    wall: float
    cpu: float
    peak_mb: float


def measure(command: list[str], environment: dict[str, str], *, within: float) -> tuple[Usage, str]:
    """Run a command to its end and give what it took and printed.

    A child's peak includes what its parent had before it started, so whoever calls this has to stay small.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, text=True
        )
        limit = threading.Timer(within, process.kill)
        limit.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
            wall = perf_counter() - started
        finally:
            limit.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise FailedError(f"exit code {process.returncode}: {errors.read()[-2000:]}")
        output.seek(0)
        return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT / 1e6), output.read()


def processor_seconds(pid: int) -> float:
    """What a process that goes on has taken until now; nothing where the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
    except FileNotFoundError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
