"""What was measured, as tables: for a terminal, and as Markdown for the docs."""

from statistics import median
from typing import Any

_COLUMNS = ("wall s", "own s", "CPU s", "peak MB", "file MB", "wall / first")


def rows(outcome: dict[str, Any]) -> list[list[str]]:
    """One row for each entry: the medians, and the median of the ratio to the first entry."""
    runs = outcome["runs"]
    first = next(iter(runs[0]))
    table = []
    for label in runs[0]:
        samples = [samples[label] for samples in runs]
        ratios = [samples[label]["wall"] / samples[first]["wall"] for samples in runs]
        medians = {name: _median(samples, name) for name in ("wall", "seconds", "cpu", "peak_mb", "file_mb")}
        table.append(
            [
                label,
                f"{medians['wall']:.2f}",
                f"{medians['seconds']:.2f}",
                f"{medians['cpu']:.2f}",
                f"{medians['peak_mb']:,.0f}",
                "" if medians["file_mb"] is None else f"{medians['file_mb']:,.1f}",
                f"{median(ratios):.2f}",
            ]
        )
    return table


def verdict(figure: dict[str, Any]) -> list[str]:
    """A figure's text, value, goal and whether it is met."""
    goal, value = figure["at_most"], figure["value"]
    shown = f"{value:,.0f}" if value >= 50 else f"{value:.3f}"
    if goal is None:
        return [figure["text"], shown, "", ""]
    return [figure["text"], shown, f"at most {goal:.3g}", "met" if value <= goal else "missed"]


def plain(outcome: dict[str, Any]) -> str:
    """Both tables in columns."""
    entries = [["", *_COLUMNS], *rows(outcome)]
    figures = [verdict(figure) for figure in outcome["figures"]]
    title = outcome["title"] + (" (in little: no measurement)" if outcome["quick"] else "")
    return "\n".join([title, *_aligned(entries), *_aligned(figures), ""])


def middle(outcome: dict[str, Any], label: str, name: str) -> float | None:
    """The median of one measure of one entry over the rounds."""
    return _median([samples[label] for samples in outcome["runs"]], name)


def markdown(report: dict[str, Any]) -> str:
    """Every scenario of a report, with its date, under the machine it ran on."""
    parts = ["# All figures", machine_line(report)]
    for outcome in report["scenarios"].values():
        small = ", **in little, not a measurement**" if outcome["quick"] else ""
        parts.append(f"## {headline(outcome)}\n\n{outcome['date'][:10]}, {_used(outcome)}{small}")
        parts.append(piped(["", *_COLUMNS], rows(outcome)))
        parts.append(piped(["figure", "median", "goal", ""], [verdict(figure) for figure in outcome["figures"]]))
    return "\n\n".join(parts) + "\n"


def machine_line(report: dict[str, Any]) -> str:
    """What the figures depend on."""
    machine = report["machine"]
    return f"Measured on {machine['cores']} cores ({machine['system']}), Python {machine['python']}."


def headline(outcome: dict[str, Any]) -> str:
    """A scenario's title as a heading."""
    title = outcome["title"]
    return title[0].upper() + title[1:]


def _median(samples: list[dict[str, Any]], name: str) -> float | None:
    values = [sample[name] for sample in samples]
    return None if None in values else median(values)


def _used(outcome: dict[str, Any]) -> str:
    versions = sorted({f"{name} {version}" for used in outcome["versions"].values() for name, version in used.items()})
    runs = len(outcome["runs"])
    return f"{f'medians of {runs} runs in turns' if runs > 1 else 'one run'}; {', '.join(versions)}"


def _aligned(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [f"  {_line(row, widths)}".rstrip() for row in table]


def _line(row: list[str], widths: list[int]) -> str:
    first, *rest = row
    return "  ".join(
        [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))]
    )


def piped(head: list[str], table: list[list[str]]) -> str:
    """A table of Markdown: the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *table])
