"""The rooms of the package, one way only: who may know whom, who speaks HTTP and who speaks SQL.

What a room is, and which floor it stands on, is told in ``house/rooms.py``.
"""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import requires

import pytest

from house.rooms import HEIGHT, ROOT, imports, modules, of_the_package, parsed, room

EXTRAS = {"dlt", "mixpanel_headless", "pandas", "polars", "pyarrow", "tqdm"}


def test_every_room_stands_in_the_table():
    assert {room(module.parts) for module in modules()} == set(HEIGHT)


def test_few_modules_lie_beside_the_folders():
    assert len(list(ROOT.glob("*.py"))) <= 8


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_go_down_only(module):
    here = room(module.parts)
    above = {
        there for path in of_the_package(module) if (there := room(path)) != here and HEIGHT[there] >= HEIGHT[here]
    }
    assert not above, f"{module} imports {sorted(above)}"


def test_modules_of_one_room_import_in_no_circle():
    known = {module.with_suffix("").parts: module for module in modules()}
    graph = {
        module: {known[path] for path in of_the_package(module) if path in known and room(path) == room(module.parts)}
        for module in modules()
    }
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", modules(), ids=str)
def test_nobody_reaches_past_the_door_of_another_room(module):
    here = room(module.parts)
    for path in of_the_package(module):
        if (there := room(path)) != here:
            known = there if here.startswith("store") else there.split("/")[0]
            assert "/".join(path) in {known, "__init__"[:0]}, f"{module} imports {'.'.join(path)}"


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in ROOT.rglob("__init__.py")}), ids=lambda path: path.name
)
def test_a_room_says_what_it_is_for(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text
    if folder != ROOT:
        inside = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        untold = {name for name in inside - {"__init__"} if f"``{name}``" not in text}
        assert not untold, f"{folder.name} says nothing of {sorted(untold)}"


def test_only_the_transport_knows_httpx_at_run_time():
    users = {
        str(module)
        for module in modules()
        if "httpx" in {name.split(".")[0] for name in imports(module, at_run_time=True)}
    }
    assert users == {"http/transport.py"}


def test_only_the_store_knows_duckdb_at_run_time_and_executes_sql():
    for module in modules():
        if room(module.parts).startswith("store"):
            continue
        names = {name.split(".")[0] for name in imports(module, at_run_time=True)}
        assert "duckdb" not in names, f"{module} imports duckdb"
        calls = {
            node.func.attr
            for node in ast.walk(parsed(module))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not calls & {"executemany", "from_query"}, f"{module} speaks SQL"
        if module.parts[-1] not in {"run.py", "fetcher.py"}:
            assert "execute" not in calls, f"{module} speaks SQL"


def test_every_order_says_its_direction_for_the_callers_connection_may_have_another_default():
    for module in modules():
        for clause in re.findall(r"ORDER BY ([^\n]*)", (ROOT / module).read_text(encoding="utf-8")):
            terms = re.split('[)"]', re.sub(r"\([^()]*\)", "", clause))[0].split(",")
            assert all(re.search(r"\b(ASC|DESC)\b", term) for term in terms), f"{module}: ORDER BY {clause}"


def test_a_plain_install_brings_four_packages_and_an_import_no_extra():
    plain = [need for need in requires("mixpanel-duckdb") if "extra ==" not in need]
    assert {re.match(r"[\w-]+", need)[0] for need in plain} == {"click", "duckdb", "httpx", "pydantic"}
    code = f"import sys, mixpanel_duckdb, mixpanel_duckdb.cli; print(sorted({EXTRAS} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_simulator_needs_nothing_but_the_standard_library():
    for module in modules():
        if room(module.parts) == "simulator":
            outside = {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names)
            assert outside <= {"mixpanel_duckdb"}, f"{module} imports {outside}"


def test_modules_stay_short():
    long = {str(module): len((ROOT / module).read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_functions_stay_short():
    long = {}
    for module in modules():
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert not any(isinstance(inner, ast.Nonlocal) for inner in ast.walk(node)), f"{module}: {node.name}"
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                if (lines := node.end_lineno - first.lineno + 1) > 45:
                    long[f"{module}: {node.name}"] = lines
    assert long == {}


def test_no_thread_is_a_daemon_and_nothing_sleeps():
    for module in modules():
        if room(module.parts) != "simulator":
            text = (ROOT / module).read_text(encoding="utf-8")
            assert "daemon=True" not in text, module
            assert "time.sleep(" not in text, module


def import_seconds(*modules):
    """Processor time, which a busy machine makes little longer."""
    code = f"import time; t = time.process_time(); import {', '.join(modules)}; print(time.process_time() - t)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.timed
def test_the_package_is_imported_in_little_more_than_the_time_of_what_it_needs():
    ratios = [import_seconds("mixpanel_duckdb.api") / import_seconds("duckdb", "httpx", "pydantic") for _ in range(5)]
    assert min(ratios) < 2.6, ratios
