"""The rooms of the package as its code has them: floors, docstrings and imports, read with ``ast``.

A room is a folder, or a module beside the folders. ``store`` is a house of its own: its folders are rooms, too, but the
other rooms come in through its door. ``tests/test_layers.py`` holds the rules; ``draw.py`` draws the picture.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

import mixpanel_duckdb

ROOT = Path(mixpanel_duckdb.__file__).parent
# From the roof down: a room may import those on lower floors, and no other.
FLOORS = """
    __main__
    __init__  cli  integrations
    jobs
    api
    fetch
    display
    results
    timeline
    store
    store/events  store/targets
    store/pages  store/tables  store/typed
    store/journal
    engage
    events
    http
    accounts  store/database
    arguments  extras  fidelity
    _lazy  _version  errors  process  simulator
    text
"""
HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS.split("\n")) for room in rooms.split()}


def modules() -> list[PurePath]:
    """The modules, as paths inside the package."""
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room(parts: tuple[str, ...]) -> str:
    """The room that a path inside the package belongs to; ``()`` is the package itself."""
    first = parts[0].removesuffix(".py") if parts else "__init__"
    inner = first == "store" and len(parts) > 1 and (ROOT / first / parts[1]).is_dir()
    return f"{first}/{parts[1]}" if inner else first


def parsed(module: PurePath) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imports(module: PurePath, *, at_run_time: bool = False) -> Iterator[str]:
    """The absolute names of the modules that a module imports, or imports from."""
    tree = parsed(module)
    skipped: set[int] = set()
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
            yield ".".join([*base, *([node.module] if node.module else [])])


def of_the_package(module: PurePath) -> list[tuple[str, ...]]:
    """The paths inside the package that a module imports, as parts."""
    return [tuple(name.split(".")[1:]) for name in imports(module) if name.split(".")[0] == "mixpanel_duckdb"]


def known() -> dict[str, set[str]]:
    """For each room, the other rooms that it imports."""
    found: dict[str, set[str]] = {room(module.parts): set() for module in modules()}
    for module in modules():
        here = room(module.parts)
        found[here] |= {room(path) for path in of_the_package(module)} - {here}
    return found


def thinned(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without the arrows that follow from others: no A to C where A to B and B to C are there."""

    def below(room: str) -> set[str]:
        return arrows[room].union(*map(below, arrows[room]))

    return {room: ends - set().union(*map(below, ends)) for room, ends in arrows.items()}


def purposes(room: str) -> list[str]:
    """What a room is for, ever longer: the first sentence of its docstring up to each colon."""
    package = ROOT / room
    file = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    text = " ".join((ast.get_docstring(parsed(file.relative_to(ROOT))) or "").replace("`", "").split())
    sentence = re.split(r"\.(?:\s|$)", text)[0]
    return [sentence[: colon.start()] for colon in re.finditer(r"[:;]\s|$", sentence)]
