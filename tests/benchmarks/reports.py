"""What a run leaves behind: raw figures as JSON, and from them pictures, tables and the figures in the documents."""

import json
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.questions import answers, beside_the_limit, grown, others
from benchmarks.tables import headline, machine_line, markdown, middle, piped, verdict

Report = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
_PLACES = ("README.md", "docs/index.md", "docs/benchmarks.md", "docs/typed-columns.md")
_TIMES = "\N{MULTIPLICATION SIGN}"
_MARKED = re.compile(r"(<!-- drawn: (\w+) -->\n).*?(<!-- /drawn -->)", re.DOTALL)


def machine() -> dict[str, Any]:
    """What the figures depend on, as far as it may be told: nothing names the machine itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def opened(path: Path | None) -> Report:
    """The report of earlier runs, to be completed; scenarios of another machine are left out."""
    fresh = {"machine": machine(), "scenarios": {}}
    if path is None or not path.exists():
        return fresh
    earlier = json.loads(path.read_text())
    return earlier if earlier["machine"] == fresh["machine"] else fresh


def keep(report: Report, path: Path) -> None:
    """Write the raw figures."""
    path.write_text(json.dumps(report, indent=1) + "\n")


def publish(report: Report, folder: Path) -> None:
    """Write ``results.md`` and a picture for each question that the results answer."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(report).items():
        (folder / name).write_text(text)


def files(report: Report) -> dict[str, str]:
    """The names and texts of all that is drawn."""
    return {f"{each.name}.svg": each.picture for each in answers(report)} | {"results.md": markdown(report)}


def documents(report: Report) -> dict[Path, str]:
    """The documents that tell of these figures, with those between their marks made anew."""
    told = {"questions": _questions, "table": _table, "figures": _figures, "missed": _missed, "typed": _typed}

    def anew(found: re.Match[str]) -> str:
        return found[1] + "\n".join(told[found[2]](report)) + "\n" + found[3]

    return {path: _MARKED.sub(anew, path.read_text()) for path in (ROOT / name for name in _PLACES)}


def _questions(report: Report) -> Iterator[str]:
    yield f"\n{machine_line(report)}\n"
    for answer in answers(report):
        yield f"## {answer.question}\n\n{answer.sentence}\n\n![{answer.question}](benchmarks/{answer.name}.svg)\n"


def _table(report: Report) -> Iterator[str]:
    """The rivals, for a page without pictures."""
    rows = others(report["scenarios"]["peers-latency"])
    head = ["100,000 profiles, 0.3 s a page", "seconds", "peak memory, MB"]
    yield "\n" + piped(head, [[name, f"{seconds:.1f}", f"{peak:,.0f}"] for _, name, seconds, peak in rows]) + "\n"


def _typed(report: Report) -> Iterator[str]:
    """What typed columns cost, beside DuckDB's own detection."""
    outcome = report["scenarios"]["typed"]
    names = {
        "typed view": "types and view",
        "typed table": "types and table",
        "read_json, detected columns": "`read_json` of DuckDB, into a table",
    }
    digits = {"wall": ".1f", "cpu": ".1f", "peak_mb": ",.0f"}
    rows = [
        [name, *(format(middle(outcome, label, measure), form) for measure, form in digits.items())]
        for label, name in names.items()
    ]
    yield "\n" + piped(["", "wall s", "CPU s", "peak MB"], rows) + "\n"


def _missed(report: Report) -> Iterator[str]:
    """Every goal that these results do not meet."""
    rows = [
        [headline(outcome), *verdict(figure)[:3]]
        for outcome in report["scenarios"].values()
        for figure in outcome["figures"]
        if figure["at_most"] is not None and figure["value"] > figure["at_most"]
    ]
    table = "\n".join(
        f"| {' | '.join(row)} |" for row in [["scenario", "figure", "median", "goal"], ["---"] * 4, *rows]
    )
    yield f"\n{table if rows else 'None.'}\n"


def _figures(report: Report) -> Iterator[str]:
    """What makes the difference, as cards."""
    scenarios = report["scenarios"]
    ours, *rest = others(scenarios["peers-latency"])
    faster = {name: f"{seconds / ours[2]:.1f}\N{NO-BREAK SPACE}{_TIMES}" for _, name, seconds, _ in rest}
    first = "mixpanel-utils" if "mixpanel-utils" in faster else next(reversed(faster))
    more = ", ".join(f"{times} {name}" for name, times in faster.items() if name != first)
    times, _ = beside_the_limit(scenarios["hundred-pages"], report["machine"]["cores"])
    least, most = grown(scenarios)[0], grown(scenarios)[-1]
    yield "\n::::{grid} 1 3 3 3\n:gutter: 3\n"
    yield from _card(
        f"{times:.2f}\N{NO-BREAK SPACE}{_TIMES}", "the time of a download that throws the pages away, at 0.3 s a page"
    )
    yield from _card(faster[first], f"as fast as {first}; {more}")
    yield from _card(f"{most[2]:,.0f} MB", f"of memory for {most[0]:,} profiles; {least[2]:,.0f} MB for {least[0]:,}")
    yield "::::\n"


def _card(figure: str, words: str) -> Iterator[str]:
    yield f":::{{grid-item-card}} {figure}\n:class-card: figure\n{words}\n:::"
