"""The whole command against anything a server may say, and signals: what seeds draw, see ``fuzzing``.

Whatever comes, a run ends with the exact table or a clear report, under an exit code of the contract, without a
traceback, a thread, a lock or a secret; and the next run against a good server completes.

``MP_TEST_FUZZ=2000`` runs so many seeds, ``MP_TEST_FUZZ=300:400`` those from 300 on. A seed that fails says which of
its faults are enough to fail.
"""

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import httpx
import pytest
from click.testing import CliRunner

from faults.fuzzing import Case, case
from helpers import LONGEST, PAGE, served, stored, tables
from mixpanel_duckdb import MixpanelClient
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.http import rate_limit, retry
from mixpanel_duckdb.simulator import Population, Simulator
from text.forms import layers

_FIRST, _, _LAST = os.environ.get("MP_TEST_FUZZ", "100").rpartition(":")
SEEDS = range(int(_FIRST or 0), int(_LAST))
OLD = Population(PAGE, seed=999)
# Seconds that an undisturbed run takes, more or less: signals come within.
SILENCE = 5.0
USUAL = {False: 0.15, True: 1.2}
MISHAPS = {1, 2, 3, 4}
STOPPED = {130, -signal.SIGINT}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that the package chooses itself are short; the server's own are bounded by a flag."""
    # An answer that is announced as longer than it is ends by the read timeout, and no other way.
    monkeypatch.setitem(MixpanelClient.__init__.__kwdefaults__, "timeout", httpx.Timeout(SILENCE))
    patient = retry.RetryPolicy.delay

    def delay(self: retry.RetryPolicy, attempt: int, error: Exception) -> float | None:
        seconds = patient(self, attempt, error)
        return seconds and seconds / 100

    monkeypatch.setattr(retry.RetryPolicy, "delay", delay)
    monkeypatch.setattr(rate_limit, "_LONGEST_BACKOFF", dict.fromkeys(rate_limit._LONGEST_BACKOFF, (0.02, 0.05)))


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Python can tell nobody: a signal that falls into a callback of the collector's, Hypothesis' own say, or
    between the opening of a file or folder and the block that closes it, which the collector does then.
    """
    usual = sys.unraisablehook

    def heard(what: "sys.UnraisableHookArgs") -> None:
        if what.exc_type not in (KeyboardInterrupt, ResourceWarning):
            usual(what)

    monkeypatch.setattr(sys, "unraisablehook", heard)
    gc.freeze()
    yield
    gc.collect()  # not in another test, and only what this one has made
    gc.unfreeze()


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_the_table_is_exact_or_the_report_is_clear(seed: int, tmp_path: Path) -> None:
    drawn = case(seed)
    try:
        play(drawn, tmp_path / "all")
    except Exception as error:
        needed = shrink(drawn, tmp_path)
        raise AssertionError(
            f"{type(error).__name__}: {error}\nseed {seed} fails so; this is enough:\n{told(needed)}"
        ) from error


def play(drawn: Case, folder: Path) -> None:
    """One run under trouble, and one without."""
    folder.mkdir()
    with drawn.server() as sim:
        database = str(folder / "p.duckdb")
        if drawn.replaces:
            sim.clear_faults()
            sim.replace_population(OLD)
            assert run(replace(drawn, flags=(), interrupt=None, apart=False), sim, folder)[0] == 0
            sim.replace_population(drawn.population)
            for fault in drawn.faults:
                sim.add_fault(fault)
            sim.clear_requests()
        check(drawn, folder, *run(drawn, sim, folder))
        sim.clear_faults()
        if drawn.replaces or "profiles" not in tables_of(database):
            good = replace(drawn, interrupt=None, apart=False)
            code, said = run(good, sim, folder)
            assert code == 0, said
            check(good, folder, code, said)
        assert is_exact(drawn, database)


def run(drawn: Case, sim: Simulator, folder: Path) -> tuple[int, str]:
    """Run the command; give its exit code and all that it said."""
    words = ["profiles", "-d", str(folder / "p.duckdb"), "--page-size", str(PAGE), "--max-wait", "0.3"]
    words += ["--timeline", str(folder / "p.svg"), *drawn.flags]
    if drawn.apart:
        return run_apart(drawn, sim, words)
    kill = threading.Timer((drawn.interrupt or 0) * USUAL[False], os.kill, (os.getpid(), signal.SIGINT))
    if drawn.interrupt is None:
        done = CliRunner(env=sim.environment()).invoke(main, words)
        return done.exit_code, done.output
    done = None
    with suppress(KeyboardInterrupt):
        try:
            kill.start()
            done = CliRunner(env=sim.environment()).invoke(main, words)
        finally:
            kill.cancel()
            kill.join()
    # Outside of the command a signal is the test's own.
    return (done.exit_code, done.output) if done else (130, "Stopped")


def run_apart(drawn: Case, sim: Simulator, words: list[str]) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mixpanel_duckdb", *words],
        env={**os.environ, **sim.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if drawn.interrupt is not None:
        time.sleep(drawn.interrupt * USUAL[True])
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=LONGEST)
    return process.returncode, out.decode("utf-8", "replace")


def check(drawn: Case, folder: Path, code: int, said: str) -> None:
    database = str(folder / "p.duckdb")
    stopped = drawn.interrupt is not None
    assert code in {0} | MISHAPS | (STOPPED if stopped else set()), said
    # As the command names an error of its own; DuckDB's reasons have "unexpected character".
    assert not re.search(r"unexpected \w+: ", said), said
    # Python itself may still be starting when a signal comes.
    assert "Traceback" not in said or "-v" in drawn.flags or (stopped and drawn.apart), said
    assert code == 0 or said, "nothing was said of a failure"
    if code == 0:
        assert is_exact(drawn, database), "complete, and not the exact table"
    elif drawn.replaces:
        assert stored(database) == served(OLD) or (stopped and is_exact(drawn, database)), "neither old nor new"
    else:
        assert "profiles" not in tables_of(database) or (stopped and is_exact(drawn, database)), "half a table"
    check_secrets(drawn, folder, said)


def is_exact(drawn: Case, database: str) -> bool:
    found, expected = stored(database), served(drawn.population)
    if drawn.limit is None:
        return found == expected
    return found <= expected and found.total() == min(drawn.limit, expected.total())


def check_secrets(drawn: Case, folder: Path, said: str) -> None:
    texts = [said, *(each.read_text() for each in folder.glob("*.svg"))]
    shown = {layer for text in texts for layer in layers(text)}
    kept = [each.read_bytes().decode("latin-1") for each in folder.iterdir() if each.is_file()]
    for secret in drawn.hidden():
        assert not any(secret in text for text in shown), "a secret was shown"
        assert not any(secret.encode().decode("latin-1") in text for text in kept), "a secret is in a file"
    if (folder / "p.duckdb").exists():
        with duckdb.connect(str(folder / "p.duckdb")) as connection:
            for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                rows = str(connection.execute(f'SELECT * FROM "{name}"').fetchall())
                assert not any(secret in layer for layer in layers(rows) for secret in drawn.hidden()), name


def tables_of(database: str) -> set[str]:
    return {each for each in tables(database) if "staging" not in each} if Path(database).exists() else set()


def shrink(drawn: Case, folder: Path) -> Case:
    """Drop one thing after the other as long as the run still fails."""
    fewer = [replace(drawn, interrupt=None), replace(drawn, apart=False), replace(drawn, replaces=False)]
    for number, less in enumerate([*fewer, *drawn.faults]):
        if isinstance(less, Case):
            changed = {name: value for name, value in vars(less).items() if value != vars(drawn)[name]}
            smaller = replace(drawn, **changed)
        else:
            smaller = replace(drawn, faults=tuple(each for each in drawn.faults if each is not less))
        if smaller == drawn:
            continue
        try:
            play(smaller, folder / f"shrunk{number}")
        except Exception:
            drawn = smaller
    return drawn


def told(drawn: Case) -> str:
    """The lines that replay it."""
    behaviour = f"{drawn.behaviour!r}"
    faults = "\n".join(f"    {each!r}," for each in drawn.faults)
    kept = f"flags={drawn.flags}, interrupt={drawn.interrupt}, replaces={drawn.replaces}, apart={drawn.apart}"
    return f"case({drawn.seed}), {len(drawn.population)} profiles, {kept}\n{behaviour}\nfaults = (\n{faults}\n)"
