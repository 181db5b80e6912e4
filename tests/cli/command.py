"""The real command as a process of its own, with an environment that holds what a test says and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import LONGEST


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

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
