"""Rows set in columns of text, as a terminal shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from .gate import shown

__all__ = ["line_width", "table_text", "wrapped"]

_LEAST_WIDTH, _LEAST_LINE = 8, 40


def table_text(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    width: int | None = None,
    *,
    right: Sequence[bool] | None = None,
) -> str:
    """Set rows in columns, numbers to the right.

    Args:
        header: Names of the columns.
        rows: Their values.
        width: Characters that a line may have: longer texts are cut, the longest first.
        right: Which columns hold numbers, if these are written as texts already.

    Example:
        >>> print(table_text(("plan", "profiles"), [("free", 1200), ("pro", 9)]))
        plan  profiles
        free     1,200
        pro          9
    """
    values = list(rows)
    cells = [list(map(shown, header)), *([_cell(value) for value in row] for row in values)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = right or [all(isinstance(row[i], int | float) for row in values) for i in range(len(header))]
    if width is not None:
        _narrow(widths, width - 2 * (len(header) - 1), [i for i in range(len(header)) if not right[i]])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else _cut(cell, width).ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )


def line_width() -> int:
    """Characters that a line of text should have: those of the terminal, or of a usual one."""
    import shutil  # noqa: PLC0415 - it brings what reads archives along

    return max(_LEAST_LINE, shutil.get_terminal_size().columns)


def _narrow(widths: list[int], room: int, may: Sequence[int]) -> None:
    """Take from the widest of some columns until all have room, or none is wide any more."""
    while sum(widths) > room and (wide := [i for i in may if widths[i] > _LEAST_WIDTH]):
        widths[max(wide, key=widths.__getitem__)] -= 1


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else shown(str(value))


def wrapped(text: str, width: int) -> str:
    """Break lines that are longer than a terminal between words, which the terminal itself does not.

    Example:
        >>> print(wrapped("  and a sentence that goes on", 20))
          and a sentence
          that goes on
    """
    return "\n".join(_broken(line, width) if len(line) > width else line for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip(" "))]
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )
