"""What is forked from a helper is a process like any other, as far as a test of a whole run can tell."""

import json

import pytest

from helpers import LONGEST
from preloaded import Preloaded

TELL = """
import atexit, json, os, signal, sys, threading
atexit.register(lambda: print("at exit"))
threading.Timer(0.05, lambda: print("thread")).start()
print(json.dumps({
    "words": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ), "given": sys.stdin.read(),
    "first place": sys.path[0], "name": __name__, "terminal": sys.stdout.isatty(), "encoding": sys.stdout.encoding,
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
    "descriptors": sorted(os.listdir("/proc/self/fd")), "decimal": "decimal" in sys.modules,
}))
print("talk", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture(scope="module")
def preloaded():
    return Preloaded("decimal")


@pytest.fixture
def run(preloaded, tmp_path):
    def run(code, timeout=LONGEST, **options):
        script = tmp_path / "script.py"
        script.write_text(code)
        return preloaded.run([str(script), "a", "é"], cwd=tmp_path, env={"A": "1"}, timeout=timeout, **options)

    return run


def test_it_has_the_surroundings_and_the_end_that_were_asked_for(run, tmp_path):
    done = run(TELL, input="text")
    told, *rest = done.stdout.splitlines()
    assert (done.returncode, done.stderr, rest) == (7, "talk\n", ["thread", "at exit"])
    assert json.loads(told) == {
        "words": [str(tmp_path / "script.py"), "a", "é"], "folder": str(tmp_path), "environment": {"A": "1"},
        "given": "text", "first place": str(tmp_path), "name": "__main__", "terminal": False, "encoding": "utf-8",
        "signals": ["<built-in function default_int_handler>", "0", "1"], "descriptors": ["0", "1", "2", "3"],
        "decimal": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "end"),
    [("", 0), ("raise SystemExit('why')", 1), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 15)", -15)],
)
def test_it_ends_as_it_would_by_itself(run, code, end):
    done = run(code)
    assert (done.returncode, done.stdout) == (end, "")
    assert ("why" in done.stderr, "ZeroDivisionError" in done.stderr) == ("why" in code, "/" in code)


def test_one_leaves_nothing_to_the_next(run):
    run("import os, sys; sys.path[:] = []; os.environ['B'] = '2'; os.chdir('/')")
    assert json.loads(run(TELL).stdout.splitlines()[0])["environment"] == {"A": "1"}


def test_much_output_on_both_streams_does_not_stop_it(run):
    done = run("import sys\nfor n in range(1000): print('o' * 999), print('e' * 999, file=sys.stderr)")
    assert (len(done.stdout), len(done.stderr)) == (1_000_000, 1_000_000)


def test_what_takes_too_long_is_given_up_and_the_next_finds_another_helper(run):
    run("")
    with pytest.raises(TimeoutError):
        run("import time; time.sleep(600)", timeout=0.1)
    assert run("print(1)").stdout == "1\n"


def test_where_an_import_starts_a_thread_it_begins_with_an_interpreter(tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()"
    )
    (tmp_path / "script.py").write_text(TELL)
    threaded = Preloaded("decimal", "threaded", env={"PYTHONPATH": str(tmp_path)})
    done = threaded.run([str(tmp_path / "script.py")], cwd=tmp_path, env={"A": "1"}, timeout=LONGEST)
    told, *rest = done.stdout.splitlines()
    assert (done.returncode, rest, json.loads(told)["decimal"]) == (7, ["thread", "at exit"], False)


def test_a_helper_that_cannot_begin_says_why(tmp_path):
    with pytest.raises((OSError, ValueError)) as caught:
        Preloaded("no_such_module").run(["x"], cwd=tmp_path, env={}, timeout=LONGEST)
    assert "No module named 'no_such_module'" in caught.value.__notes__[0]
