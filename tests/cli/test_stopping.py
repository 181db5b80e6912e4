"""Ctrl-C and SIGTERM: a clean stop, one line, and the same command goes on; a second Ctrl-C ends at once."""

import signal
import subprocess
import sys
import time

import pytest

from cli.command import MpFetch, outcome
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator


@pytest.fixture
def slow():
    with Simulator(Population(2000, seed=3), behaviour=Behaviour(page_size=50, latency=0.15)) as running:
        yield running


def until_pages(simulator, count):
    end = time.monotonic() + 15
    while len([record for record in simulator.requests if record.finished]) < count:
        assert time.monotonic() < end, "the command asked for no pages"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_cleanly_and_the_same_command_goes_on(slow, tmp_path, number, code):
    mp_fetch = MpFetch(tmp_path, slow.environment())
    running = mp_fetch.start("profiles", "--json")
    until_pages(slow, 12)
    sent = time.monotonic()
    running.send_signal(number)
    stopped = outcome(running)
    assert time.monotonic() - sent < 3
    assert stopped.code == code
    assert stopped.json["error"]["code"] == "interrupted"
    lines = stopped.err.splitlines()
    assert len([line for line in lines if line.startswith("Stopped after") and "goes on from here" in line]) == 1
    assert "Traceback" not in stopped.err
    rest = mp_fetch("profiles", "--json")
    assert (rest.code, rest.json["total_rows"]) == (0, 2000)
    assert rest.json["resumed_pages"] >= 5


def test_the_second_ctrl_c_ends_at_once():
    script = """
import click, time
from mixpanel_duckdb.cli.ending import Commands

@click.group(cls=Commands)
def main(): ...

@main.command()
def stubborn():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        time.sleep(60)

main(["stubborn"])
"""
    running = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in ("ready", "stopping"):
        assert running.stdout.readline().strip() == line
        running.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert outcome(running).code == 130
    assert time.monotonic() - sent < 5


def test_an_unexpected_error_is_one_sentence_and_v_shows_where_without_secrets(tmp_path):
    script = """
import click, sys
from mixpanel_duckdb.cli.options import talk_options
from mixpanel_duckdb.cli.ending import Commands

@click.group(cls=Commands)
def main(): ...

@main.command()
@talk_options
def broken():
    raise ZeroDivisionError("with s3cret-word")

main(sys.argv[1:])
"""
    for flag, shown in (("-q", False), ("-v", True)):
        done = outcome(
            subprocess.Popen(
                [sys.executable, "-c", script, "broken", flag], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, env={"MP_SECRET": "s3cret-word"},
            )
        )  # fmt: skip
        assert done.code == 1
        assert done.err.startswith("Error: unexpected ZeroDivisionError")
        assert ("Traceback" in done.err) is shown
        assert "s3cret-word" not in done.err
