"""What became of each job, and of them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import IncompleteFetchError, MixpanelError
from ..results import ParallelFetchResult, ParallelProfileFetchResult

__all__ = ["JobOutcome", "SyncReport"]

_INCOMPLETE = 4
# From the worst to the best.
_ORDER = (1, 2, 3, 5, _INCOMPLETE, 0)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of one job: a result, an error, or neither, because its table was young enough.

    Args:
        project_id: Project that was read, ``""`` if it is not known.
        table: Table to publish.
        database: Path of its file.
        result: The result, complete or not.
        error: Why there is none.
    """

    project_id: str
    table: str
    database: str
    result: ParallelProfileFetchResult | ParallelFetchResult | None = None
    error: MixpanelError | None = None

    @property
    def exit_code(self) -> int:
        """What ``mp-fetch profiles`` would end with."""
        if self.error is not None:
            return self.error.exit_code
        if isinstance(self.result, ParallelProfileFetchResult):
            return 0 if self.result.published else _INCOMPLETE
        return 0 if self.result is None or self.result.is_complete else _INCOMPLETE

    @property
    def state(self) -> Literal["complete", "incomplete", "failed", "skipped"]:
        """``"skipped"`` is what was complete and young enough; ``"incomplete"`` goes on when it is run again."""
        if self.exit_code:
            return "incomplete" if self.exit_code == _INCOMPLETE else "failed"
        return "complete" if self.result else "skipped"

    def __str__(self) -> str:
        return self.summary()

    def to_dict(self) -> dict[str, Any]:
        """Give the fields, and those of the result, as plain values, ready for JSON."""
        return {
            **(self.result.to_dict() if self.result else {"is_complete": self.state == "skipped"}),
            "project_id": self.project_id,
            "table": self.table,
            "database": self.database,
            "state": self.state,
            "exit_code": self.exit_code,
            "error": self.error.to_dict() if self.error else None,
        }

    def summary(self) -> str:
        """Say in a sentence or two what happened."""
        said = self.error or (self.result.summary() if self.result else "complete and young enough, not fetched again.")
        return f"Project {self.project_id or '?'}, table {self.table!r}: {self.state}. {said}"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What became of all jobs, in the order of the file.

    Args:
        outcomes: One for each job.

    Example:
        >>> SyncReport((JobOutcome("12", "profiles", "a.duckdb"),)).summary()
        '1 job: 1 skipped.'
    """

    outcomes: tuple[JobOutcome, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every table is there, new or young enough."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """Give that of the worst job; a failure goes before what is incomplete."""
        found = {each.exit_code for each in self.outcomes}
        return next((code for code in _ORDER if code in found), 1)

    def __str__(self) -> str:
        return self.summary()

    def to_list(self) -> list[dict[str, Any]]:
        """Give every outcome as plain values, ready for JSON."""
        return [each.to_dict() for each in self.outcomes]

    def summary(self) -> str:
        """Count the outcomes."""
        counts = Counter(each.state for each in self.outcomes)
        jobs = f"{len(self.outcomes)} job{'s' if len(self.outcomes) != 1 else ''}"
        return f"{jobs}: {', '.join(f'{number} {state}' for state, number in sorted(counts.items()))}."

    def raise_for_failures(self) -> None:
        """Raise unless every table is there.

        Raises:
            MixpanelError: The error of a job that is the worst, or an ``IncompleteFetchError``.
        """
        for each in self.outcomes:
            if each.exit_code and each.exit_code == self.exit_code:
                raise each.error or IncompleteFetchError(each.summary())
