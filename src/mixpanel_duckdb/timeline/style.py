"""Colours, marks and words of the picture: colours that are told apart by everyone (Okabe and Ito), shapes beside them.

Every rule is bound to the picture's own id, since a notebook shows several pictures in one page.
"""

from __future__ import annotations

from collections.abc import Mapping

from .activity import Kind

__all__ = ["LABELS", "LEGEND", "LINES", "MARKS", "WORDS", "style"]

LABELS: Mapping[str, str] = {
    "page": "page fetched",
    "commit": "until written",
    "failed": "request failed",
    "lost": "given up",
    "refused": "answered with 429",
    "stopped": "cut short by a stop",
    "backoff": "wait before retry",
    "turn": "wait for a turn",
    "limit": "all paused",
}
LEGEND: tuple[Kind, ...] = ("page", "commit", "failed", "lost", "refused", "stopped", "backoff", "turn")
LINES: frozenset[str] = frozenset({"turn", "backoff", "limit"})
# Of each mark its strokes: a class, how far to the left of and above its middle they begin, and where they go.
MARKS: Mapping[str, tuple[tuple[str, float, float, str], ...]] = {
    "failed": (("mark", 3.2, 3.2, "l6.4 6.4m0 -6.4l-6.4 6.4"),),
    "lost": (
        ("failed", 4.8, 0, "a4.8 4.8 0 1 0 9.6 0a4.8 4.8 0 1 0 -9.6 0z"),
        ("hole", 2.2, 2.2, "l4.4 4.4m0 -4.4l-4.4 4.4"),
    ),
    "refused": (("refused", 0, 4.2, "l4.2 4.2l-4.2 4.2l-4.2 -4.2z"),),
    "stopped": (("stopped", 3, 3, "h6v6h-6z"),),
}
WORDS: Mapping[str, str] = {
    "quota": "the project's quota is used up",
    "concurrency": "too many requests at a time",
    "shedding": "the server is busy",
}

_LIGHT = {
    "back": "#ffffff", "ink": "#1f2933", "muted": "#5b6673", "grid": "#e4e8ec", "base": "#cfd6dd", "page": "#0072b2",
    "commit": "#009e73", "failed": "#d55e00", "refused": "#e69f00", "stopped": "#8a94a0", "pause": "#e69f00",
    "cut": "#eef1f4",
}  # fmt: skip
_DARK = {
    "back": "#14181f", "ink": "#e6ebf0", "muted": "#a3aebb", "grid": "#262d36", "base": "#3a434e", "page": "#56b4e9",
    "commit": "#2fc99b", "failed": "#ff8a3d", "refused": "#f5c451", "stopped": "#8a94a0", "pause": "#f5c451",
    "cut": "#222932",
}  # fmt: skip


def style(name: str) -> str:
    """Give the style sheet of the picture with this id.

    Args:
        name: The id; letters, digits and hyphens.
    """
    shared = (
        f"#{name} text{{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}}"
        f"#{name} .title{{font-size:16px;font-weight:600}}#{name} .plain{{font-weight:400}}"
        f"#{name} .small{{font-size:11px}}"
        f"#{name} .grid,#{name} .base,#{name} .turn,#{name} .limit{{stroke-width:1;fill:none}}"
        f"#{name} .backoff{{stroke-width:2;stroke-dasharray:2 2;fill:none}}#{name} .pause rect{{fill-opacity:.22}}"
        f"#{name} .cut path{{stroke-dasharray:4 3}}"
    )
    return (
        f"<style>{shared}{_colours(name, _LIGHT)}@media (prefers-color-scheme:dark){{{_colours(name, _DARK)}}}</style>"
    )


def _colours(name: str, colours: Mapping[str, str]) -> str:
    rules = {
        "text": f"fill:{colours['ink']}",
        ".muted": f"fill:{colours['muted']}",
        ".small": f"fill:{colours['muted']}",
        ".label": f"fill:{colours['muted']}",
        ".back": f"fill:{colours['back']}",
        ".grid": f"stroke:{colours['grid']}",
        ".base": f"stroke:{colours['base']}",
        ".page": f"fill:{colours['page']}",
        ".commit": f"fill:{colours['commit']}",
        ".failed": f"fill:{colours['failed']}",
        ".lost": f"fill:{colours['failed']}",
        ".refused": f"fill:{colours['refused']}",
        ".stopped": f"fill:{colours['stopped']}",
        ".turn": f"stroke:{colours['muted']}",
        ".limit": f"stroke:{colours['refused']}",
        ".backoff": f"stroke:{colours['failed']}",
        ".mark": f"stroke:{colours['failed']};stroke-width:2;fill:none",
        ".hole": f"stroke:{colours['back']};stroke-width:1.6;fill:none",
        ".pause rect": f"fill:{colours['pause']}",
        ".cut path": f"fill:{colours['cut']};stroke:{colours['muted']}",
    }
    return "".join(f"#{name} {selector}{{{rule}}}" for selector, rule in rules.items())
