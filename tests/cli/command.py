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


@dataclass
class MpFetch:
    """Runs ``mp-fetch`` in a folder."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "COLUMNS"))}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "mixpanel_duckdb", *map(str, words)],
            cwd=self.folder,
            env={**env, **self.variables},
            text=True,
            encoding="utf-8",
            **streams,
        )

    def __call__(self, *words: object) -> Outcome:
        return outcome(self.start(*words))

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
