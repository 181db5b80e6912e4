"""A small file beside the database that tells of a fetch while it runs: no other process can open the database then."""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from ..process import lives
from .journal import FetchRecord, OpenFetch

__all__ = ["Sign", "running_fetches"]

_ENDING = ".running"
_APART = 1.0
# Seconds after which a sign that nobody renews is a leftover, unless its process is known to live.
_FRESH = 60.0


class Sign:
    """Tells how far a run is; a context manager. Where it cannot be written, the run goes on without.

    Args:
        file: The database; ``None`` for one that no other process could open anyway.
        fetch: What runs.
    """

    def __init__(self, file: str | None, fetch: OpenFetch) -> None:
        self._file = file
        self._path = Path(f"{file}.{fetch.fetch_id[:8]}{_ENDING}")
        self._new = Path(f"{self._path}.new")
        self._next = 0.0
        self._values: dict[str, Any] = {
            "pid": os.getpid(),
            "fetch_id": fetch.fetch_id,
            "table": fetch.spec.table,
            "project_id": fetch.spec.project_id,
            "host": fetch.spec.host,
            "query": json.loads(fetch.spec.query),
            "started_at": datetime.now(UTC).isoformat(),
            "staging_table": fetch.staging,
        }

    def __enter__(self) -> Self:
        if self._file is not None:
            for path, values in _signs(self._file):
                if values.get("pid") != os.getpid():  # of a run that was killed: the database is ours
                    _remove(path)
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self._path)
        _remove(self._new)

    def tell(self, *, pages: int, total_pages: int | None, rows: int, expected_rows: int | None) -> None:
        """Say how far the run is, once a second at most; called as time goes by."""
        now = time.monotonic()
        if self._file is None or now < self._next:
            return
        self._next = now + _APART
        told = {"pages_done": pages, "total_pages": total_pages, "rows": rows, "expected_rows": expected_rows}
        with suppress(OSError):
            # No file object: an interrupt before its block would leave one open.
            descriptor = os.open(self._new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, json.dumps(self._values | told).encode())
            finally:
                os.close(descriptor)
            self._new.replace(self._path)


def running_fetches(file: str) -> list[FetchRecord]:
    """List the fetches that run into a database which cannot be opened, as far as their signs tell."""
    found = []
    for path, values in _signs(file):
        with suppress(OSError, KeyError, TypeError, ValueError):
            told = path.stat().st_mtime
            if time.time() - told < _FRESH or lives(values["pid"]):
                found.append(_record(values, datetime.fromtimestamp(told, UTC)))
    return found


def _signs(file: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name in glob.glob(f"{glob.escape(os.path.abspath(file))}.*{_ENDING}"):
        with suppress(OSError, ValueError):
            values = json.loads(Path(name).read_text(encoding="utf-8"))
            if isinstance(values, dict):
                yield Path(name), values


def _record(values: dict[str, Any], told: datetime) -> FetchRecord:
    started = datetime.fromisoformat(values.pop("started_at")).replace(tzinfo=UTC)
    return FetchRecord(
        **values, state="running", pages_missing=(), started_at=started, updated_at=told, resumable=False, note=None
    )


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
