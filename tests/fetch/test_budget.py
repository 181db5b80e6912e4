"""The byte budget: who may ask for a body now, and who must wait."""

import threading

import pytest

from helpers import LONGEST
from mixpanel_duckdb.engage import LARGEST_BODY
from mixpanel_duckdb.errors import FetchStopped
from mixpanel_duckdb.fetch import download
from mixpanel_duckdb.fetch.budget import ByteBudget
from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.http.stop import Stop


def goes_ahead(budget: ByteBudget, index: int) -> bool:
    """Whether a page gets its room without waiting: whoever would wait under a stopped control is sent away."""
    control = FetchControl()
    control.stop.ask()
    try:
        budget.reserve(index, control)
    except FetchStopped:
        return False
    return True


def test_a_request_waits_while_one_more_body_as_large_as_the_largest_would_not_fit():
    budget = ByteBudget(100, bodies=7)
    budget.arrived(0, 40)
    assert goes_ahead(budget, 1)
    assert not goes_ahead(budget, 2)
    budget.arrived(1, 10)
    assert goes_ahead(budget, 2)
    assert not goes_ahead(budget, 3)


@pytest.mark.parametrize(("largest", "held"), [(2, 15), (3, 10), (8, 7), (12, 7), (14, 7), (20, 5), (50, 2)])
def test_as_many_are_held_as_keep_every_thread_busy_and_more_only_while_they_are_small(largest, held):
    budget = ByteBudget(100, bodies=7, largest=largest)
    assert sum(goes_ahead(budget, index) for index in range(100)) == held


def test_one_body_alone_is_allowed_however_large():
    budget = ByteBudget(100, bodies=7)
    budget.arrived(0, 5000)
    assert not goes_ahead(budget, 1)
    budget.release(0)
    assert goes_ahead(budget, 1)
    assert not goes_ahead(budget, 2)


@pytest.mark.parametrize("larger_than_foreseen", [1.0, 1.2])
@pytest.mark.parametrize("workers", [1, 5])
def test_of_the_largest_pages_that_are_asked_for_one_is_parsed_while_another_is_committed(
    workers, larger_than_foreseen
):
    budget = ByteBudget(download._BODY_BYTES, bodies=workers + 2)
    budget.arrived(0, int(LARGEST_BODY * larger_than_foreseen))
    assert goes_ahead(budget, 1)
    assert not goes_ahead(budget, 2)


def test_the_largest_body_of_an_earlier_run_counts_from_the_first_request():
    budget = ByteBudget(100, bodies=7, largest=60)
    assert [goes_ahead(budget, index) for index in range(3)] == [True, False, False]


def test_a_page_that_did_not_come_gives_its_room_back_and_releasing_twice_gives_no_more():
    budget = ByteBudget(100, bodies=7, largest=50)
    assert [goes_ahead(budget, index) for index in range(3)] == [True, True, False]
    budget.release(0)
    budget.release(0)
    budget.release(7)
    assert [goes_ahead(budget, index) for index in (2, 3)] == [True, False]


@pytest.mark.parametrize("wake", ["release", "stop"])
def test_a_thread_that_is_held_back_goes_on_with_room_and_ends_with_a_stop(wake):
    waiting, ends = threading.Event(), []

    class Told(Stop):
        def wait(self, condition, seconds=None):
            waiting.set()
            super().wait(condition, seconds)

    budget, control = ByteBudget(100, bodies=7), FetchControl(stop=Told())
    budget.arrived(0, 80)

    def ask():
        try:
            budget.reserve(1, control)
        except FetchStopped:
            ends.append("stop")
        else:
            ends.append("release")

    thread = threading.Thread(target=ask)
    thread.start()
    assert waiting.wait(LONGEST)
    assert ends == []
    if wake == "release":
        budget.release(0)
    else:
        control.stop.ask()
    thread.join(LONGEST)
    assert ends == [wake]


def test_many_threads_never_hold_more_than_the_limit_and_all_get_through():
    budget, control = ByteBudget(100, bodies=7, largest=30), FetchControl()
    lock, alive, peaks = threading.Lock(), {}, []

    def work(first):
        for index in range(first, first + 40):
            budget.reserve(index, control)
            with lock:
                alive[index] = 30 - index % 7
                peaks.append(sum(alive.values()))
            budget.arrived(index, alive[index])
            with lock:
                del alive[index]
            budget.release(index)

    threads = [threading.Thread(target=work, args=[1000 * number]) for number in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LONGEST)
    assert len(peaks) == 200
    assert max(peaks) <= 100
