"""How a run begins, starts over and ends: whose errors count, whose rows stay, what makes two fetches the same."""

import threading
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import PAGE, client_of, committed, fetch, served, stored
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator

PEOPLE = Population(30 * PAGE, seed=5)
FREE = Limits(quota=None)
# The last pages do not come before a run is stopped.
LATE = Fault("hang", page=range(20, 30), attempts=1)
# The same for a client whose reads nobody can cut.
SLOW = Fault("delay", page=range(15, 30), attempts=1, seconds=1.0)


def stop_after(pages: int) -> Any:
    def callback(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == pages:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("odd", ["total drifts by one a page", "every page is one short", "every page twice short"])
def test_any_number_of_odd_pages_in_a_row_is_stored(database: str, odd: str) -> None:
    drifting = Behaviour(total="drifting") if odd.startswith("total") else Behaviour()
    faults = [] if odd.startswith("total") else [Fault("short_page", attempts=None, rows=PAGE - 1)]
    if odd.endswith("one short"):
        faults = [Fault("short_page", page=range(1, 30), attempts=1, rows=PAGE - 1)]
    with Simulator(PEOPLE, limits=FREE, behaviour=drifting, faults=faults) as sim:
        result = fetch(sim, database)
    assert (result.successful_pages, result.failed_pages) == (30, 0)
    assert result.total_rows == (30 * (PAGE - 1) if odd.endswith("twice short") else 30 * PAGE)
    assert result.is_complete == (not odd.endswith("twice short"))


def test_of_pages_that_are_wrong_alike_the_first_are_told_one_by_one_and_the_others_together(database: str) -> None:
    short = Fault("short_page", page=3, attempts=None, rows=PAGE - 1)
    with Simulator(PEOPLE, limits=FREE, behaviour=Behaviour(total="drifting"), faults=[short]) as sim:
        result = fetch(sim, database)
    assert f"Page 3: it has {PAGE - 1} profiles instead of {PAGE}; stored as it is." in result.notices
    for what, pages in (("fetching it again", 29), ("stored as it is", 28)):
        *alike, others = [text for text in result.notices if "total" in text and what in text]
        assert len(alike) == 5
        assert others.startswith(f"{pages - 5} pages more (")
        assert others.endswith(f"): the server's total changed from N to N; {what}.")


def test_a_server_that_is_gone_is_not_asked_for_every_page(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("reset", page=range(1, 30), attempts=None)]) as sim:
        result = fetch(sim, database)
        assert result.failed_pages == 29
        assert sum("not tried" in reason for _, reason in result.errors) > 10


@pytest.mark.parametrize("hook", ["on_batch_complete", "planned", "page_done", "ticked"])
@pytest.mark.parametrize("error", [md.SessionLostError, md.ServerError, md.StorageError, md.FetchStopped, OSError])
def test_what_the_callers_code_raises_reaches_the_caller_whatever_it_is(
    database: str, hook: str, error: type[Exception]
) -> None:
    def raising(*_: Any) -> None:
        raise error("mine")

    if hook == "on_batch_complete":
        told: dict[str, Any] = {hook: raising}
    else:
        observer = md.SilentObserver()
        setattr(observer, hook, raising)
        told = {"observer": observer}
    with Simulator(Population(3 * PAGE, seed=1), limits=FREE) as sim:
        with pytest.raises(error, match=r"^mine$"):
            fetch(sim, database, **told)
        assert sum(record.page == 0 for record in sim.requests) == 1
        assert fetch(sim, database).is_complete


def test_one_refusal_on_resume_costs_one_request(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[LATE]) as sim:
        with pytest.raises(KeyboardInterrupt):
            fetch(sim, database, on_batch_complete=stop_after(20))
        kept = len(committed(database))
        sim.clear_faults()
        sim.clear_requests()
        sim.add_fault(Fault("status", status=404, attempts=None, times=1))
        result = fetch(sim, database)
        assert result.is_complete
        assert (result.resumed_pages, len(sim.requests)) == (kept, 30 - kept + 1)
    assert stored(database) == served(PEOPLE)


def test_rows_stay_where_a_lost_session_cannot_be_replaced(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[LATE]) as sim:
        with pytest.raises(KeyboardInterrupt):
            fetch(sim, database, on_batch_complete=stop_after(10))
        kept = committed(database)
        sim.clear_faults()
        sim.add_fault(Fault("status", status=404, page=range(1, 30), attempts=None))
        sim.add_fault(Fault("status", status=500, page=0, attempts=None))
        with pytest.raises(md.ServerError):
            fetch(sim, database)
        assert committed(database) == kept
        sim.clear_faults()
        sim.clear_requests()
        assert fetch(sim, database).is_complete
        assert len(sim.requests) == 30 - len(kept)
    assert stored(database) == served(PEOPLE)


class Foreign:
    """Somebody's own client, which does not tell what it reads."""

    def __init__(self, inner: md.MixpanelClient) -> None:
        self._inner = inner

    def query_engage_page(self, page: int, **options: Any) -> dict[str, Any]:
        return self._inner.query_engage_page(page, **options)


class Telling(Foreign):
    """One that does."""

    def __init__(self, inner: md.MixpanelClient, project_id: str) -> None:
        super().__init__(inner)
        self.project_id, self.base_url = project_id, "https://somewhere.example"


# It may see less of the project than the account before it.
TOKEN = md.Credentials(token="simulated-token", project_id="1")


class Extended(md.MixpanelClient):
    """A subclass that is asked through its own method."""

    def query_engage_page(self, page: int, **options: Any) -> dict[str, Any]:
        return super().query_engage_page(page, **options)


@pytest.mark.parametrize(
    ("first", "second", "goes_on"),
    [
        (Foreign, Foreign, False),
        (lambda inner: Telling(inner, "1"), lambda inner: Telling(inner, "1"), True),
        (lambda inner: Telling(inner, "1"), lambda inner: Telling(inner, "2"), False),
        (Foreign, lambda inner: Telling(inner, "1"), False),
        (lambda inner: inner, Foreign, False),
        (Foreign, lambda inner: inner, False),
        (lambda inner: inner, lambda inner: Extended(inner.credentials, base_url=inner.base_url), True),
        (lambda inner: inner, lambda inner: md.MixpanelClient(TOKEN, base_url=inner.base_url), False),
    ],
    ids=[
        "two unknown",
        "same project",
        "other project",
        "unknown, told",
        "ours, unknown",
        "unknown, ours",
        "subclass",
        "another account",
    ],
)
def test_another_client_goes_on_only_if_it_is_known_to_read_the_same(
    database: str, first: Any, second: Any, goes_on: bool
) -> None:
    options: dict[str, Any] = {"page_size": PAGE, "progress": False}
    # The server still answers what was cut when the second client asks.
    unlimited = Limits(quota=None, concurrency=None)
    with Simulator(PEOPLE, limits=unlimited, faults=[SLOW]) as sim, client_of(sim) as inner:
        with pytest.raises(KeyboardInterrupt):
            md.fetch_profiles(database, client=first(inner), on_batch_complete=stop_after(10), **options)
        sim.clear_faults()
        with second(inner) if second(inner) is inner else _closing(second(inner)) as client:
            result = md.fetch_profiles(database, client=client, **options)
    assert result.is_complete
    assert (result.resumed_pages > 0) == goes_on
    assert stored(database) == served(PEOPLE)


def test_the_very_same_client_of_which_nothing_is_known_goes_on(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[SLOW]) as sim, client_of(sim) as inner:
        client = Foreign(inner)
        with pytest.raises(KeyboardInterrupt):
            md.fetch_profiles(database, client=client, page_size=PAGE, on_batch_complete=stop_after(10))
        sim.clear_faults()
        assert md.fetch_profiles(database, client=client, page_size=PAGE, progress=False).resumed_pages >= 10


class _closing:  # noqa: N801 - used as a function
    def __init__(self, client: Any) -> None:
        self._client = client

    def __enter__(self) -> Any:
        return self._client

    def __exit__(self, *exc: object) -> None:
        getattr(self._client, "close", lambda: None)()


def test_ctrl_c_does_not_wait_for_page_0_of_a_client_whose_reads_cannot_be_cut(database: str) -> None:
    asked, answer = threading.Event(), threading.Event()

    class Slow:
        def query_engage_page(self, page: int, **_: Any) -> dict[str, Any]:
            asked.set()
            answer.wait(60)
            return {"results": [], "total": 0, "session_id": "s", "page_size": 1}

    class Impatient(md.SilentObserver):
        def ticked(self) -> None:
            if asked.is_set():
                raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            md.fetch_profiles(database, client=Slow(), observer=Impatient())
        assert not answer.is_set()
    finally:
        answer.set()


@pytest.mark.parametrize("most", [0, 2])
def test_a_fetch_thread_that_the_system_does_not_give_is_done_without_or_said(
    most: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name in {f"mp-fetch-page_{number}" for number in range(most, 5)}:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    with Simulator(PEOPLE, limits=FREE) as sim:
        if most:
            assert fetch(sim, database).is_complete
            return
        with pytest.raises(md.MixpanelError, match=r"^No thread can be started: can't start new thread\.$") as caught:
            fetch(sim, database)
    assert not isinstance(caught.value, md.FetchStopped)
