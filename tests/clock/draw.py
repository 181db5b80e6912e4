"""Write the tables of docs/readings.md and its picture: ``python tests/clock/draw.py``, about a minute."""

from __future__ import annotations

import sys
from html import escape
from math import log10
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from clock.model import HOUR, Reading, StoreOfCounts  # noqa: E402
from clock.readings import Outcome, fetched, plan_bytes  # noqa: E402

PAGE, PICTURE = ROOT / "docs" / "readings.md", ROOT / "docs" / "_static" / "readings.svg"
SIZES = (1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000, 100_000_000)
COUNTED = {"first": "the first page only", "rolling": "every page, any hour", "clock": "every page, clock hour"}
WHAT_BECOMES = ("honoured", "lowered", "refused")
SESSIONS = {"10 minutes": HOUR / 6, "2 hours": 2 * HOUR, "a day": 24 * HOUR}
_SCALE = (0.1, 1e6)  # seconds, left and right
_WIDTH, _LEFT, _ROW, _TOP = 780, 190, 22, 62
_LINES = {"honoured": "honoured", "lowered": "lowered to 10,000", "refused": "refused"}
_STYLE = (
    "text{{font:12.5px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:{ink}}}"
    ".title{{font-weight:600;font-size:14px}}.muted{{fill:{muted}}}.grid{{stroke:{grid}}}"
    ".first{{fill:{first}}}.rolling{{fill:{rolling}}}.clock{{fill:none;stroke:{clock};stroke-width:2}}"
)
_LIGHT = {
    "ink": "#1f2933",
    "muted": "#55606c",
    "grid": "#d9d4c9",
    "first": "#0072b2",
    "rolling": "#b35900",
    "clock": "#00805c",
}
_DARK = {
    "ink": "#e8ecf0",
    "muted": "#b4bdc7",
    "grid": "#3a4049",
    "first": "#56b4e9",
    "rolling": "#f0a04b",
    "clock": "#2fc99b",
}

Table = dict[tuple[int, str, str], Outcome]
_KILOBYTES = [figure * 10**power for power in range(1, 6) for figure in (1, 2, 5)]


def outcomes(store: StoreOfCounts, sizes: tuple[int, ...] = SIZES) -> Table:
    """Run every reading of what is counted and what becomes of a page size."""
    return {
        (size, counted, becomes): fetched(size, Reading(counted=counted, sizes=becomes), store)  # type: ignore[arg-type]
        for size in sizes
        for counted in COUNTED
        for becomes in WHAT_BECOMES
    }


def duration(seconds: float) -> str:
    """Say how long that is.

    Example:
        >>> duration(0.55), duration(90), duration(7200), duration(200_000)
        ('1 s', '90 s', '2.0 h', '2.3 days')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds < 48 * HOUR else f"{seconds / 24 / HOUR:.1f} days"


def cell(outcome: Outcome) -> str:
    """Say what came of it in a cell."""
    return f"{outcome.requests:,} · {duration(outcome.seconds)}" if outcome.complete else "never"


def main_table(found: Table) -> list[str]:
    """Requests and time, by number of profiles."""
    head = [f"{COUNTED[counted]}, {becomes}" for counted in COUNTED for becomes in WHAT_BECOMES if becomes != "refused"]
    lines = [f"| profiles | plan | {' | '.join(head)} |", "|---:|---:" + "|---:" * len(head) + "|"]
    for size in dict.fromkeys(size for size, _, _ in found):
        pages = found[size, "first", "honoured"].pages
        cells = [cell(found[size, c, b]) for c in COUNTED for b in WHAT_BECOMES if b != "refused"]
        lines.append(f"| {size:,} | {pages:,} page{'s' * (pages != 1)}, {plan_text(pages)} | {' | '.join(cells)} |")
    return lines


def plan_text(pages: int) -> str:
    """Say what the plan takes in memory."""
    # What Python takes differs a little from one to the next.
    return f"≤ {next(most for most in _KILOBYTES if plan_bytes(pages) <= most * 1000):,} kB"


def refused_table(found: Table) -> list[str]:
    """The same where a page size is refused."""
    lines = [f"| profiles | plan | {' | '.join(COUNTED.values())} |", "|---:|---:" + "|---:" * len(COUNTED) + "|"]
    for size in dict.fromkeys(size for size, _, _ in found):
        pages = -(-size // 1000)
        cells = [cell(found[size, counted, "refused"]) for counted in COUNTED]
        lines.append(f"| {size:,} | {pages:,} page{'s' * (pages != 1)}, {plan_text(pages)} | {' | '.join(cells)} |")
    return lines


def session_table(store: StoreOfCounts, sizes: tuple[int, ...] = (3_000_000, 10_000_000)) -> list[str]:
    """Time by how long a session lives and how many requests are allowed at a time."""
    lines = ["| profiles | counted | at a time | " + " | ".join(f"sessions of {name}" for name in SESSIONS) + " |"]
    lines.append("|---:|---|---:" + "|---:" * len(SESSIONS) + "|")
    for size in sizes:
        for counted in ("first", "rolling"):
            for at_once in (1, 3, 5):
                cells = [
                    cell(fetched(size, Reading(counted=counted, at_once=at_once, session=life), store))  # type: ignore[arg-type]
                    for life in SESSIONS.values()
                ]
                lines.append(f"| {size:,} | {COUNTED[counted]} | {at_once} | {' | '.join(cells)} |")
    return lines


def picture(found: Table) -> str:
    """A row for each number of profiles and what becomes of a page size, a mark for each way to count."""
    rows = [(size, becomes) for becomes in WHAT_BECOMES for size in dict.fromkeys(size for size, _, _ in found)]
    height = _TOP + (len(rows) + len(WHAT_BECOMES)) * _ROW + 40
    parts = [_text(10, 20, "How long a fetch takes, by what the server counts", "title"), *_legend(), *_grid(height)]
    top, last = float(_TOP), ""
    for size, becomes in rows:
        if becomes != last:
            parts.append(_text(10, top + 15, f"a larger page size is {_LINES[becomes]}", "muted"))
            top, last = top + _ROW, becomes
        parts.append(_text(_LEFT - 10, top + 15, f"{size:,}", anchor="end"))
        parts += [mark for counted in COUNTED for mark in _mark(counted, found[size, counted, becomes], top + 11)]
        top += _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="Time of a fetch in each reading of the limits"><style>{_STYLE.format(**_LIGHT)}'
        f"@media (prefers-color-scheme:dark){{{_STYLE.format(**_DARK)}}}</style>"
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _x(seconds: float) -> float:
    low, high = map(log10, _SCALE)
    return _LEFT + (log10(max(seconds, _SCALE[0])) - low) / (high - low) * (_WIDTH - _LEFT - 30)


def _legend() -> list[str]:
    parts, x = [_text(10, 42, "counted:", "muted")], 84.0
    for counted, words in COUNTED.items():
        parts += [*_shape(counted, x, 38), _text(x + 12, 42, words)]
        x += 32 + 7.2 * len(words)
    return parts


def _grid(height: int) -> list[str]:
    parts = []
    for seconds, name in (
        (1, "1 s"),
        (10, "10 s"),
        (60, "1 min"),
        (600, "10 min"),
        (HOUR, "1 h"),
        (10 * HOUR, "10 h"),
        (100 * HOUR, "4 days"),
    ):
        x = _x(seconds)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP - 8}V{height - 26}"/>')
        parts.append(_text(x, height - 10, name, "muted", "middle"))
    return parts


def _mark(counted: str, outcome: Outcome, y: float) -> list[str]:
    if not outcome.complete:
        return [_text(_WIDTH - 8, y + 4, "never", "muted", "end")] if counted == "rolling" else []
    return _shape(counted, _x(outcome.seconds), y)


def _shape(counted: str, x: float, y: float) -> list[str]:
    if counted == "rolling":
        return [f'<rect class="rolling" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>']
    radius = 5 if counted == "first" else 7.5
    return [f'<circle class="{counted}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>']


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def filled(text: str, name: str, lines: list[str]) -> str:
    """Put a table in its place."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, rest = text.split(begin)
    return before + begin + "\n".join(lines) + end + rest.split(end, 1)[1]


def tables_of(text: str, name: str) -> str:
    """Give a table as it stands in the page."""
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- end of {name} -->")[0]


if __name__ == "__main__":
    with StoreOfCounts(":memory:") as counts:
        everything, sessions = outcomes(counts), session_table(counts)
    written = PAGE.read_text(encoding="utf-8")
    written = filled(written, "counted", main_table(everything))
    written = filled(written, "refused", refused_table(everything))
    written = filled(written, "sessions", sessions)
    PAGE.write_text(written, encoding="utf-8")
    PICTURE.write_text(picture(everything), encoding="utf-8")
