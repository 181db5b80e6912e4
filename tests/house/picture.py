"""The house drawn: rooms on their floors, who imports whom, and a page's way from the server to the table.

Names, floors, words and arrows come from the code. Told here is only what code cannot say: where on its floor a room
stands, which way a page takes, and on which thread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import wrap

from house.rooms import FLOORS, known, purposes, thinned

FILE = Path(__file__).resolve().parents[2] / "docs" / "_static" / "house.svg"
UNIT, MARGIN, GAP, SIDES, LETTER, LETTER_OF_NAME = 50, 8, 16, 12, 6.1, 7.6
# From where to where a room stands on its floor, in units from the left wall.
PLACES = {
    "__main__": (4, 8),
    "__init__": (0, 4.4), "cli": (4.6, 8), "integrations": (8.2, 12),
    "jobs": (1.5, 10.5),
    "api": (1.5, 10.5),
    "fetch": (0, 12),
    "display": (1.5, 7.3),
    "results": (1.5, 7.3),
    "timeline": (1.5, 7.3),
    "store": (3.4, 12),
    "store/events": (8.5, 12), "store/targets": (3.4, 7.7),
    "store/tables": (3.4, 5.8), "store/pages": (5.95, 9.4), "store/typed": (9.55, 12),
    "store/journal": (6.2, 12),
    "engage": (0, 6),
    "events": (0.9, 6),
    "http": (0, 6.9),
    "accounts": (0.9, 6), "store/database": (6.2, 12),
    "arguments": (0.9, 4.4), "extras": (4.6, 7.9), "fidelity": (8.3, 12),
    "errors": (0.9, 2.4), "process": (2.5, 5.4), "_lazy": (5.5, 6.5), "_version": (6.6, 7.9),
    "simulator": (8.3, 12),
    "text": (0.9, 7.9),
}  # fmt: skip
# The way of a page: each thread goes up or down its shaft from room to room.
UP, DOWN = 0.45, 8.1
WAY = {
    "fetch": ["http", "engage", "fetch"],
    "stager": ["fetch", "store", "store/pages"],
    "writer": ["store/pages", "store/journal", "store/database"],
}
# Arrows to these would go out from everywhere.
COMMON = {*" ".join(FLOORS.split("\n")[-4:]).split()}

_LIGHT = {
    "wall": "#f7f5f0", "line": "#c9c2b4", "soil": "#e6e0d3", "room": "#ffffff", "store": "#eef4fb",
    "edge": "#8b8577", "ink": "#1f2933", "muted": "#55606c", "fetch": "#0072b2", "stager": "#b35900",
    "writer": "#00805c",
}  # fmt: skip
_DARK = {
    "wall": "#1b1e23", "line": "#444a53", "soil": "#30353d", "room": "#262b32", "store": "#20303f",
    "edge": "#8d949e", "ink": "#e8ecf0", "muted": "#b4bdc7", "fetch": "#56b4e9", "stager": "#f0a04b",
    "writer": "#2fc99b",
}  # fmt: skip
_RULES = {
    "text": "fill:{ink}", ".muted": "fill:{muted}", ".wall": "fill:{wall};stroke:{line}",
    ".room": "fill:{room};stroke:{edge}", ".store": "fill:{store};stroke:{edge}",
    ".soil": "fill:{soil}", ".arrow": "stroke:{edge};fill:none", ".tip": "fill:{edge}",
    **{f".{thread}": f"stroke:{{{thread}}}" for thread in WAY}, ".stop": "fill:{room}", "rect.stop": "stroke:{edge}",
}  # fmt: skip
_SHARED = (
    "text{font:13.5px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}.name{font-weight:600}"
    ".muted{font-size:11.5px}.way{fill:none;stroke-width:4;stroke-linecap:round;stroke-linejoin:round}"
    ".stop{stroke-width:2.5}"
)


@dataclass(frozen=True)
class Box:
    """A room as it is drawn, in pixels."""

    room: str
    left: float
    right: float
    top: float
    bottom: float
    lines: list[str]

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2

    def svg(self, imported: set[str]) -> str:
        """Walls, name and purpose; what it imports is told to whoever points at it."""
        x, name = _span(self.room)[0], "muted" if self.room.startswith("_") and not self.lines else "name"
        kind = "store" if self.room.startswith("store") else "room"
        told = f"{_name(self.room)} imports {', '.join(map(_name, sorted(imported))) or 'no other room'}"
        rows = [_text(x, self.top + 18, _name(self.room), name)]
        rows += [_text(x, self.top + 19 + 14 * row, line, "muted") for row, line in enumerate(self.lines, 1)]
        return (
            f'<g><title>{escape(told)}</title><rect class="{kind}" x="{self.left:g}" y="{self.top:g}" '
            f'width="{self.right - self.left:g}" height="{self.bottom - self.top:g}" rx="4"/>{"".join(rows)}</g>'
        )


def picture() -> str:
    """The house as SVG."""
    boxes, ground = _boxes()
    width, eaves = 12 * UNIT + 2 * SIDES + 2 * MARGIN, boxes["cli"].top - GAP / 2
    arrows = known()
    wall = f"M{MARGIN} {ground:g}V{eaves:g}L{width / 2:g} {MARGIN}L{width - MARGIN} {eaves:g}V{ground:g}z"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {ground + 50:g}" width="{width}" role="img">',
        f"<style>{_SHARED}{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}</style>",
        "<title>The rooms of mixpanel-duckdb on their floors, and a page's way through them</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path class="tip" d="M0 1L7 4L0 7z"/></marker></defs>',
        f'<rect class="soil" y="{ground:g}" width="{width}" height="50"/><path class="wall" d="{wall}"/>',
        *_arrows(boxes, thinned(arrows)),
        *(box.svg(arrows[room]) for room, box in boxes.items()),
        *_way(boxes, ground),
        *_legend(boxes),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _boxes() -> tuple[dict[str, Box], float]:
    """The rooms in their places, and where the ground is."""
    boxes, top = {}, MARGIN + 30.0
    for floor in filter(None, map(str.split, FLOORS.split("\n"))):
        lines = {room: _lines(room) for room in floor}
        bottom = top + 27 + 14 * max(map(len, lines.values())) + (16 if "fetch" in floor else 0)
        for room in floor:
            left, right = PLACES[room]
            boxes[room] = Box(room, _x(left), _x(right), top, bottom, lines[room])
        top = bottom + GAP
    return boxes, top


def _span(room: str) -> tuple[float, float]:
    """From where to where a room may be written on, beside the shaft that goes through it."""
    left, right = map(_x, PLACES[room])
    for shaft in (_x(UP), _x(DOWN)) if any(room in rooms for rooms in WAY.values()) and room != "fetch" else ():
        if left < shaft < right:
            left, right = (left, shaft) if shaft - left > right - shaft else (shaft + 4, right)
    return left + 9, right - 7


def _lines(room: str) -> list[str]:
    """A room's purpose in two lines, or in as many as its first words need; none for helpers."""
    left, right = _span(room)
    most = int((right - left) / LETTER)
    told = [wrap(words, most, break_on_hyphens=False, break_long_words=False) for words in purposes(room)]
    fitting = [lines for lines in told if len(lines) <= 2]
    return [] if room in {"__main__", "_lazy", "_version"} else (fitting or told[:1])[-1]


def _arrows(boxes: dict[str, Box], arrows: dict[str, set[str]]) -> Iterator[str]:
    """Straight down from each room to those that it imports, past the rooms between; behind them if need be."""
    for here, ends in arrows.items():
        for there in sorted(ends - COMMON):
            start, end = boxes[here], boxes[there]
            between = [box for box in boxes.values() if start.bottom < box.top and box.bottom < end.top]
            shafts = [(x - 8, x + 8) for x in (_x(UP), _x(DOWN))]
            taken = [(box.left - 4, box.right + 4) for box in between] + shafts
            left, right = int(max(start.left, end.left) + 6), int(min(start.right, end.right) - 6)
            free = [x for x in range(left, right + 1) if not any(low < x < high for low, high in taken)]
            if free:
                x = min(free, key=lambda x, middle=(left + right) / 2: abs(x - middle))
                line = f"M{x} {start.bottom:g}V{end.top:g}"
            else:
                line = f"M{start.middle:g} {start.bottom:g}L{end.middle:g} {end.top:g}"
            yield f'<path class="arrow" marker-end="url(#tip)" d="{line}"/>'


def _way(boxes: dict[str, Box], ground: float) -> Iterator[str]:
    """A page's way: up from the server, through the queue in the middle of the fetch, down into the file."""
    up, down = _x(UP), _x(DOWN)
    level = {room: box.bottom - 11 for room, box in boxes.items()}
    queue, turn, end = (up + down) / 2, level["fetch"], ground + 12
    lines = {
        "fetch": f"M{up} {end:g}V{turn:g}H{queue:g}",
        "stager": f"M{queue:g} {turn:g}H{down}V{level['store/pages']:g}",
        "writer": f"M{down} {level['store/pages']:g}V{end:g}l-5 -7m5 7l5 -7",
    }
    for thread, line in lines.items():
        yield f'<path class="way {thread}" d="{line}"/>'
    for thread, rooms in WAY.items():
        x = up if thread == "fetch" else down
        for room in rooms:
            if room != "fetch":
                yield f'<circle class="stop {thread}" cx="{x:g}" cy="{level[room]:g}" r="4.5"/>'
    yield f'<rect class="stop" x="{queue - 25:g}" y="{turn - 9:g}" width="50" height="18" rx="9"/>'
    yield _text(queue, turn + 4, "queue", "muted", anchor="middle")
    yield _text(MARGIN, ground + 32, "Mixpanel's server", "name")
    yield _text(down, ground + 32, "the table in DuckDB", "name", anchor="middle")


def _legend(boxes: dict[str, Box]) -> Iterator[str]:
    left, top = _x(8.8), boxes["display"].top + 14
    words = {"fetch": "fetch threads", "stager": "stager", "writer": "writer"}
    yield _text(left, top, "A page's way:", "muted")
    for row, (thread, text) in enumerate(words.items(), 1):
        yield f'<path class="way {thread}" d="M{left + 2:g} {top + 18 * row - 4:g}h18"/>'
        yield _text(left + 28, top + 18 * row, text, "muted")
    yield f'<path class="arrow" marker-end="url(#tip)" d="M{left:g} {top + 68:g}h20"/>'
    yield _text(left + 28, top + 72, "imports", "muted")


def widths(room: str) -> tuple[float, float]:
    """How much a room's name and words need, and how much it has."""
    left, right = _span(room)
    lines = _lines(room)
    name = len(_name(room)) * (LETTER_OF_NAME if lines else LETTER)
    return max([name, *(len(line) * LETTER for line in lines)]), right - left


def _x(units: float) -> float:
    return round(MARGIN + SIDES + units * UNIT, 1)


def _name(room: str) -> str:
    return "mixpanel_duckdb" if room == "__init__" else room


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'


def _colours(colours: dict[str, str]) -> str:
    return "".join(f"{name}{{{rule.format(**colours)}}}" for name, rule in _RULES.items())
