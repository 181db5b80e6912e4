"""Small pictures of a report as SVG: bars for a scenario's entries, a line for growth with size."""

from html import escape
from math import log10
from typing import Any

from benchmarks.tables import rows

_WIDTH, _LEFT, _ROW = 720, 220, 26
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.bar{fill:#b8c4d0}.first{fill:#4f6bed}"
    ".axis{stroke:#999}.line{fill:none;stroke:#4f6bed;stroke-width:2}.dot{fill:#4f6bed}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#5b6673}}"
)


def bars(outcome: dict[str, Any]) -> str:
    """Wall seconds of each entry, the first one in colour."""
    walls = [(row[0], float(row[1])) for row in rows(outcome)]
    scale = (_WIDTH - _LEFT - 80) / max(wall for _, wall in walls)
    parts = [_text(10, 22, f"{outcome['title']}: wall seconds, median", "title")]
    for number, (label, wall) in enumerate(walls):
        top = 40 + number * _ROW
        kind = "bar" if number else "first"
        parts.append(_text(_LEFT - 8, top + 14, label, anchor="end"))
        parts.append(
            f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{wall * scale:.1f}" height="{_ROW - 8}" rx="2"/>'
        )
        parts.append(_text(_LEFT + wall * scale + 6, top + 14, f"{wall:.2f}"))
    return _picture(50 + len(walls) * _ROW, parts)


def line(outcome: dict[str, Any]) -> str:
    """Wall seconds for a million profiles, over the number of profiles on a logarithmic axis."""
    sizes = [sample["rows"] for sample in outcome["runs"][0].values()]
    costs = [float(row[1]) * 1e6 / size for row, size in zip(rows(outcome), sizes, strict=True)]
    low, high, top, base = log10(min(sizes)), log10(max(sizes)), 1.2 * max(costs), 220
    spots = [
        (60 + (log10(size) - low) / ((high - low) or 1) * (_WIDTH - 140), base - cost / top * 170)
        for size, cost in zip(sizes, costs, strict=True)
    ]
    parts = [
        _text(10, 22, f"{outcome['title']}: wall seconds a million, median", "title"),
        f'<path class="axis" d="M40 {base}H{_WIDTH - 40}"/>',
        f'<path class="line" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in spots)}"/>',
    ]
    for (x, y), size, cost in zip(spots, sizes, costs, strict=True):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(_text(x, y - 10, f"{cost:.1f}", anchor="middle"))
        parts.append(_text(x, base + 20, f"{size:,}", anchor="middle"))
    return _picture(base + 35, parts)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(height: int, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"><style>{_STYLE}</style>'
    return "\n".join([head, *parts, "</svg>"]) + "\n"
