"""A bar for a terminal of any width, a line now and then for a log."""

import io
import os
import pty
import re
import struct
import termios
from fcntl import ioctl

import pytest

from cli.command import MpFetch
from helpers import LONGEST
from mixpanel_duckdb.display import Bar, Heartbeat, Screen, Tally, bar_line
from mixpanel_duckdb.results.progress import FetchPlan, ProfileBatchProgress
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator

PLAN = FetchPlan("profiles", 10, 1000, 0, 0, 5)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self):
        return True


def page(done, rows=100, success=True):
    return ProfileBatchProgress(done - 1, 10, rows, success, None if success else "502", done, done * 100)


def shown(written):
    """What a terminal shows at the end of each redraw."""
    return [part for part in re.split(r"[\r\n]+", written) if part.strip()]


def on_terminal(mp_fetch, columns, *words):
    """Run a command whose standard error is a terminal; return its exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = mp_fetch.start(*words, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux says EIO when the other side is closed
        pass
    os.close(ours)
    process.communicate(timeout=LONGEST)
    return process.returncode, written.decode()


@pytest.mark.parametrize("columns", [120, 30])
def test_on_a_terminal_one_line_is_redrawn_within_its_width_and_left_clean(tmp_path, columns):
    with Simulator(Population(600, seed=1), behaviour=Behaviour(page_size=50, latency=0.15)) as simulator:
        mp_fetch = MpFetch(tmp_path, {**simulator.environment(), "TERM": "xterm", "CI": ""})
        code, written = on_terminal(mp_fetch, columns, "profiles")
    assert code == 0
    lines = shown(written)
    assert len(lines) >= 3
    assert all(len(line) < columns for line in lines)
    assert "/12 pages" in lines[-1]
    assert "\n" not in written
    assert written.endswith(" \r")
    if columns == 120:
        assert "━" in lines[-1]
        assert "/s" in lines[-1]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}], ids=["dumb", "CI"])
def test_a_terminal_that_nobody_watches_gets_lines_instead(tmp_path, simulator, variables):
    code, written = on_terminal(MpFetch(tmp_path, {**simulator.environment(), **variables}), 80, "profiles")
    assert code == 0
    assert written.splitlines() == [line for line in written.splitlines() if line.startswith("11/11 pages, 1,030")]


def test_without_a_terminal_the_last_line_says_where_the_run_ended(mp_fetch):
    assert re.fullmatch(r"11/11 pages, 1,030 profiles in \d:\d\d\n", mp_fetch("profiles").err)


def test_the_bar_is_drawn_at_most_ten_times_a_second():
    clock, stream = Clock(), Terminal()
    bar = Bar(print, Screen(stream), clock=clock)
    bar.planned(PLAN)
    for _ in range(100):
        clock.now += 0.01
        bar.ticked()
        bar.page_done(page(3))
    assert len(shown(stream.getvalue())) <= 11


def test_a_line_above_the_bar_leaves_the_bar_below():
    stream = Terminal()
    screen = Screen(stream)
    screen.draw("the bar")
    screen.line("a warning")
    screen.draw("")
    assert stream.getvalue() == "the bar\r       \ra warning\nthe bar\r       \r"


def test_a_closed_standard_error_never_ends_a_run():
    stream = Terminal()
    screen = Screen(stream)
    stream.close()
    screen.line("nobody hears this")


@pytest.mark.parametrize("width", [1, 5, 11, 20, 40, 79, 200])
def test_a_line_fits_whatever_the_width(width):
    figures = ["12/41 pages", "12,000 profiles", "980/s", "0:29 left"]
    assert len(bar_line(figures, 12 / 41, width)) <= width


def test_a_full_bar_is_full_and_an_empty_one_empty():
    assert bar_line(["10/10 pages"], 1.0, 80).startswith("=" * 30)
    assert bar_line(["0/10 pages"], 0.0, 80).startswith("-" * 30)


def test_rate_and_time_left_leave_out_waits_and_what_an_earlier_run_did():
    clock = Clock()
    tally = Tally(print, clock=clock)
    tally.planned(FetchPlan("profiles", 10, 1000, 4, 400, 5))
    tally.waiting(60.0, "quota")
    clock.now += 30
    tally.waiting(30.0, "quota")
    assert tally.figures()[1].startswith("waiting until ")
    assert tally.figures()[2] == "(hourly quota, 0:30)"
    clock.now += 32
    tally.page_done(page(5))
    assert tally.figures() == ["5/10 pages", "500 profiles", "50/s", "0:10 left"]


def test_time_left_counts_down_between_pages_and_the_rate_sinks_only_in_a_stall():
    clock = Clock()
    tally = Tally(print, clock=clock)
    tally.planned(PLAN)
    clock.now += 2
    tally.page_done(page(2))
    assert tally.figures()[2:] == ["100/s", "0:08 left"]
    clock.now += 3
    assert tally.figures()[2:] == ["100/s", "0:05 left"]
    clock.now += 5
    assert tally.figures()[2] == "20/s"


def test_failed_pages_are_counted_apart():
    tally = Tally(print, clock=Clock())
    tally.planned(PLAN)
    tally.page_done(page(1, success=False))
    assert tally.figures()[0] == "1/10 pages (1 failed)"
    assert tally.stop_line().startswith("Stopped after 0 of 10 pages")


def test_heartbeats_are_ten_seconds_apart_and_a_minute_during_a_long_wait():
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(print, Screen(stream), clock=clock)
    beat.planned(PLAN)
    for _ in range(210):
        clock.now += 0.1
        beat.page_done(page(2))
    assert len(stream.getvalue().splitlines()) == 2
    for seconds in range(600, 0, -1):
        beat.waiting(float(seconds), "quota")
        beat.ticked()
        clock.now += 1
    lines = stream.getvalue().splitlines()[2:]
    assert 10 <= len(lines) <= 13
    assert re.fullmatch(r"2/10 pages, waiting until [\d :-]+ \(hourly quota, 10:00\)", lines[0])


def test_a_short_wait_is_no_line_of_its_own():
    stream = io.StringIO()
    beat = Heartbeat(print, Screen(stream), clock=Clock())
    beat.planned(PLAN)
    beat.waiting(1.0, "concurrency")
    assert stream.getvalue() == ""
