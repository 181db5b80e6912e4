"""What is not there unless it was asked for: optional packages, and the sentence that names the extra."""

from __future__ import annotations

import importlib.util

from .errors import MissingExtraError

__all__ = ["installed", "need"]


def installed(module: str) -> bool:
    """Say whether a package could be imported; imports nothing.

    Example:
        >>> installed("json")
        True
    """
    return importlib.util.find_spec(module) is not None


def need(module: str, *, extra: str | None = None) -> None:
    """Refuse to go on without an optional package; imports nothing.

    Args:
        module: Name to import.
        extra: The extra that brings it, if it is called differently.

    Raises:
        MissingExtraError: It is not installed; an ``ImportError``, too.

    Example:
        >>> need("json")
    """
    if not installed(module):
        raise MissingExtraError(
            f'{module} is not installed; pip install "mixpanel-duckdb[{extra or module}]" brings it.'
        )
