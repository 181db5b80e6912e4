"""Where a job publishes: the keys of its target, as the command's flags are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from ..store import Target, check_target

__all__ = ["OF_THE_TARGET", "target_of"]

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
