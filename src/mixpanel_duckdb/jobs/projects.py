"""The jobs side by side: those of one project one after the other, so that its limits are kept, projects at once.

Each project has a thread, which is the caller's thread for its fetches; at most so many of them run at a time. The
thread that called waits, draws, and is the one that hears of Ctrl-C: it tells the others to stop, and each of their
runs ends as if it had been interrupted itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import Event
from typing import Any, cast

from ..accounts import AnyCredentials, Signer, signer_for
from ..api import fetch_events, fetch_profiles
from ..arguments import REFRESH_DAYS, check
from ..display import Progress, Screen, Tally, Together
from ..engage import MixpanelClient, ProfileFilters
from ..errors import MixpanelError, StorageError
from ..events import EventFilters
from ..fetch import ParallelProfileFetcher
from ..http import RateLimiter, utc_now
from ..store import ProfileStore
from .file import Job, read_jobs
from .report import JobOutcome, SyncReport

__all__ = ["run_jobs", "sync"]

_log = logging.getLogger("mixpanel_duckdb")
_MOST_PROJECTS = 4
_TICK = 0.1
_OF_THE_CLIENT = ("base_url", "allow_http")


def sync(
    jobs: str | os.PathLike[str] | Mapping[str, Any],
    *,
    max_age: float | None = None,
    progress: Progress = "auto",
) -> SyncReport:
    """Do the jobs of a file: projects side by side, each within its own limits, and one job's failure not another's.

    Call it again to go on: an incomplete job goes on where it ended, and with ``max_age`` a complete one that is young
    enough is not fetched again.

    Args:
        jobs: The path of a TOML file, or its content as a mapping: ``defaults``, and ``profiles`` and ``events``, lists
            with the keys of each job. Keys are the keywords of :func:`fetch_profiles` or :func:`fetch_events`,
            ``project_id``, ``region``, ``workspace_id``, and who asks: the names of variables that hold credentials,
            ``username_env`` and ``secret_env`` or ``token_env``, or ``account`` or ``target``, a name that
            ``mixpanel-headless`` has stored. Events have ``last_days`` in place of ``from_date`` and ``to_date``: so
            many up to yesterday.
        max_age: Seconds for which a complete table counts as new.
        progress: ``"auto"``: one line for all jobs on a terminal; ``True``: in any case; ``False`` or ``None``:
            nothing.

    Returns:
        What became of each job; a job that fails is in there, and not raised.

    Raises:
        ConfigurationError: The file asks for what cannot be done; nothing was requested.
        UnsuitableFileError: The file cannot be read.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> from unittest.mock import patch
        >>> import os, tempfile
        >>> with Simulator(Population(1200, seed=1)) as sim, tempfile.TemporaryDirectory() as folder:
        ...     file = os.path.join(folder, "mixpanel.duckdb")
        ...     with patch.dict(os.environ, sim.environment()):
        ...         report = md.sync({"defaults": {"database": file}, "profiles": [{"table": "all"}, {"limit": 10}]})
        >>> [(each.table, each.result.total_rows) for each in report.outcomes]
        [('all', 1200), ('profiles', 10)]
    """
    check(locals(), but={"jobs"})
    wanted, screen = read_jobs(jobs), Screen()
    shows = progress is True or (progress == "auto" and screen.redraws)
    together = Together(screen, lambda text: screen.line(f"Note: {text}")) if shows else None
    return run_jobs(wanted, max_age=max_age, together=together)


def run_jobs(jobs: Sequence[Job], *, max_age: float | None = None, together: Together | None = None) -> SyncReport:
    """Do jobs, and draw them together if somebody watches."""
    watches = [_Watch(job, together) for job in jobs]
    projects: dict[tuple[str, object], list[_Watch]] = {}
    for watch in watches:
        if watch.who is not None:
            projects.setdefault((watch.who.project_id, watch.job.options.get("base_url")), []).append(watch)
    threads = ThreadPoolExecutor(max(1, min(_MOST_PROJECTS, len(projects))), thread_name_prefix="mp-sync")
    with closing(together or Together()) as display, threads as pool, _stopping(watches):
        each = [pool.submit(_do_all, of_one, max_age) for of_one in projects.values()]
        while _under_way(each):
            display.draw(watches)
    return SyncReport(tuple(watch.came_to for watch in watches if watch.came_to is not None))


@contextmanager
def _stopping(watches: Sequence[_Watch]) -> Iterator[None]:
    """Whatever ends the caller's wait ends the jobs."""
    try:
        yield
    except BaseException:
        for watch in watches:
            watch.stop.set()
        raise


def _under_way(futures: Sequence[Future[None]]) -> bool:
    ended, running = wait(futures, timeout=_TICK)
    for future in ended:
        future.result()
    return bool(running)


class _Watch(Tally):
    """One job: its numbers, what it came to, and a way to stop it."""

    def __init__(self, job: Job, together: Together | None) -> None:
        said: Callable[[str], None] = together.say if together else lambda _: None
        super().__init__(lambda text: said(f"{job}: {text}"))
        self.job = job
        self.stop = Event()
        self.came_to: JobOutcome | None = None
        self.who: Signer | None = None
        try:
            self.who = signer_for(job.credentials())
        except MixpanelError as error:
            self.came_to = _failed(job, error)

    @property
    def has_ended(self) -> bool:
        """Whether it is known what became of it."""
        return self.came_to is not None

    def ticked(self) -> None:
        """End the run, if the caller does not wait for it any more."""
        if self.stop.is_set():
            raise KeyboardInterrupt


def _do_all(watches: Sequence[_Watch], max_age: float | None) -> None:
    limiter = RateLimiter()
    for watch in watches:
        watch.ticked()
        watch.came_to = _outcome(watch, limiter, max_age)


def _outcome(watch: _Watch, limiter: RateLimiter, max_age: float | None) -> JobOutcome:
    job = watch.job
    try:
        return _done(watch, limiter, max_age)
    except MixpanelError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs have nothing to do with it
        failure = MixpanelError(f"unexpected {type(error).__name__}: {error}")
        _log.debug("%s", job, exc_info=error)
    return _failed(job, failure)


def _failed(job: Job, error: MixpanelError) -> JobOutcome:
    _log.info("%s: %s", job, error)
    return JobOutcome(job.project, job.table, job.database, error=error)


def _done(watch: _Watch, limiter: RateLimiter, max_age: float | None) -> JobOutcome:
    job, options = watch.job, dict(watch.job.options)
    assert watch.who is not None  # noqa: S101 - else it has failed already
    of_the_client = {name: options.pop(name) for name in _OF_THE_CLIENT if name in options}
    client = MixpanelClient(cast("AnyCredentials", watch.who), rate_limiter=limiter, **of_the_client)
    with client, ProfileStore(job.database) as store:
        outcome = JobOutcome(client.credentials.project_id, job.table, job.database)
        if job.kind == "events":
            if _has_all_young(store, job, max_age):
                options["refresh_days"] = 0
            filters = cast("EventFilters", job.filters)
            days = fetch_events(
                store,
                *job.days(),
                job.table,
                client=client,
                observer=watch,
                stop=watch.stop,
                progress=None,
                **options,
                **filters,
            )
            return replace(outcome, result=days)
        known = ParallelProfileFetcher(client, store).last_published(
            job.table, options.get("into"), **cast("ProfileFilters", job.filters)
        )
        if known is not None and max_age is not None and known.age <= max_age:
            _log.info("%s: complete since %s UTC, not fetched again.", job, f"{known.updated_at:%Y-%m-%d %H:%M:%S}")
            return outcome
        result = fetch_profiles(
            store, job.table, client=client, observer=watch, stop=watch.stop, progress=None, **options,
            **cast("ProfileFilters", job.filters),
        )  # fmt: skip
        return replace(outcome, result=result)


def _has_all_young(store: ProfileStore, job: Job, max_age: float | None) -> bool:
    """Whether the days of events that are there were fetched so lately that none is fetched again."""
    if max_age is None or job.options.get("refetch"):
        return False
    refresh: int = job.options.get("refresh_days", REFRESH_DAYS)
    with suppress(StorageError), closing(store.events()) as events:
        days = events.days(job.table, *job.days()).values()
        return all((utc_now() - day.fetched_at).total_seconds() <= max_age for day in days if day.is_open(refresh))
    return False
