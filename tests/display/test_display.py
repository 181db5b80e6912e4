"""``progress=...``: who gets a bar, who a line now and then, who nothing; and that no display ever ends a run."""

import builtins
import io
import re
import subprocess
import sys
import threading
import types

import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, fetch
from mixpanel_duckdb.display import Bar, Heartbeat, Screen, Tally, progress_display
from mixpanel_duckdb.display.tqdm import TqdmBar
from mixpanel_duckdb.results.progress import FetchPlan, ProfileBatchProgress
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator

PLAN = FetchPlan("profiles", 10, 1000, 2, 200, 5)
tqdm = pytest.importorskip("tqdm")


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self):
        return self.now


class Stream(io.StringIO):
    """A standard error of either kind."""

    def __init__(self, *, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def stderr(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)

    def put(*, terminal):
        stream = Stream(terminal=terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


@pytest.fixture
def notebook(monkeypatch):
    """What IPython looks like inside a kernel."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


@pytest.fixture
def no_tqdm(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture
def sim():
    with Simulator(Population(200, seed=2), behaviour=Behaviour(latency=0.02)) as running:
        yield running


def page(done, *, success=True):
    return ProfileBatchProgress(done - 1, 10, 100, success, None, done, done * 100)


def test_auto_is_a_bar_by_tqdm_on_a_terminal_and_in_a_notebook(stderr, notebook):
    stderr(terminal=False)
    assert type(progress_display("auto", heard=False)) is TqdmBar
    del sys.modules["IPython"]
    stderr(terminal=True)
    assert type(progress_display("auto", heard=False)) is TqdmBar


@pytest.mark.usefixtures("no_tqdm")
def test_auto_is_a_plain_line_where_tqdm_is_missing(stderr):
    stderr(terminal=True)
    assert type(progress_display("auto", heard=False)) is Bar


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}, {}], ids=["CI", "dumb", "pipe"])
def test_auto_is_a_heartbeat_where_nobody_watches(stderr, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stderr(terminal=bool(variables))
    assert type(progress_display("auto", heard=False)) is Heartbeat


def test_auto_keeps_quiet_beside_a_caller_who_listens(stderr, sim):
    stream = stderr(terminal=True)
    fetch(sim, ":memory:", on_batch_complete=lambda progress: None)
    fetch(sim, ":memory:", observer=md.SilentObserver())
    assert stream.getvalue() == ""


@pytest.mark.parametrize("progress", [None, False])
def test_off_is_silent_even_on_a_terminal(stderr, sim, progress):
    stream = stderr(terminal=True)
    fetch(sim, ":memory:", progress=progress)
    assert stream.getvalue() == ""


def test_a_script_hears_nothing_of_a_short_run_without_a_terminal(stderr, sim):
    stream = stderr(terminal=False)
    fetch(sim, ":memory:")
    assert stream.getvalue() == ""


def test_a_long_run_in_a_log_says_where_it_is_twice_a_minute_and_where_it_ended():
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(print, Screen(stream), apart=30.0, reserved=True, clock=clock)
    beat.planned(PLAN)
    for _ in range(29):
        clock.now += 1
        beat.page_done(page(3))
    assert stream.getvalue() == ""
    clock.now += 31
    beat.ticked()
    beat.close()
    first, last = stream.getvalue().splitlines()
    assert first.startswith("3/10 pages, 300 profiles")
    assert last == "3/10 pages, 300 profiles in 1:00"


@pytest.mark.parametrize("progress", [True, "auto"])
def test_the_bar_ends_full_and_leaves_its_line(stderr, sim, progress):
    stream = stderr(terminal=progress == "auto")
    result = fetch(sim, ":memory:", progress=progress)
    last = stream.getvalue().replace("\n", "\r").rstrip("\r").split("\r")[-1]
    assert result.is_complete
    assert last.startswith("100%|")
    assert "10/10 pages, 200 profiles in 0:0" in last
    assert stream.getvalue().endswith("\n")


def test_the_plain_line_ends_as_a_line(stderr, sim, no_tqdm):
    stream = stderr(terminal=True)
    fetch(sim, ":memory:")
    assert re.search(r"\r10/10 pages, 200 profiles in \d+:\d\d\n\Z", stream.getvalue())


def test_a_wait_is_seen_even_before_the_first_page(stderr):
    stream, clock = stderr(terminal=False), Clock()
    bar = TqdmBar(clock=clock)
    bar.ticked()
    assert stream.getvalue() == ""
    bar.waiting(42.0, "quota")
    clock.now += 1
    bar.ticked()
    assert "(hourly quota, 0:41)" in stream.getvalue()
    bar.planned(PLAN)
    clock.now += 60
    bar.page_done(page(3))
    bar.close()
    assert "30%|" in stream.getvalue()


def test_a_notice_is_a_line_of_its_own(stderr):
    stream = stderr(terminal=False)
    bar = TqdmBar()
    bar.planned(PLAN)
    bar.notice("the session started over")
    bar.close()
    assert "Note: the session started over\n" in stream.getvalue()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("mine")], ids=["Ctrl-C", "callback"])
@pytest.mark.parametrize("missing", [False, True], ids=["tqdm", "plain"])
def test_whatever_ends_the_run_the_line_is_ended_too(stderr, sim, monkeypatch, error, missing):
    if missing:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    stream = stderr(terminal=True)

    class Raises(md.SilentObserver):
        def page_done(self, progress):
            if progress.completed_pages == 3:
                raise error

    # Nobody listens as far as the choice is concerned, so that a bar is drawn beside the observer.
    monkeypatch.setattr(
        "mixpanel_duckdb.fetch.fetcher.progress_display",
        lambda progress, heard: progress_display(progress, heard=False),
    )
    with pytest.raises((KeyboardInterrupt, RuntimeError), match=r"^(mine)?$"):
        fetch(sim, ":memory:", observer=Raises())
    assert stream.getvalue().endswith("\n")
    assert "3/10 pages" in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize("missing", [False, True], ids=["tqdm", "plain"])
def test_a_display_that_cannot_be_drawn_never_ends_a_run(stderr, sim, monkeypatch, missing):
    if missing:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    stderr(terminal=True)
    monkeypatch.setattr(sys.stderr, "write", lambda text: (_ for _ in ()).throw(BrokenPipeError))
    assert fetch(sim, ":memory:").is_complete


@pytest.mark.parametrize("stream", [None, "closed", "a logger"])
def test_a_process_without_a_usable_standard_error_fetches_all_the_same(monkeypatch, sim, database, stream):
    closed = io.StringIO()
    closed.close()
    logger = types.SimpleNamespace(write=lambda _: None)
    monkeypatch.setattr(sys, "stderr", {"closed": closed, "a logger": logger}.get(stream))
    assert fetch(sim, database, progress="auto").is_complete


def test_insisting_without_tqdm_names_the_extra_before_anything_is_asked(sim, monkeypatch, database):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(md.MixpanelError, match=r'tqdm is not installed; pip install "mixpanel-duckdb\[progress\]"'):
        fetch(sim, database, progress=True)
    assert sim.requests == []
    assert md.list_fetches(database) == []


def test_a_lock_that_ctrl_c_left_locked_inside_tqdm_holds_up_nobody(stderr):
    stream = stderr(terminal=True)
    lock = tqdm.std.TqdmDefaultWriteLock()
    with lock:
        drawing = threading.Thread(target=lambda: progress_display("auto", heard=False).planned(PLAN))
        drawing.start()
        drawing.join(LONGEST)
        assert not drawing.is_alive()
    drawing.join()
    assert "2/10 pages" in stream.getvalue()


def test_no_thread_of_tqdm_stays(stderr, sim):
    stderr(terminal=True)
    fetch(sim, ":memory:")
    assert not any("TMonitor" in type(thread).__name__ for thread in threading.enumerate())


def test_what_tqdm_warns_of_in_a_notebook_is_not_the_users_problem():
    code = """if True:
        import sys, types
        shell = types.SimpleNamespace(config={"IPKernelApp": {}})
        sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
        sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")
        sys.modules["ipywidgets"] = None
        from mixpanel_duckdb.display import progress_display
        from mixpanel_duckdb.results import FetchPlan
        bar = progress_display("auto", heard=False)
        bar.planned(FetchPlan("profiles", 2, 20, 0, 0, 5))
        bar.close()
    """
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0/2 pages" in done.stderr
    assert "arn" not in done.stderr


def test_tqdm_is_not_imported_unless_it_draws():
    code = "import sys, mixpanel_duckdb; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=LONGEST, check=False).returncode == 0


def test_the_tally_alone_shows_nothing(capsys):
    tally = Tally(builtins.print)
    tally.planned(PLAN)
    tally.page_done(page(3))
    tally.close()
    assert capsys.readouterr() == ("", "")


def test_a_wait_that_ends_on_another_day_shows_its_date():
    tally = Tally(lambda _: None, clock=Clock())
    tally.waiting(86_400.0, "quota")
    assert re.fullmatch(r"waiting until \d{4}-\d\d-\d\d \d\d:\d\d", tally.figures()[0])
    assert tally.figures()[1] == "(hourly quota, 24:00:00)"
