"""A line between threads: bounded, in order, and never a wait without an end."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from helpers import LONGEST
from mixpanel_duckdb.fetch.channel import Channel


def started(target):
    thread = threading.Thread(target=target)
    thread.start()
    return thread


@given(items=st.lists(st.integers(), max_size=30), capacity=st.integers(1, 5))
def test_what_is_put_comes_out_in_order_and_then_the_end(items, capacity):
    line, taken = Channel(capacity), []

    def take():
        while (item := line.get()) is not None:
            taken.append(item)

    taker = started(take)
    assert all(line.put(item) for item in items)
    line.close()
    taker.join(LONGEST)
    assert (taken, line.get(), line.put(1)) == (items, None, False)


def test_no_more_wait_in_a_line_than_it_holds():
    line, put = Channel(2), []
    putter = started(lambda: put.extend(line.put(item) for item in range(3)))
    while len(line) < 2:
        pass
    putter.join(0.05)
    assert putter.is_alive()
    assert line.get() == 0
    putter.join(LONGEST)
    assert (put, len(line)) == ([True] * 3, 2)


def test_breaking_off_wakes_whoever_puts_or_takes_and_drops_what_waits():
    full, empty, got = Channel(1), Channel(1), []
    full.put("a")
    threads = [started(lambda: got.append(full.put("b"))), started(lambda: got.append(empty.get()))]
    full.break_off()
    empty.break_off()
    for thread in threads:
        thread.join(LONGEST)
    assert sorted(got, key=str) == [False, None]
    assert full.get() is None


def test_a_wait_for_the_next_item_may_have_an_end():
    line = Channel(1)
    assert line.get(0.01) is None
    assert line.put("late")
    assert line.get(0.01) == "late"
