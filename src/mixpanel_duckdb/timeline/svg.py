"""From a layout to SVG text: no scripts, no fonts to load, light and dark. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..text import many, one_line, shown
from .activity import Kind
from .layout import LEFT, RIGHT, WIDTH, Bar, Lane, Layout
from .scale import span_text
from .style import LABELS, LEGEND, LINES, MARKS, WORDS, style

__all__ = ["draw"]

_MARGIN = 20.0
_TOP = 84.0
_LANE = 34.0
_BAR = (9.0, 14.0)
_TAIL = (25.0, 3.0)
_LONGEST_NAME = 48
_LONGEST_REASON = 110


def draw(layout: Layout) -> str:
    """Write a layout as one self-contained SVG document.

    Args:
        layout: What goes where.

    Returns:
        SVG text; well-formed whatever is in names and reasons.
    """
    name = "run-" + "".join(letter for letter in layout.history.fetch.fetch_id if letter.isalnum())[:12]
    bottom = _TOP + len(layout.lanes) * _LANE
    parts = [*_heading(layout), *_ground(layout, bottom)]
    for number, lane in enumerate(layout.lanes):
        parts += _lane(layout, lane, number, _TOP + number * _LANE)
    legend, height = _legend(layout, bottom + 50)
    parts += [*_cuts(layout, bottom), *_axis(layout, bottom), *legend]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" '
        f'viewBox="0 0 {WIDTH:g} {height:g}" width="{WIDTH:g}" height="{height:g}" role="img" '
        f'style="max-width:100%;height:auto"><title>{_text(_title(layout))}</title>'
    )
    back = f'<rect class="back" width="{WIDTH:g}" height="{height:g}" rx="8"/>'
    return "\n".join([head, style(name), back, *parts, "</svg>", ""])


def _title(layout: Layout) -> str:
    fetch = layout.history.fetch
    unit, total = _unit(layout), fetch.total_pages
    pages = "no page yet" if total is None else f"{fetch.pages_done:,} of {many(total, unit)}"
    took = f" in {span_text(layout.seconds)}" if layout.lanes else ""
    return f"{fetch.table}: {pages}, {many(fetch.rows, layout.history.what[:-1])}{took}"


def _unit(layout: Layout) -> str:
    return "day" if layout.history.what == "events" else "page"


def _label(layout: Layout, kind: str) -> str:
    return "days fetched" if kind == "page" and layout.history.what == "events" else LABELS[kind]


def _heading(layout: Layout) -> Iterator[str]:
    fetch = layout.history.fetch
    table = fetch.table if len(fetch.table) <= _LONGEST_NAME else fetch.table[: _LONGEST_NAME - 1] + "…"
    rest = _title(layout).removeprefix(fetch.table)
    yield f'<text class="title" x="20" y="30">{_text(table)}<tspan class="plain">{_text(rest)}</tspan></text>'
    facts = [fetch.state, f"{layout.at_once} in flight {100 * layout.share:.0f} % of the time"]
    if fetch.total_pages and fetch.pages_missing:
        facts.insert(1, f"{many(len(fetch.pages_missing), _unit(layout))} missing")
    failed = layout.counts["failed"] + layout.counts["lost"]
    facts += [f"{many(failed, 'request')} failed"] * bool(failed)
    facts += [f"{layout.counts['refused']:,} answered with 429"] * bool(layout.counts["refused"])
    paused = sum(pause.seconds for pause in layout.pauses)
    facts += [f"paused {span_text(paused)}"] * bool(layout.pauses)
    facts += [f"{len(layout.cuts) + 1} runs"] * bool(layout.cuts)
    facts.append(f"{fetch.started_at:%Y-%m-%d %H:%M:%S} UTC")
    if not layout.lanes:
        facts = [fetch.state, facts[-1]]
    yield f'<text class="muted" x="20" y="51">{_text(" · ".join(facts))}</text>'


def _ground(layout: Layout, bottom: float) -> Iterator[str]:
    """What lies under the lanes: grid, pauses, and words where there is nothing to show."""
    for tick in layout.ticks:
        yield f'<path class="grid" d="M{tick.x:.1f} {_TOP:g}V{bottom:g}"/>'
    if not layout.lanes:
        nothing = "The journal has no page of this fetch." if _unit(layout) == "page" else "Nothing was asked for."
        yield f'<text class="muted" x="{_MARGIN:g}" y="{_TOP + 6:g}">{nothing}</text>'
    for pause in layout.pauses:
        width = max(1.5, pause.right - pause.left)
        words = f"{WORDS.get(pause.why, 'limit')}: all workers paused {span_text(pause.seconds)}"
        yield (
            f'<g class="pause"><title>{_text(words)}</title>'
            f'<rect x="{pause.left:.1f}" y="{_TOP - 16:g}" width="{width:.1f}" height="{bottom - _TOP + 16:g}"/></g>'
        )
        for label in (f"paused {span_text(pause.seconds)}", span_text(pause.seconds)):
            if len(label) * 6.2 < width:
                middle = (pause.left + pause.right) / 2
                yield f'<text class="small" x="{middle:.1f}" y="{_TOP - 5:g}" text-anchor="middle">{label}</text>'
                break


def _lane(layout: Layout, lane: Lane, number: int, top: float) -> Iterator[str]:
    yield f'<text class="label" x="{LEFT - 10:g}" y="{top + 20:g}" text-anchor="end">worker {number + 1}</text>'
    yield f'<path class="base" d="M{LEFT:g} {top + _TAIL[0] + _TAIL[1] + 3:g}H{WIDTH - RIGHT:g}"/>'
    if lane.tails:
        strokes = "".join(
            f"M{left:.1f} {top + _TAIL[0]:g}h{max(0.8, right - left):.1f}v{_TAIL[1]:g}H{left:.1f}z"
            for left, right in lane.tails
        )
        yield f'<path class="commit" d="{strokes}"/>'
    for bar in lane.bars:
        yield _bar(layout, bar, top)
    for place, kind in lane.marks:
        yield from _mark(kind, place, top + 4)


def _bar(layout: Layout, bar: Bar, top: float) -> str:
    width = max(0.8, bar.right - bar.left)
    gap = 0.7 if width > 2.5 else 0.0
    title = f"<title>{_text(_words(layout, bar))}</title>"
    if bar.kind in LINES:
        middle = top + _BAR[0] + _BAR[1] / 2
        return f'<path class="{bar.kind}" d="M{bar.left:.1f} {middle:g}h{width:.1f}">{title}</path>'
    return (
        f'<rect class="{bar.kind}" x="{bar.left:.1f}" y="{top + _BAR[0]:g}" width="{width - gap:.1f}" '
        f'height="{_BAR[1]:g}">{title}</rect>'
    )


def _words(layout: Layout, bar: Bar) -> str:
    """What the tooltip of a bar says."""
    what = layout.history.what[:-1]
    if len(bar.of) == 1:
        (only,) = bar.of
        words = f"{only.name}: {_label(layout, only.kind)}, {span_text(only.seconds)}"
        words += f", {many(only.rows, what)}" if only.kind == "page" else ""
        why = WORDS.get(only.why, only.why)
        return f"{words} ({one_line(why, _LONGEST_REASON)})" if why else words
    pages = {each.page for each in bar.of}
    kinds: dict[Kind, int] = {}
    for each in bar.of:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    done = ", ".join(f"{_label(layout, kind)} {times} times" for kind, times in kinds.items())
    seconds = (max(each.end for each in bar.of) - bar.of[0].start).total_seconds()
    several = f"{len(pages)} pages from {min(pages)} to {max(pages)}" if what == "profile" else f"{len(pages)} requests"
    which = bar.of[0].name if len(pages) == 1 else several
    return f"{which} in {span_text(seconds)}: {done}, {many(sum(each.rows for each in bar.of), what)}"


def _cuts(layout: Layout, bottom: float) -> Iterator[str]:
    for cut in layout.cuts:
        middle = (cut.left + cut.right) / 2
        words = f"{span_text(cut.seconds)} between two runs, cut out"
        yield (
            f'<g class="cut"><title>{_text(words)}</title>'
            f'<path d="M{cut.left:.1f} {_TOP - 16:g}V{bottom + 6:g}H{cut.right:.1f}V{_TOP - 16:g}z"/></g>'
        )
        if len(layout.cuts) <= 12:
            yield (
                f'<text class="small" transform="translate({middle + 3.5:.1f} {(_TOP + bottom) / 2:g}) rotate(-90)" '
                f'text-anchor="middle">{_text(span_text(cut.seconds))}{" later" if bottom - _TOP > 90 else ""}</text>'
            )


def _axis(layout: Layout, bottom: float) -> Iterator[str]:
    if not layout.ticks:
        return
    last = -WIDTH
    for tick in layout.ticks:
        if tick.x - last > 7.0 * len(tick.text) + 8:
            yield f'<text class="small" x="{tick.x:.1f}" y="{bottom + 17:g}" text-anchor="middle">{tick.text}</text>'
            last = tick.x
    most = max((len(bar.of) for lane in layout.lanes for bar in lane.bars), default=1)
    if most > 1:
        words = f"short ones are drawn together, up to {most:,} in a bar"
        yield f'<text class="small" x="{LEFT:g}" y="{bottom + 33:g}">{words}</text>'
    what = "seconds, the time between runs cut out" if layout.cuts else "seconds"
    yield f'<text class="small" x="{layout.right:g}" y="{bottom + 33:g}" text-anchor="end">{what}</text>'


def _legend(layout: Layout, top: float) -> tuple[list[str], float]:
    """What the colours mean, of what there is; gives the bottom edge, too."""
    parts, place = [], _MARGIN
    shown = [*(kind for kind in LEGEND if layout.counts[kind]), *(["limit"] if layout.pauses else [])]
    for kind in shown:
        sample = 35 if kind in MARKS else 20
        width = sample + 5 + 6.0 * len(_label(layout, kind))
        if place + width > WIDTH - _MARGIN:
            place, top = _MARGIN, top + 20
        parts += [
            *_sample(kind, place, top),
            f'<text class="small" x="{place + sample + 5:g}" y="{top + 8:g}">{_label(layout, kind)}</text>',
        ]
        place += width + 18
    return parts, top + 20


def _sample(kind: str, place: float, top: float) -> Iterator[str]:
    if kind == "commit":
        yield f'<rect class="commit" x="{place:g}" y="{top + 2:g}" width="20" height="3"/>'
    elif kind in LINES - {"limit"}:
        yield f'<path class="{kind}" d="M{place:g} {top + 4:g}h20"/>'
    elif kind == "limit":
        yield f'<g class="pause"><rect x="{place:g}" y="{top - 3:g}" width="20" height="14"/></g>'
        yield f'<path class="limit" d="M{place:g} {top + 4:g}h20"/>'
    else:
        yield f'<rect class="{kind}" x="{place:g}" y="{top - 1:g}" width="20" height="10"/>'
        if kind in MARKS:
            yield from _mark(kind, place + 28, top + 4)


def _mark(kind: str, x: float, y: float) -> Iterator[str]:
    """Draw a mark around a point; not by reference, since no rule of the style sheet would reach it there."""
    for name, left, up, lines in MARKS[kind]:
        yield f'<path class="{name}" d="M{x - left:.1f} {y - up:.1f}{lines}"/>'


def _text(words: str) -> str:
    return escape(shown(words))
