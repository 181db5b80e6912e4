"""``export_profiles``: in order, read ahead by a bounded number of pages, complete or said so, and gone when left."""

import asyncio
import gc
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, pages_asked, threads_named, wait_until
from mixpanel_duckdb.engage import readahead
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.simulator import Behaviour, Fault, Latency, Limits, Population, Simulator

PEOPLE = Population(PAGE * 30 - 7, seed=13)
FREE = Limits(quota=None, concurrency=None)
ORDERED = Behaviour(order="fixed")
# What is read behind the first two pages is silent until its client goes.
SILENT = Fault("hang", page=range(2, 30), attempts=None)
NAMES = [profile["$distinct_id"] for profile in PEOPLE.profiles()]


def names(profiles: Iterator[dict[str, Any]]) -> list[str]:
    return [profile["$distinct_id"] for profile in profiles]


def gather(profiles: Iterator[dict[str, Any]], found: list[str]) -> None:
    """Note what is yielded before an error."""
    for profile in profiles:
        found.append(profile["$distinct_id"])


def exporting() -> list[str]:
    return threads_named("mp-export")


def silent(sim: Simulator) -> bool:
    """Whether five reads are under way that would not end by themselves."""
    return sum(record.fault == "hang" for record in sim.requests) >= 5


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_profiles_come_in_page_order_whatever_overtakes_what(workers: int) -> None:
    behaviour = Behaviour(order="fixed", latency=Latency(base=0.01 * workers, jitter=1.0))
    with Simulator(PEOPLE, limits=Limits(quota=None), behaviour=behaviour) as sim, client_of(sim) as client:
        assert names(client.export_profiles(page_size=PAGE, max_workers=workers)) == NAMES
        assert sorted(pages_asked(sim.requests)) == list(range(30))
        assert sim.max_in_flight == workers
    wait_until(lambda: not exporting())


def test_the_first_profile_is_there_as_soon_as_page_0_is() -> None:
    silent_rest = Fault("hang", page=range(1, 30), attempts=None)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[silent_rest]) as sim, client_of(sim) as client:
        profiles = client.export_profiles(page_size=PAGE)
        assert names(itertools.islice(profiles, PAGE)) == NAMES[:PAGE]
        profiles.close()


def test_nothing_is_sent_before_the_first_profile_is_asked_for_but_filters_are_checked() -> None:
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        profiles = client.export_profiles(page_size=PAGE)
        with pytest.raises(md.QueryError, match="limit"):
            client.export_profiles(limit=0)
        with pytest.raises(md.QueryError, match="max_workers"):
            client.export_profiles(max_workers=0)
        assert sim.requests == []
        assert not exporting()
        profiles.close()


def test_more_than_five_workers_are_five_with_a_warning() -> None:
    behaviour = Behaviour(latency=0.05)
    with Simulator(PEOPLE, limits=FREE, behaviour=behaviour) as sim, client_of(sim) as client:
        with pytest.warns(UserWarning, match="using 5") as warned:
            profiles = client.export_profiles(page_size=PAGE, max_workers=9)
        assert len(list(profiles)) == len(NAMES)
        assert sim.max_in_flight == 5
        assert warned[0].filename == __file__


@pytest.mark.parametrize(("workers", "ahead"), [(1, 2), (3, 6), (5, 10)])
def test_a_slow_consumer_has_twice_as_many_pages_ahead_as_workers_and_no_more(workers: int, ahead: int) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        profiles = client.export_profiles(page_size=PAGE, max_workers=workers)
        next(profiles)
        wait_until(lambda: len(sim.requests) == 1 + ahead)
        time.sleep(0.3)
        assert len(sim.requests) == 1 + ahead
        assert len(list(profiles)) == len(NAMES) - 1


def test_large_pages_are_read_ahead_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readahead, "_MOST_BYTES_AHEAD", 1000)
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        profiles = client.export_profiles(page_size=PAGE)
        next(profiles)
        wait_until(lambda: len(sim.requests) == 2)
        time.sleep(0.3)
        assert len(sim.requests) == 2
        assert len(list(profiles)) == len(NAMES) - 1


class OwnError(Exception):
    """What a caller's code may raise."""


def leave_by_break(profiles: Any, items: int, ready: Callable[[], None]) -> None:
    for number, _ in enumerate(profiles, 1):
        if number == items:
            ready()
            break


def leave_by_close(profiles: Any, items: int, ready: Callable[[], None]) -> None:
    list(itertools.islice(profiles, items))
    ready()
    profiles.close()


def leave_by_an_error(profiles: Any, items: int, ready: Callable[[], None]) -> None:
    with suppress(OwnError):
        for number, _ in enumerate(profiles, 1):
            if number == items:
                ready()
                raise OwnError


def leave_to_the_collector(profiles: Any, items: int, ready: Callable[[], None]) -> None:
    list(itertools.islice(profiles, items))
    cycle = [profiles]
    cycle.append(cycle)
    ready()


LEAVE = [leave_by_break, leave_by_close, leave_by_an_error, leave_to_the_collector]


def test_profiles_of_a_page_that_nobody_holds_are_gone_before_the_next_become_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alive = []
    decoded = EngagePage.decoded

    def counting(page: EngagePage) -> Any:
        alive.append(sum("$distinct_id" in each for each in gc.get_objects() if type(each) is dict))
        return decoded(page)

    monkeypatch.setattr(EngagePage, "decoded", counting)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED) as sim, client_of(sim) as client:
        assert sum(1 for _ in client.export_profiles(page_size=PAGE)) == len(PEOPLE)
    assert len(alive) == 30
    assert max(alive) - alive[0] < PAGE


@pytest.mark.parametrize("items", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
@pytest.mark.parametrize("leave", LEAVE, ids=lambda each: each.__name__)
def test_left_at_any_profile_it_leaves_no_thread_and_no_request(
    leave: Callable[..., None], items: int, at_most: Callable[[float], float]
) -> None:
    left = []

    def ready() -> None:
        wait_until(lambda: silent(sim))
        left.append(time.monotonic())

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim, client_of(sim) as client:
        leave(client.export_profiles(page_size=PAGE), items, ready)
        gc.collect()
        wait_until(lambda: not exporting())
        assert time.monotonic() - left[0] < at_most(1.0)
        before = len(sim.requests)
        sim.clear_faults()
        assert client.query_engage_page(0)["total"] == len(NAMES)
        assert len(sim.requests) == before + 1


def test_ctrl_c_while_it_waits_for_a_page_ends_it(at_most: Callable[[float], float]) -> None:
    code = """
import threading
import mixpanel_duckdb as md
with md.MixpanelClient.from_env() as client:
    try:
        for number, profile in enumerate(client.export_profiles(page_size=20), 1):
            if number == 40:
                print("waiting", flush=True)
    except KeyboardInterrupt:
        for each in threading.enumerate():
            if each is not threading.main_thread():
                each.join()
        print(number)
"""
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim, script(code, sim) as process:
        assert process.stdout.readline() == "waiting\n"
        wait_until(lambda: silent(sim))
        before, started = len(sim.requests), time.monotonic()
        process.send_signal(2)
        assert process.stdout.read() == "40\n"
        assert time.monotonic() - started < at_most(2.0)
        assert process.wait(LONGEST) == 0
        assert len(sim.requests) == before


def script(code: str, sim: Simulator) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **sim.environment()}, stdout=subprocess.PIPE, text=True
    )


HELD = """
import mixpanel_duckdb as md
client = md.MixpanelClient.from_env()
profiles = client.export_profiles(page_size=20)
"""
HELD_BY_MAIN = f"""{HELD}
next(profiles)
print("held", flush=True)
input()
"""
HELD_BY_DAEMON = f"""{HELD}
import threading
threading.Thread(target=lambda: list(profiles), daemon=True).start()
print("held", flush=True)
input()
"""


@pytest.mark.parametrize("code", [HELD_BY_MAIN, HELD_BY_DAEMON], ids=["main", "daemon"])
def test_one_that_is_still_held_when_the_interpreter_ends_does_not_hold_it_up(
    code: str, at_most: Callable[[float], float]
) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **sim.environment()}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        wait_until(lambda: silent(sim))
        before, started = len(sim.requests), time.monotonic()
        _, errors = process.communicate("\n", timeout=LONGEST)
        assert time.monotonic() - started < at_most(3.0)
        assert (process.returncode, errors) == (0, "")
        assert len(sim.requests) == before


def test_the_collector_may_end_it_on_one_of_its_own_threads() -> None:
    holder: list[Any] = []
    at_rest = threading.Event()

    class Client(md.MixpanelClient):
        def fetch_page(self, index: int, *arguments: Any, **options: Any) -> Any:
            if index == 5:
                at_rest.wait(LONGEST)
                holder.clear()
            return super().fetch_page(index, *arguments, **options)

    with Simulator(PEOPLE, limits=FREE) as sim:
        with Client(md.Credentials.from_env(sim.environment()), base_url=sim.base_url) as client:
            profiles = client.export_profiles(page_size=PAGE)
            next(profiles)
            holder.append(profiles)
            del profiles
            at_rest.set()
            wait_until(lambda: not exporting())
        assert not holder


def test_it_works_in_any_thread_and_inside_a_running_loop() -> None:
    found = []
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED) as sim, client_of(sim) as client:

        async def inside() -> None:
            found.append(names(client.export_profiles(page_size=PAGE)))
            found.append(await asyncio.to_thread(lambda: names(client.export_profiles(page_size=PAGE))))

        asyncio.run(inside())
    assert found == [NAMES, NAMES]


def test_two_at_a_time_on_one_client_share_its_five_requests() -> None:
    behaviour = Behaviour(order="fixed", latency=0.05)
    with Simulator(PEOPLE, limits=Limits(quota=None), behaviour=behaviour) as sim, client_of(sim) as client:
        one, other = client.export_profiles(page_size=PAGE), client.export_profiles(page_size=PAGE, limit=PAGE * 25)
        pairs = list(zip(names(one), names(other), strict=False))
        assert pairs == [(name, name) for name in NAMES[: PAGE * 25]]
        assert sim.max_in_flight == 5
        assert all(record.status == 200 for record in sim.requests)


def test_leaving_one_cuts_no_read_of_another_run_on_the_same_client(database: str) -> None:
    with (
        Simulator(Population(PAGE * 12, seed=1), behaviour=Behaviour(latency=0.15), limits=FREE) as sim,
        client_of(sim) as client,
        ThreadPoolExecutor() as pool,
    ):
        # Connections of one run are used again by the other: warm them in turns.
        assert sum(1 for _ in client.export_profiles(page_size=PAGE)) == PAGE * 12
        fetching = pool.submit(
            md.fetch_profiles, database, client=client, page_size=PAGE, max_workers=2, progress=False
        )
        for _ in range(8):
            next(stream := client.export_profiles(page_size=PAGE, max_workers=2))
            time.sleep(0.02)
            stream.close()
        result = fetching.result(LONGEST)
    assert result.is_complete
    assert (result.retries, result.requests) == (0, 12)


def test_a_refusal_by_the_limits_is_waited_for() -> None:
    busy = Fault("concurrency", page=[3, 7], retry_after=0.1)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[busy]) as sim, client_of(sim) as client:
        assert names(client.export_profiles(page_size=PAGE)) == NAMES


TRANSIENT = ["empty_page", "short_page", "wrong_page", "garbage_200", "reset", "cut", "html_200"]


@pytest.mark.parametrize("page", [0, 3, 29])
@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_page_that_is_odd_once_is_fetched_again_and_nothing_is_missing(kind: Any, page: int) -> None:
    fault = Fault(kind, page=page, of_page=9, times=1)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[fault]) as sim, client_of(sim) as client:
        assert names(client.export_profiles(page_size=PAGE)) == NAMES
        assert pages_asked(sim.requests).count(page) == 2


@pytest.mark.parametrize("kind", ["empty_page", "short_page"])
def test_a_page_that_stays_short_is_said_and_raised_after_the_last_profile(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fault = Fault(kind, page=3, attempts=None, rows=5)
    left = 0 if kind == "empty_page" else 5
    wanted = NAMES[: PAGE * 3 + left] + NAMES[PAGE * 4 :]
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[fault]) as sim, client_of(sim) as client:
        found: list[str] = []
        with pytest.raises(md.IncompleteFetchError, match=f"Page 3: it has {left} profiles instead of 20"):
            gather(client.export_profiles(page_size=PAGE), found)
        assert found == wanted
        assert pages_asked(sim.requests).count(3) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"Page 3: it has {left} profiles instead of 20. Fetching it again.",
        f"Page 3: it has {left} profiles instead of 20. Its profiles are taken as they are.",
    ]


def test_a_total_that_drifts_is_said(caplog: pytest.LogCaptureFixture) -> None:
    behaviour = Behaviour(order="fixed", total="drifting")
    with Simulator(PEOPLE, limits=FREE, behaviour=behaviour) as sim, client_of(sim) as client:
        assert names(client.export_profiles(page_size=PAGE)) == NAMES
    assert sum("total changed" in record.getMessage() for record in caplog.records) == 58


@pytest.mark.parametrize(("kind", "tries"), [("wrong_page", 2), ("garbage_200", 5)])
def test_a_page_that_cannot_be_had_is_raised_when_its_turn_comes(kind: Any, tries: int) -> None:
    fault = Fault(kind, page=3, attempts=None, of_page=9)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[fault]) as sim, client_of(sim) as client:
        found: list[str] = []
        with pytest.raises(md.UnreadableAnswerError, match="Page 3"):
            gather(client.export_profiles(page_size=PAGE), found)
        assert found == NAMES[: PAGE * 3]
        assert pages_asked(sim.requests).count(3) == tries
    wait_until(lambda: not exporting())


def test_rows_that_nobody_can_read_are_asked_for_five_times() -> None:
    class Client(md.MixpanelClient):
        def fetch_page(self, index: int, *arguments: Any, **options: Any) -> Any:
            page = super().fetch_page(index, *arguments, **options)
            if index != 2:
                return page
            body = page.body.replace(b'"$properties":', b'"$properties" ', 1)
            return type(page)(index, body, page.page, page.page_size, page.session_id)

    with Simulator(PEOPLE, limits=FREE) as sim:
        client = Client(md.Credentials.from_env(sim.environment()), base_url=sim.base_url)
        with client, pytest.raises(md.UnreadableAnswerError, match="Page 2"):
            list(client.export_profiles(page_size=PAGE))
        assert pages_asked(sim.requests).count(2) == 5


def test_a_missing_total_is_raised_before_anything_is_yielded() -> None:
    with Simulator(PEOPLE, behaviour=Behaviour(total="never")) as sim, client_of(sim) as client:
        with pytest.raises(md.UnreadableAnswerError, match="no total"):
            next(client.export_profiles())
        assert len(sim.requests) == 1
    wait_until(lambda: not exporting())


def test_a_session_that_is_lost_is_raised_and_never_started_over() -> None:
    fault = Fault("lost_session", page=12)
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[fault]) as sim, client_of(sim) as client:
        found: list[str] = []
        with pytest.raises(md.SessionLostError, match=r"no longer has this result, and [0-9]+ of its profiles") as lost:
            gather(client.export_profiles(page_size=PAGE), found)
        assert found == NAMES[: len(found)]
        assert f"and {len(found)} of" in str(lost.value)
        assert pages_asked(sim.requests).count(0) == 1


def test_behaviours_name_the_same_moment_on_every_page() -> None:
    behaviors = [{"window": "30d", "name": "b1", "event_selectors": [{"event": "Login"}]}]
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        list(client.export_profiles(page_size=PAGE, behaviors=behaviors, where='(behaviors["b1"] >= 0)'))
        assert len({record.params.get("as_of_timestamp") for record in sim.requests}) == 1
        assert sim.requests[0].params["as_of_timestamp"]


@pytest.mark.parametrize("total", [0, 1, PAGE - 1, PAGE, PAGE + 1, PAGE * 2])
def test_every_size_around_a_page_boundary_is_complete(total: int) -> None:
    people = Population(total, seed=8)
    with Simulator(people, limits=FREE, behaviour=ORDERED) as sim, client_of(sim) as client:
        found = names(client.export_profiles(page_size=PAGE))
        assert found == [profile["$distinct_id"] for profile in people.profiles()]
        assert len(sim.requests) == max(1, -(-total // PAGE))


def test_a_stop_that_is_set_ends_a_stream_where_its_next_page_would_begin() -> None:
    stop, found = threading.Event(), []
    with Simulator(PEOPLE, limits=FREE, behaviour=ORDERED, faults=[SILENT]) as sim, client_of(sim) as client:
        helper = threading.Thread(target=lambda: (wait_until(lambda: silent(sim)), stop.set()))
        helper.start()
        with pytest.raises(md.FetchStopped, match="stopped by its caller"):
            gather(client.export_profiles(page_size=PAGE, stop=stop), found)
        helper.join()
        assert found == NAMES[: len(found)]
        assert len(found) <= 2 * PAGE
        wait_until(lambda: not exporting())
        sim.clear_requests()
        with pytest.raises(md.FetchStopped):
            next(client.export_profiles(stop=stop))
        assert sim.requests == []
