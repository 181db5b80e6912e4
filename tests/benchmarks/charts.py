"""Small pictures as SVG, light and dark, legible on a telephone: bars side by side, and lines over a size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 560
_GAP, _ROW = 70, 30
# How wide a letter is at most, on average.
LETTER = 9.0
_STYLE = """
text{font:15px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2933}
.small{font-size:13.5px;fill:#5b6673}.ours{font-weight:600}
.bar{fill:#a9b4c0}.bar.ours{fill:#0072b2}.limit{stroke:#d55e00;stroke-width:2;fill:none}
.axis{stroke:#cfd6dd;fill:none}.line{fill:none;stroke:#0072b2;stroke-width:2.5}.dot{fill:#0072b2}.other{fill:#8a94a0}
@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.small{fill:#a3aebb}.bar{fill:#56616d}.bar.ours{fill:#56b4e9}
.limit{stroke:#ff8a3d}.axis{stroke:#3a434e}.line{stroke:#56b4e9}.dot{fill:#56b4e9}.other{fill:#8a94a0}}
""".replace("\n", "")


@dataclass(frozen=True)
class Panel:
    """One column of bars: what they measure, their lengths, how each is written, and a line that all stand against."""

    title: str
    values: Sequence[float]
    texts: Sequence[str]
    limit: float | None = None


@dataclass(frozen=True)
class Curve:
    """One measure over the sizes; ``beside`` are single points of others above it: size, value, name."""

    title: str
    sizes: Sequence[float]
    values: Sequence[float]
    texts: Sequence[str]
    beside: Sequence[tuple[float, float, str]] = ()
    height: int = 190


def bars(alt: str, names: Sequence[str], panels: Sequence[Panel], ours: int = 1) -> str:
    """Names at the left, a column of bars for each panel; the first rows are ours."""
    margin = 14 + LETTER * max(map(len, names))
    room = (_WIDTH - margin) / len(panels)
    kinds = ["ours" if number < ours else "" for number in range(len(names))]
    parts = []
    for number, name in enumerate(names):
        parts.append(_text(margin - 10, 52 + number * _ROW, name, kinds[number], "end"))
    for column, panel in enumerate(panels):
        left = margin + column * room
        scale = (room - _GAP) / max(panel.values)
        parts.append(_text(left, 20, panel.title, "small"))
        for number, (value, text) in enumerate(zip(panel.values, panel.texts, strict=True)):
            top, width = 38 + number * _ROW, max(value * scale, 1)
            parts.append(
                f'<rect class="bar {kinds[number]}" x="{left:.1f}" y="{top}" width="{width:.1f}" height="19" rx="2"/>'
            )
            parts.append(_text(left + width + 7, top + 14, text, kinds[number]))
        if panel.limit is not None:
            parts.append(f'<path class="limit" d="M{left + panel.limit * scale:.1f} 30V{38 + len(names) * _ROW}"/>')
    return _picture(alt, 46 + len(names) * _ROW, parts)


def curves(alt: str, drawn: Sequence[Curve]) -> str:
    """One curve below the other, over the same sizes; axes start at 0, so that what is in proportion is straight."""
    parts, top = [], 0
    for curve in drawn:
        parts += _curve(curve, top + 30, curve.height - 75)
        top += curve.height
    return _picture(alt, top, parts)


def _curve(curve: Curve, top: float, height: float) -> Iterator[str]:
    widest, base = max(curve.sizes), top + height
    highest = 1.15 * max([*curve.values, *(value for _, value, _ in curve.beside)])

    def place(size: float, value: float) -> tuple[float, float]:
        return 30 + size / widest * (_WIDTH - 80), base - value / highest * (height - 14)

    yield _text(10, top - 8, curve.title, "small")
    yield f'<path class="axis" d="M20 {base}H{_WIDTH - 20}"/>'
    spots = [place(*spot) for spot in zip(curve.sizes, curve.values, strict=True)]
    yield f'<path class="line" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in spots)}"/>'
    for (x, y), size, text in zip(spots, curve.sizes, curve.texts, strict=True):
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        yield _text(x, y + 22 if curve.beside else y - 10, text, "ours", "middle")
        yield _text(x, base + 20, short(size), "small", "middle")
    lowest = base
    for size, value, name in sorted(curve.beside, key=lambda spot: spot[1]):
        x, y = place(size, value)
        lowest = min(y, lowest - 17)
        yield f'<circle class="other" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        yield _text(x + 12, lowest + 5, name, "small")


def short(size: float) -> str:
    """A number of profiles in few letters: 50k, 1M."""
    return f"{size / 1e6:g}M" if size >= 1e6 else f"{size / 1e3:g}k"


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(alt: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(alt)}"><style>{_STYLE}</style>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"
