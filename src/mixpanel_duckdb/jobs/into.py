"""Where a job publishes: the keys of its target, as the command's flags are called, and what no other job may write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from ..store import Target, check_target, folded

__all__ = ["OF_THE_TARGET", "places_of", "target_of"]

# Keys beside `into`, and the fields of a target that they are.
OF_THE_TARGET = {
    "into_schema": "schema",
    "into_data_path": "data_path",
    "union_view": "union_view",
    "setup": "setup",
    "lock_wait": "lock_wait",
}


def target_of(keys: Mapping[str, Any]) -> dict[str, Target]:
    """Make the target that the keys of a job name, as a keyword of ``fetch_profiles``; nothing if they name none.

    Raises:
        ConfigurationError: They name no target, but something of one.
        QueryError: It cannot be one.
    """
    into, more = keys.get("into"), {field: keys[key] for key, field in OF_THE_TARGET.items() if key in keys}
    if into is None:
        if more:
            raise ConfigurationError(f"{next(key for key in OF_THE_TARGET if key in keys)} goes with into.")
        return {}
    target = replace(into, **more) if isinstance(into, Target) else Target(into, **more)
    check_target(target, keep_history=keys.get("keep_history") is True)
    return {"into": target}


def places_of(database: str, table: str, into: Target | None) -> dict[tuple[str, ...], str]:
    """Give what only one job may have, each with what is to be said of two that want it.

    Args:
        database: The job's database.
        table: Its table, which may name a schema of the target.
        into: Its target, if it has one.

    Raises:
        QueryError: The table cannot be one of the target.
    """
    here = there = _real(database)
    schema, said = "main", database
    if into is not None:
        into, table = into.of(table)
        there, said = _real(into.file) if into.file else into.name, into.name
        schema = into.schema or ("main" if into.file else "")
    return {
        ("table", there, folded(schema), folded(table)): f"both write table {table!r} of {said!r}; give each a table "
        "of its own.",
        ("fetch", here, folded(table)): f"both fetch into a table {table!r} by way of {database!r}, which two cannot "
        "do side by side; give each a table or a database of its own.",
    }


def _real(file: str) -> str:
    return os.path.realpath(os.path.expanduser(file))
