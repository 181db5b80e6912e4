"""What is kept of the way of a page: failures once each, waits as one, little memory, text there and back."""

import time
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import FetchStopped, RateLimitError, ServerError
from mixpanel_duckdb.http.trace import Step, Trace, steps_from, steps_text, utc_now

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))
KINDS = st.sampled_from(["failed", "refused", "stopped", "limit", "turn", "backoff"])


@given(st.lists(st.builds(Step, KINDS, MOMENTS, MOMENTS, st.text(), st.text())))
def test_steps_are_read_as_they_were_written(steps):
    assert steps_from(steps_text(steps)) == tuple(steps)
    assert (steps_text(steps) is None) == (not steps)


def test_a_page_without_trouble_has_no_steps():
    trace = Trace()
    before = utc_now()
    trace.take(3)
    trace.sent()
    arrival = trace.arrived(3)
    assert before <= arrival.requested_at <= arrival.received_at <= utc_now()
    assert (arrival.worker, arrival.steps, trace.unfinished()) == ("MainThread", (), {})


def test_each_request_that_fails_is_noted_once_with_what_it_was():
    trace = Trace()
    trace.take(3)
    for error in (ServerError("Page 3: 502"), RateLimitError("Page 3: slow down", status=429), FetchStopped("stopped")):
        trace.sent()
        trace.failed(error)
        trace.failed(error)
    assert [(step.what, step.why) for step in trace.arrived(3).steps] == [
        ("failed", "502"), ("refused", "slow down"), ("stopped", "stopped"),
    ]  # fmt: skip


def test_giving_up_a_wait_is_no_request():
    trace = Trace()
    trace.take(3)
    trace.failed(RateLimitError("too long"))
    assert trace.unfinished() == {}


def test_pieces_of_one_wait_become_one_and_others_stay_apart():
    trace = Trace()
    trace.take(0)
    now = time.monotonic()
    trace.waited("limit", now, now + 0.1, "quota")
    trace.waited("limit", now + 0.1, now + 0.2, "quota")
    trace.waited("turn", now + 0.2, now + 0.3)
    trace.waited("limit", now + 0.3, now + 0.4)
    trace.waited("limit", now + 5.0, now + 5.1)
    steps = trace.arrived(0).steps
    assert [step.what for step in steps] == ["limit", "turn", "limit", "limit"]
    assert abs((steps[0].ended - steps[0].started).total_seconds() - 0.2) < 0.01


def test_what_is_done_for_no_page_is_not_kept():
    trace = Trace()
    trace.sent()
    trace.failed(ServerError("502"))
    trace.waited("backoff", 0.0, 1.0)
    assert trace.unfinished() == {}


def test_a_page_that_fails_for_hours_takes_little_memory():
    trace = Trace()
    trace.take(0)
    for number in range(1000):
        trace.sent()
        trace.failed(ServerError("not now. " * 1_000 if number else "first"))
    (steps,) = trace.unfinished().values()
    assert len(steps) == 64
    assert len(steps_text(steps)) < 64 * 400


def test_a_page_that_arrived_in_vain_keeps_its_steps_for_the_next_try():
    trace = Trace()
    trace.take(5)
    trace.sent()
    trace.failed(ServerError("502"))
    trace.sent()
    trace.spoiled(5, trace.arrived(5), "it is short")
    assert set(trace.unfinished()) == {5}
    trace.take(5)
    trace.sent()
    first, second = trace.arrived(5).steps
    assert (first.why, second.why, second.what) == ("502", "it is short", "failed")
    assert first.ended <= second.started <= second.ended


def test_moments_are_wall_time():
    trace = Trace()
    trace.take(1)
    before, now = utc_now(), time.monotonic()
    trace.waited("backoff", now - 10.0, now - 5.0)
    (step,) = trace.arrived(1).steps
    assert before - timedelta(seconds=0.5) < step.started + timedelta(seconds=10) < utc_now() + timedelta(seconds=0.5)
