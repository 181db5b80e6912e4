"""A stop wakes whoever waits under it, at once and without a poll."""

import threading

import pytest

from helpers import LONGEST
from mixpanel_duckdb import FetchStopped
from mixpanel_duckdb.http import RateLimiter
from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.http.refusal import LimitHit
from mixpanel_duckdb.http.stop import Stop


def ended_by(stop, wait):
    """Start a wait on a thread, ask for the stop, and give what the wait ended in."""
    ends = []

    def run():
        try:
            ends.append(wait())
        except FetchStopped as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    stop.ask()
    thread.join(LONGEST)
    assert not thread.is_alive()
    return ends[0]


def test_a_stop_ends_a_sleep():
    stop = Stop()
    assert isinstance(ended_by(stop, lambda: stop.sleep(3600)), FetchStopped)


def test_a_stop_ends_a_wait_on_a_condition_of_anybodys():
    stop, condition = Stop(), threading.Condition()

    def wait():
        with condition:
            stop.wait(condition)
        return "woken"

    assert ended_by(stop, wait) == "woken"


def test_a_stop_ends_a_wait_for_the_servers_limits():
    limiter, control = RateLimiter(), FetchControl()
    limiter.hit(LimitHit("quota", wait=3600.0))

    def wait():
        with limiter.slot(control):
            return "sent"

    assert isinstance(ended_by(control.stop, wait), FetchStopped)


def test_nobody_waits_after_a_stop():
    stop, condition = Stop(), threading.Condition()
    stop.ask()
    with condition:
        stop.wait(condition)
    with pytest.raises(FetchStopped):
        stop.sleep(3600)


def test_a_stop_that_is_asked_for_while_the_condition_is_held_is_not_lost():
    # As by the garbage collector, which runs in the middle of anything.
    stop, condition = Stop(), threading.Condition()
    with condition:
        stop.ask()
        stop.wait(condition)
