"""The real command as a process of its own, with an environment that holds what a test says and no more."""

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from typing import Any

from helpers import LONGEST
from preloaded import Preloaded

MOMENT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The lines of standard error, without the time that each begins with where nobody watches."""
        return [MOMENT.sub("", line) for line in self.err.splitlines()]

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be exactly one JSON object."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def outcome(process: subprocess.Popen[str]) -> Outcome:
    with process:
        try:
            out, err = process.communicate(timeout=LONGEST)
        finally:
            process.kill()
    return Outcome(process.returncode, out, err)


def _words(words: tuple[object, ...]) -> list[str]:
    return ["-m", "mixpanel_duckdb", *map(str, words)]


# What a command imports when it is needed, all of it.
_IMPORTED = Preloaded("mixpanel_duckdb.api", "mixpanel_duckdb.cli", "mixpanel_duckdb.jobs", "mixpanel_duckdb.simulator")


@dataclass
class MpFetch:
    """Runs ``mp-fetch`` in a folder."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "COLUMNS"))}
        return {**env, **self.variables}

    def start(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """A process of the usual kind, which begins with an interpreter."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, *_words(words)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            encoding="utf-8",
            **streams,
        )

    def __call__(self, *words: object) -> Outcome:
        """What a whole run comes to; imports are done, but where an interpreter has to read variables of its own."""
        if any(name.startswith("PYTHON") for name in self.variables):
            return outcome(self.start(*words))
        done = _IMPORTED.run(_words(words), cwd=self.folder, env=self.environment, timeout=LONGEST)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def on_terminal(
        self, *words: object, columns: int = 80, streams: tuple[str, ...] = ("stdout", "stderr")
    ) -> tuple[int, str]:
        """Run it with some of its streams on a terminal so wide; give its code, and what was written there."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.start(*words, stdin=subprocess.DEVNULL, **dict.fromkeys(streams, theirs))
        os.close(theirs)
        written = b""
        with suppress(OSError):  # as Linux says that the other side is closed
            while part := os.read(ours, 65536):
                written += part
        os.close(ours)
        process.communicate(timeout=LONGEST)
        return process.returncode, written.decode()
