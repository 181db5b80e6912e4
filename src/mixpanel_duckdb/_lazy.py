"""Names that a room hands out but loads only when somebody asks for one: what is heavy waits until it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazily"]


def lazily(room: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Make the ``__getattr__`` of a package (PEP 562).

    Args:
        room: The package's ``__name__``.
        modules: For each module or folder of the package, the names that it has, separated by spaces.

    Example:
        >>> import mixpanel_duckdb.results as room
        >>> lazily(room.__name__, {".files": "ExportedTable export_table"})("ExportedTable").__module__
        'mixpanel_duckdb.results.files'
    """
    names = {name: module for module, held in modules.items() for name in held.split()}

    def load(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        value: object = getattr(import_module(names[name], room), name)
        setattr(sys.modules[room], name, value)
        return value

    return load
