"""Which accounts ``mixpanel-headless`` has stored, for an error that can name them; read without the SDK."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

__all__ = ["stored_accounts"]

_MOST_NAMES = 3


def stored_accounts() -> str:
    """Say how to use one of the accounts that are stored; ``""`` if there are none."""
    names: list[str] = []
    with suppress(OSError, RuntimeError, ValueError, LookupError, TypeError):  # no file, no home, not as it should be
        found = tomllib.loads(Path("~/.mp/config.toml").expanduser().read_text(encoding="utf-8")).get("accounts")
        names = list(found) if isinstance(found, dict) else [str(each["name"]) for each in found or ()]
    if not names:
        return ""
    told = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return (
        f" Or use an account that mixpanel-headless has stored ({told}): --account {names[0]}, or in Python "
        f"credentials=mixpanel_headless.Workspace(account={names[0]!r})."
    )
