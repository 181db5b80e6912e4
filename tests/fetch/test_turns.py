"""Turns at the interpreter's lock are short while pages are on their way, and what they were before afterwards."""

import itertools
import sys
import threading

import pytest

from helpers import LONGEST
from mixpanel_duckdb.fetch.turns import SHORT_TURNS
from mixpanel_duckdb.store import PageIngest
from store.storing import fetch_rows

ROWS = [b'{"$distinct_id": "%d", "$properties": {}}' % number for number in range(30)]


@pytest.fixture(autouse=True)
def interval():
    before = sys.getswitchinterval()
    yield before
    sys.setswitchinterval(before)


def test_a_run_has_short_turns_while_it_writes_and_gives_them_back(interval, monkeypatch):
    seen, commit = [], PageIngest.commit

    def committing(sink, groups):
        seen.append(sys.getswitchinterval())
        return commit(sink, groups)

    monkeypatch.setattr(PageIngest, "commit", committing)
    fetch_rows(ROWS, page_size=10)
    assert seen
    assert seen == [pytest.approx(0.0002)] * len(seen)
    assert sys.getswitchinterval() == interval


def interrupting(at):
    """A tracer that raises KeyboardInterrupt where Ctrl-C would: at a line of this file's subject, counted up."""
    left = itertools.count(at, -1)

    def trace(frame, event, _):
        if not frame.f_code.co_filename.endswith("turns.py"):
            return None
        if event in ("call", "line") and next(left) == 0:
            raise KeyboardInterrupt
        return trace

    return trace


def test_a_ctrl_c_at_any_moment_leaves_no_short_turns(interval):
    """Python runs a signal's handler on the main thread, between two of its lines."""
    for at in range(100):
        before = sys.gettrace()
        sys.settrace(interrupting(at))
        try:
            fetch_rows(ROWS[:1])
        except KeyboardInterrupt:
            assert sys.getswitchinterval() == interval
            continue
        finally:
            sys.settrace(before)
        break
    assert sys.getswitchinterval() == interval
    assert at < 99


def test_a_run_that_fails_gives_them_back(interval):
    def fail(_):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fetch_rows(ROWS, page_size=10, on_batch_complete=fail)
    assert sys.getswitchinterval() == interval


def test_the_last_run_of_several_gives_them_back(interval):
    entered, leave = threading.Event(), threading.Event()

    def other():
        with SHORT_TURNS:
            entered.set()
            leave.wait(LONGEST)

    thread = threading.Thread(target=other)
    with SHORT_TURNS:
        thread.start()
        entered.wait(LONGEST)
    assert sys.getswitchinterval() == pytest.approx(0.0002)
    leave.set()
    thread.join(LONGEST)
    assert sys.getswitchinterval() == interval


def test_what_the_process_sets_meanwhile_stays():
    with SHORT_TURNS:
        sys.setswitchinterval(0.002)
    assert sys.getswitchinterval() == pytest.approx(0.002)


def test_turns_that_are_shorter_already_stay_as_they_are():
    sys.setswitchinterval(0.0001)
    short = sys.getswitchinterval()
    with SHORT_TURNS:
        assert sys.getswitchinterval() == short
    assert sys.getswitchinterval() == short
