"""Histories of fetches: any that a journal could hold, and one of any size that runs at an even pace."""

from datetime import datetime, timedelta

from hypothesis import strategies as st

from mixpanel_duckdb.http.trace import Step
from mixpanel_duckdb.store import FetchRecord
from mixpanel_duckdb.store.journal.history import FetchHistory, PageHistory, RunHistory

START = datetime(2026, 11, 24, 10)
# Milliseconds, some of them equal and some hours apart.
MOMENTS = st.one_of(st.integers(0, 20_000), st.integers(0, 10_000_000)).map(
    lambda number: START + timedelta(milliseconds=number)
)
WORKERS = st.sampled_from([f"mp-fetch-page_{number}" for number in range(5)])
NAMES = st.text(min_size=1, max_size=80)
KINDS = st.sampled_from(["failed", "refused", "stopped", "limit", "turn", "backoff"])
STEPS = st.builds(Step, KINDS, MOMENTS, MOMENTS, WORKERS, NAMES)
PAGES = st.builds(
    PageHistory,
    index=st.integers(0, 10_000),
    state=st.sampled_from(["committed", "missing", "left"]),
    rows=st.integers(0, 50_000),
    error=st.none() | NAMES,
    requested_at=st.none() | MOMENTS,
    received_at=st.none() | MOMENTS,
    committed_at=st.none() | MOMENTS,
    worker=st.none() | WORKERS | NAMES,
    steps=st.lists(STEPS, max_size=5).map(tuple),
)
RUNS = st.lists(st.builds(RunHistory, MOMENTS, st.none() | MOMENTS, st.none() | NAMES), max_size=5).map(
    lambda runs: tuple(sorted(runs, key=lambda run: run.started_at))
)


def record(pages: int = 1, table: str = "profiles", fetch_id: str = "abc123", missing: tuple[int, ...] = ()):
    return FetchRecord(
        fetch_id=fetch_id, table=table, state="complete", pages_done=pages - len(missing), pages_missing=missing,
        total_pages=pages, rows=pages * 1000, expected_rows=pages * 1000, query={}, project_id="1", started_at=START,
        updated_at=START, resumable=False, staging_table="staging", note=None,
    )  # fmt: skip


HISTORIES = st.builds(
    FetchHistory,
    st.builds(record, st.integers(0, 10_000), NAMES, NAMES),
    RUNS,
    st.lists(PAGES, max_size=30).map(tuple),
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def steady(pages: int, workers: int = 5, *, failing: int = 0) -> FetchHistory:
    """Pages of 0.3 s, taken in turn; every so many first fails for as long."""
    found = []
    for index in range(pages):
        worker, start = f"w{index % workers}", 0.8 * (index // workers)
        steps = ()
        if failing and index % failing == 0:
            steps = (Step("failed", at(start), at(start + 0.3), worker, "502 " * 40),)
            steps += (Step("backoff", at(start + 0.3), at(start + 0.5), worker),)
        end = start + (0.8 if steps else 0.3)
        found.append(PageHistory(index, "committed", 1000, None, at(start), at(end), at(end + 0.2), worker, steps))
    return FetchHistory(record(pages), (RunHistory(START, at(0.8 * pages / workers + 1)),), tuple(found))
