"""Fetch beside an event loop: on a thread that ends before the task that awaits it does, however that ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from contextvars import copy_context
from datetime import date
from functools import partial
from inspect import signature
from threading import Event, Thread, main_thread
from typing import Any, ParamSpec, TypeVar

from ..arguments import check
from ..errors import FetchStopped
from ..results import FetchObserver, ParallelFetchResult, ParallelProfileFetchResult
from ..store import ProfileStore
from .events import fetch_events
from .fetching import fetch_profiles

__all__ = ["afetch_events", "afetch_profiles"]

Given = ParamSpec("Given")
Result = TypeVar("Result")
# An idle loop would not hear a notebook's stop button; a callback waits for the loop, but not for ever.
_LOOK_AGAIN = 0.2


def _called_like(
    call: Callable[Given, Result],
) -> Callable[[Callable[..., Coroutine[Any, Any, Result]]], Callable[Given, Coroutine[Any, Any, Result]]]:
    """Give a coroutine function the arguments of a plain one, for whoever reads or checks a call of it."""

    def decorate(run: Callable[..., Coroutine[Any, Any, Result]]) -> Callable[Given, Coroutine[Any, Any, Result]]:
        vars(run)["__signature__"] = signature(call)
        return run

    return decorate


@_called_like(fetch_profiles)
async def afetch_profiles(database: Any, table: str = "profiles", **options: Any) -> ParallelProfileFetchResult:
    """Fetch as :func:`fetch_profiles` does, without holding the event loop.

    The fetch has a thread of its own. A task that is cancelled stops it as Ctrl-C would: no further request, what has
    arrived is kept, and the task ends when that thread has, within about a second.

    Args:
        database: As for :func:`fetch_profiles`. A connection or store of yours is the fetch's until this returns.
        table: Table to publish.
        **options: Every other argument of :func:`fetch_profiles`. ``on_batch_complete`` and the methods of ``observer``
            are called on the event loop.

    Returns:
        As :func:`fetch_profiles`.

    Raises:
        MixpanelError: As :func:`fetch_profiles`.

    Example:
        >>> import asyncio
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> async def fetched(sim):
        ...     who = md.Credentials.from_env(sim.environment())
        ...     return await md.afetch_profiles(":memory:", credentials=who, base_url=sim.base_url)
        >>> with Simulator(Population(1200, seed=1)) as sim:
        ...     asyncio.run(fetched(sim)).total_rows
        1200
    """
    return await _fetched(partial(fetch_profiles, table=table), database, options)


@_called_like(fetch_events)
async def afetch_events(
    database: Any, from_date: str | date, to_date: str | date, table: str = "events", **options: Any
) -> ParallelFetchResult:
    """Fetch as :func:`fetch_events` does, without holding the event loop; see :func:`afetch_profiles`.

    Args:
        database: As for :func:`fetch_events`. A connection or store of yours is the fetch's until this returns.
        from_date: First day.
        to_date: Last day, which is included.
        table: Table to fetch into.
        **options: Every other argument of :func:`fetch_events`.

    Returns:
        As :func:`fetch_events`.

    Raises:
        MixpanelError: As :func:`fetch_events`.

    Example:
        >>> import asyncio
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
        >>> async def fetched(sim):
        ...     who = md.Credentials.from_env(sim.environment())
        ...     days = "2026-01-01", "2026-01-02"
        ...     return await md.afetch_events(":memory:", *days, credentials=who, base_url=sim.base_url)
        >>> with Simulator(events=RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))) as sim:
        ...     asyncio.run(fetched(sim)).total_rows
        200
    """
    call = partial(fetch_events, from_date=from_date, to_date=to_date, table=table)
    return await _fetched(call, database, options)


async def _fetched(call: Callable[..., Result], database: Any, options: dict[str, Any]) -> Result:
    """Fetch on a thread of its own, the caller's code on the loop."""
    heard = {name: options[name] for name in ("stop", "on_batch_complete", "observer") if options.get(name) is not None}
    check(heard)
    stop = _Stop(heard.get("stop"))
    on_loop = partial(_on_loop, asyncio.get_running_loop(), stop)
    if "on_batch_complete" in heard:
        options["on_batch_complete"] = partial(on_loop, heard["on_batch_complete"])
    if "observer" in heard:
        options["observer"] = _Heard(heard["observer"], on_loop)
    with ExitStack() as stack:
        if not isinstance(database, str | os.PathLike | ProfileStore):  # looked at on the thread that uses it
            database = stack.enter_context(ProfileStore(database))
        return await _on_a_thread(partial(call, database, **{**options, "stop": stop}), stop)


class _Stop(Event):
    """Set by whoever awaits; also if the caller's own is, and when the interpreter ends."""

    def __init__(self, other: Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Whether one of these is so."""
        return super().is_set() or (self._other is not None and self._other.is_set()) or not main_thread().is_alive()


async def _on_a_thread(call: Callable[[], Result], stop: Event) -> Result:
    done: Future[Result] = Future()
    # Not of an executor: those are waited for before anything tells that the interpreter ends.
    thread = Thread(target=copy_context().run, args=(_settle, done, call), name="mp-afetch")
    # asyncio's futures take no StopIteration, which a callback may raise: this one tells of the end alone.
    ended: Future[None] = Future()
    done.add_done_callback(lambda _: ended.set_result(None))
    thread.start()
    running = asyncio.wrap_future(ended)
    try:
        while not running.done():
            await asyncio.wait([running], timeout=_LOOK_AGAIN)
    except BaseException as error:
        stop.set()
        while not (running.done() or isinstance(error, GeneratorExit)):  # for which no loop is left
            with suppress(asyncio.CancelledError):  # it is being done
                await asyncio.wait([running])
        raise
    finally:
        thread.join()
    return done.result()


def _settle(done: Future[Result], call: Callable[[], Result]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
        done.set_exception(error)
    else:
        done.set_result(result)


def _on_loop(loop: asyncio.AbstractEventLoop, stop: Event, function: Callable[..., object], *args: object) -> None:
    """Call the caller's code where the caller is, and raise here what it raises."""
    done: Future[object] = Future()
    loop.call_soon_threadsafe(_settle, done, partial(function, *args))
    while not wait([done], _LOOK_AGAIN).done:
        if stop.is_set():
            raise FetchStopped("The fetch was stopped.")
    done.result()


class _Heard:
    """An observer whose methods are called on the event loop."""

    def __init__(self, observer: FetchObserver, on_loop: Callable[..., None]) -> None:
        self.planned = partial(on_loop, observer.planned)
        self.page_done = partial(on_loop, observer.page_done)
        self.waiting = partial(on_loop, observer.waiting)
        self.notice = partial(on_loop, observer.notice)
        self.ticked = partial(on_loop, observer.ticked)
