"""Signatures of the API page: a default that Python shows as ``<factory>`` or ``<built-in ...>`` is no Python.

Sphinx cannot read such a signature, and sets all of it as it is: with ``~typing.`` before its types, and as one name.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["setup"]

_MADE = re.compile(r"<factory>")
_BUILT_IN = re.compile(r"<built-in (?:function|method) (\w+)[^>]*>")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-signature", _readable)
    return {"parallel_read_safe": True}


def _readable(
    _app: object,
    _what: str,
    _name: str,
    _object: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Give a default that is made anew as ``...``, and a function by its name."""
    if signature:
        signature = _BUILT_IN.sub(r"\1", _MADE.sub("...", signature))
    return signature, returns
