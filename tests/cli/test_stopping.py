"""Ctrl-C and SIGTERM: a clean stop, one line, and the same command goes on; a second Ctrl-C ends at once."""

import signal
import subprocess
import sys
import time
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner

from cli.command import MpFetch, outcome
from helpers import wait_until
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.cli.ending import Commands
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator


@pytest.fixture
def half_silent():
    """Forty pages, of which the last twenty are silent until their client goes."""
    silent = Fault("hang", page=range(20, 40), attempts=None)
    # To a server, a request that was cut is still one of the five.
    limits = Limits(concurrency=None)
    with Simulator(Population(2000, seed=3), behaviour=Behaviour(page_size=50), limits=limits, faults=[silent]) as sim:
        yield sim


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_cleanly_and_the_same_command_goes_on(half_silent, tmp_path, number, code, at_most):
    mp_fetch = MpFetch(tmp_path, half_silent.environment())
    running = mp_fetch.start("profiles", "--json")
    wait_until(lambda: sum(record.fault == "hang" for record in half_silent.requests) == 5)
    sent = time.monotonic()
    running.send_signal(number)
    stopped = outcome(running)
    assert time.monotonic() - sent < at_most(3)
    assert stopped.code == code
    assert stopped.json["error"]["code"] == "interrupted"
    assert len([line for line in stopped.said if line.startswith("Stopped after") and "goes on from here" in line]) == 1
    assert "Traceback" not in stopped.err
    half_silent.clear_faults()
    rest = mp_fetch("profiles", "--json")
    assert (rest.code, rest.json["total_rows"]) == (0, 2000)
    assert rest.json["resumed_pages"] == 20


def test_the_second_ctrl_c_ends_at_once(at_most):
    script = """
import click, time
from mixpanel_duckdb.cli.ending import Commands

@click.group(cls=Commands)
def main(): ...

@main.command()
def stubborn():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("stopping", flush=True)
        time.sleep(600)

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
    assert time.monotonic() - sent < at_most(5)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", ["parse_args", "invoke"])
@pytest.mark.parametrize("comes", ["before", "behind"])
def test_a_signal_just_before_a_command_heeds_it_or_just_after_ends_as_any_other(
    number, code, moment, comes, monkeypatch
):
    usual = getattr(Commands, moment)

    def struck(*arguments):
        if comes == "behind":
            with suppress(click.exceptions.Exit):
                usual(*arguments)
        signal.raise_signal(number)

    monkeypatch.setattr(Commands, moment, struck)
    ended = CliRunner().invoke(main, ["forget", "--help"])
    assert ended.exit_code == code
    assert "Traceback" not in ended.output


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
        assert done.said[0].startswith("Error: unexpected ZeroDivisionError")
        assert ("Traceback" in done.err) is shown
        assert "s3cret-word" not in done.err
