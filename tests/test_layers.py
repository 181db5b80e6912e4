"""The rooms of the package, one way only: who may know whom, who speaks HTTP and who speaks SQL."""

import ast
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

import mixpanel_duckdb

ROOT = Path(mixpanel_duckdb.__file__).parent
# A room may import those before it, and its own modules.
ORDER = [
    "_version", "errors", "extras", "wording", "markup",
    "trace", "control", "credentials", "integrations.headless_sdk", "integrations.headless",
    "wire", "query", "limits", "rate_limit", "retry", "page",
    "answer", "transport", "reader", "session", "readahead", "stream", "client", "store", "timeline", "progress",
    "display", "frames", "typed", "files", "result",
    "source", "plan", "budget", "turns", "writer", "download", "run", "fetcher", "api", "__init__", "integrations",
    "simulator", "cli", "__main__",
]  # fmt: skip
IMPORT_SECONDS = 0.25
EXTRAS = {"dlt", "mixpanel_headless", "pandas", "polars", "pyarrow", "tqdm"}


def modules():
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room(module):
    """The part of the package that a module belongs to; what the client knows of `integrations` is one of its own."""
    name = ".".join(module.with_suffix("").parts)
    return name if name in ORDER else module.parts[0].removesuffix(".py")


def imports(module, *, at_run_time=False):
    """The absolute names of what a module imports."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    skipped = set()
    if at_run_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped.update(map(id, ast.walk(node)))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["mixpanel_duckdb", *module.parts[:-1]]
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def rooms_used(module):
    known = {name for name in ORDER if name != "__init__"}
    for name in imports(module):
        first, _, rest = name.partition(".")
        if first == "mixpanel_duckdb":
            parts = rest.split(".")
            yield next((name for name in (".".join(parts[:2]), parts[0]) if name in known), "__init__")


def test_every_room_has_its_place():
    assert {room(module) for module in modules()} == set(ORDER)


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_room_knows_only_those_before_it(module):
    allowed = {"simulator"} if room(module) == "simulator" else set(ORDER[: ORDER.index(room(module)) + 1])
    used = set(rooms_used(module)) - {"__init__"}  # a room of the package is imported through the package
    assert used <= allowed, f"{module} imports {sorted(used - allowed)}"


def test_only_the_transport_knows_httpx_at_run_time():
    users = {
        str(module)
        for module in modules()
        if any(name.split(".")[0] == "httpx" for name in imports(module, at_run_time=True))
    }
    assert users == {"transport.py"}


def test_only_the_store_knows_duckdb_at_run_time_and_executes_sql():
    for module in modules():
        if room(module) == "store":
            continue
        names = {name.split(".")[0] for name in imports(module, at_run_time=True)}
        assert "duckdb" not in names, f"{module} imports duckdb"
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not calls & {"executemany", "from_query"}, f"{module} speaks SQL"
        if module.parts[-1] not in {"run.py", "fetcher.py"}:
            assert "execute" not in calls, f"{module} speaks SQL"


def test_a_plain_install_brings_four_packages_and_an_import_no_extra():
    plain = [need for need in requires("mixpanel-duckdb") if "extra ==" not in need]
    assert {re.match(r"[\w-]+", need)[0] for need in plain} == {"click", "duckdb", "httpx", "pydantic"}
    code = f"import sys, mixpanel_duckdb, mixpanel_duckdb.cli; print(sorted({EXTRAS} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_simulator_needs_nothing_but_the_standard_library():
    for module in modules():
        if room(module) == "simulator":
            outside = {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names)
            assert outside <= {"mixpanel_duckdb"}, f"{module} imports {outside}"


def test_modules_stay_short():
    long = {str(module): len((ROOT / module).read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_functions_stay_short():
    long = {}
    for module in modules():
        for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert not any(isinstance(inner, ast.Nonlocal) for inner in ast.walk(node)), f"{module}: {node.name}"
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                if (lines := node.end_lineno - first.lineno + 1) > 45:
                    long[f"{module}: {node.name}"] = lines
    assert long == {}


def test_no_thread_is_a_daemon_and_nothing_sleeps():
    for module in modules():
        if room(module) != "simulator":
            text = (ROOT / module).read_text(encoding="utf-8")
            assert "daemon=True" not in text, module
            assert "time.sleep(" not in text, module


def test_the_package_is_imported_quickly():
    code = "import time; t = time.perf_counter(); import mixpanel_duckdb; print(time.perf_counter() - t)"
    seconds = []
    for _ in range(7):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        seconds.append(float(done.stdout))
        if min(seconds) < IMPORT_SECONDS:
            break
    assert min(seconds) < IMPORT_SECONDS * 2, f"took {min(seconds):.3f} s at best"
