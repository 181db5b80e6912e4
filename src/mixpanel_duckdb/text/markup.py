"""The little HTML that notebooks show: tables without scripts or style sheets, escaped, legible on light and dark.

Text keeps the colour that the page gives it; only the dot beside a state has one of its own, which stands out from
white and from black alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .gate import shown

__all__ = ["facts", "grid", "note", "stated"]

_DOTS = {"complete": "#2e9b57", "accepted": "#2e9b57", "incomplete": "#d9820f", "running": "#3b82d6"}
_CELL = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
_NUMBER = "text-align:right;vertical-align:top;padding:2px 14px 2px 0"
_TABLE = '<table style="color:inherit;margin:2px 0 8px 0">'
_SHORT = 24


def stated(name: str, state: str) -> str:
    """Head a block: a name in bold and, with a coloured dot, the state it is in.

    Example:
        >>> stated("a<b", "complete")
        '<div><strong>a&lt;b</strong> <span style="color:#2e9b57">&#9679;</span> complete</div>'
    """
    dot = f'<span style="color:{_DOTS.get(state, "inherit")}">&#9679;</span>'
    return f"<div><strong>{_safe(name)}</strong> {dot} {_safe(state)}</div>"


def facts(values: Mapping[str, str]) -> str:
    """Set names beside values, a line each."""
    rows = (
        f'<tr><th style="{_CELL};white-space:nowrap">{_safe(name)}</th><td style="{_CELL}">{_safe(value)}</td></tr>'
        for name, value in values.items()
    )
    return f"{_TABLE}{''.join(rows)}</table>"


def grid(header: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> str:
    """Set rows under a header; numbers to the right, nothing for ``None``."""
    head = "".join(f'<th style="{_CELL};white-space:nowrap">{_safe(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def note(text: str) -> str:
    """Say something in a line of its own."""
    return f"<div>{_safe(text)}</div>"


def _cell(value: str | int | None) -> str:
    if isinstance(value, int):
        return f'<td style="{_NUMBER}">{value:,}</td>'
    text = value or ""
    # A sentence wraps, but not to a column of single words.
    wrap = ";white-space:nowrap" if len(text) <= _SHORT else ";min-width:10em"
    return f'<td style="{_CELL}{wrap}">{_safe(text)}</td>'


def _safe(text: str) -> str:
    from html import escape  # noqa: PLC0415 - it brings two thousand names along

    return escape(shown(text))
