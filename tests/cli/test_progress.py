"""A bar for a terminal of any width, a line now and then for a log."""

import io
import os
import re
import subprocess
import sys

import pytest

from cli.command import MOMENT, MpFetch, outcome
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


@pytest.mark.parametrize("columns", [120, 30])
def test_on_a_terminal_one_line_is_redrawn_within_its_width_and_left_clean(tmp_path, columns):
    with Simulator(Population(600, seed=1), behaviour=Behaviour(page_size=50, latency=0.15)) as simulator:
        mp_fetch = MpFetch(tmp_path, {**simulator.environment(), "TERM": "xterm", "CI": ""})
        code, written = mp_fetch.on_terminal("profiles", columns=columns, streams=("stderr",))
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
    code, written = MpFetch(tmp_path, {**simulator.environment(), **variables}).on_terminal(
        "profiles", streams=("stderr",)
    )
    assert code == 0
    assert all(MOMENT.match(line) for line in written.splitlines())
    assert "Complete: 1,030 of 1,030 profiles" in written.splitlines()[-1]
    assert "\r" not in written.replace("\r\n", "\n")


def test_without_a_terminal_lines_say_how_the_run_began_what_it_had_to_do_and_where_it_ended(mp_fetch):
    said = mp_fetch("profiles").said
    assert [line[:21] for line in said] == ["Fetching into table '", "1,030 profiles in 11 ", "Complete: 1,030 of 1,"]


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


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_fail_no_command(mp_fetch, tmp_path, closed):
    for words in (
        ["profiles"],
        ["status"],
        ["sql", "FROM profiles LIMIT 1"],
        ["sql", "FROM profiles", "--csv"],
        ["export", "profiles", "-", "--format", "csv"],
    ):
        shell = ["sh", "-c", f'exec "$0" -m mixpanel_duckdb "$@" {closed}', sys.executable, *words]
        env = {**os.environ, **mp_fetch.variables}
        done = subprocess.run(shell, check=False, cwd=tmp_path, env=env, stderr=subprocess.PIPE, timeout=LONGEST)
        assert (done.returncode, b"unexpected" in done.stderr) == (0, False), (words, done.stderr)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_that_cannot_hold_a_letter_fails_no_command(mp_fetch, encoding):
    mp = MpFetch(mp_fetch.folder, {**mp_fetch.variables, "PYTHONIOENCODING": encoding})
    for words in (
        ["profiles", "\U0001f600"],
        ["status"],
        ["sql", 'FROM "\U0001f600"'],
        ["sql", 'FROM "\U0001f600"', "--json"],
        ["export", "\U0001f600", "-", "--format", "csv"],
    ):
        done = outcome(mp.start(*words, errors="replace"))
        assert (done.code, "unexpected" in done.err) == (0, False), (words, done.err)


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
