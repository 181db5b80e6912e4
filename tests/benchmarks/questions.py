"""What a user asks before anything else: each question with a sentence and a picture, out of the results file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.charts import Curve, Panel, bars, curves, short
from benchmarks.tables import middle

Outcome = dict[str, Any]
Scenarios = dict[str, Outcome]
_OURS, _DOWNLOAD, _READ = "ours", "plain download", "read_json"
# What stands beside the limit, and how a chart calls it.
_SITUATIONS = {
    "jitter": "41 pages, 1.5 s each",
    "hundred-pages": "100 pages, 0.3 s each",
    "latency": "41 pages, 0.3 s each",
    "million": "1M, no wait",
    "large-profiles": "200k of 3 KB, no wait",
    "stored": "200k, no wait",
}


@dataclass(frozen=True)
class Answer:
    """A question, the sentence that answers it, and the picture that shows it."""

    name: str
    question: str
    sentence: str
    picture: str


def answers(report: dict[str, Any]) -> list[Answer]:
    """Every question that these results can answer, the one that matters most first."""
    scenarios, cores = report["scenarios"], report["machine"]["cores"]
    asked = (_beside_others(scenarios), _growth(scenarios), _beside_the_limit(scenarios, cores), _events(scenarios))
    return [answer for answer in asked if answer]


def others(outcome: Outcome) -> list[tuple[str, str, float, float]]:
    """Who took part, this package first and then the quickest: label, name, seconds and peak megabytes."""
    rows = [
        (label, named(label), middle(outcome, label, "wall"), middle(outcome, label, "peak_mb"))
        for label in outcome["runs"][0]
    ]
    return sorted(rows, key=lambda row: (not row[0].startswith(_OURS), row[2]))


def named(label: str) -> str:
    """An entry's name for readers."""
    return "this package" if label.startswith(_OURS) else label.split(",", maxsplit=1)[0]


def beside_the_limit(outcome: Outcome, cores: int, which: str = "") -> tuple[float, str] | None:
    """How many times as long as the limit allows, and what sets that limit; ``None`` where none was measured.

    Where the server takes its time, the limit is a download that throws the same pages away. Else it is the processor
    time of serving, downloading and DuckDB's own reader, on cores that never wait. ``which`` ends an entry's label.
    """
    ours, download, read = (name + which for name in (_OURS, _DOWNLOAD, _READ))
    entries = outcome["runs"][0]
    if not {ours, download} <= set(entries):
        return None

    def times(samples: dict[str, Any]) -> float:
        if read not in samples:
            return samples[ours]["seconds"] / samples[download]["seconds"]
        work = samples[download]["cpu"] + samples[read]["cpu"] + samples[download].get("served", 0)
        return samples[ours]["wall"] * cores / work

    return median(map(times, outcome["runs"])), "cores" if read in entries else "download"


def grown(scenarios: Scenarios) -> list[tuple[int, float, float]]:
    """For each size of the largest series there is: profiles, seconds, peak megabytes."""
    outcome = scenarios.get("growth-5m") or scenarios.get("growth")
    return [
        (sample["rows"], middle(outcome, label, "wall"), middle(outcome, label, "peak_mb"))
        for label, sample in (outcome["runs"][0].items() if outcome else ())
    ]


def _beside_others(scenarios: Scenarios) -> Answer | None:
    if "peers-latency" not in scenarios:
        return None
    rows = others(scenarios["peers-latency"])
    _, _, ours, peak = rows[0]
    slower, larger = ([row[place] for row in rows[1:]] for place in (2, 3))
    sentence = (
        f"100,000 profiles in 100 pages, for each of which the server needs 0.3 s: {ours:.1f} s, where other ways "
        f"take {min(slower):.1f} to {max(slower):.1f} s, and {peak:,.0f} MB of memory, where they take "
        f"{min(larger):,.0f} to {max(larger):,.0f}. mixpanel-headless and mixpanel-utils give a list and store nothing."
    )
    if "peers" in scenarios:
        quick = others(scenarios["peers"])
        sentence += (
            f" When the server answers at once, it is {quick[0][2]:.1f} s against "
            f"{_listed(f'{seconds:.1f} ({name})' for _, name, seconds, _ in quick[1:])}."
        )
    question = "How long does my project take, against what I use today?"
    return Answer("others", question, sentence, _time_and_memory(question, rows))


def _events(scenarios: Scenarios) -> Answer | None:
    if "events-peers" not in scenarios:
        return None
    rows = others(scenarios["events-peers"])
    events = scenarios["events-peers"]["runs"][0][rows[0][0]]["rows"]
    told = _listed(f"{seconds:.1f} ({name})" for _, name, seconds, _ in rows[1:])
    sentence = (
        f"{events:,} events from a server that answers at once: {rows[0][2]:.1f} s, against {told}. "
        "mixpanel-headless gives them one by one and mixpanel-utils a list; neither stores them."
    )
    question = "And events?"
    return Answer("events", question, sentence, _time_and_memory(question, rows))


def _time_and_memory(alt: str, rows: list[tuple[str, str, float, float]]) -> str:
    panels = [
        Panel("seconds", [row[2] for row in rows], [f"{row[2]:.1f}" for row in rows]),
        Panel("peak memory, MB", [row[3] for row in rows], [f"{row[3]:,.0f}" for row in rows]),
    ]
    return bars(alt, [row[1] for row in rows], panels)


def _growth(scenarios: Scenarios) -> Answer | None:
    rows = grown(scenarios)
    if len(rows) < 2:
        return None
    sizes, seconds, peaks = zip(*rows, strict=True)
    beside = [
        (100_000, peak, f"{name}, {peak:,.0f}")
        for label, name, _, peak in (others(scenarios["peers"]) if "peers" in scenarios else ())
        if label != _OURS
    ]
    sentence = (
        f"Time grows in proportion: {seconds[-1]:.1f} s for {sizes[-1]:,} profiles from a server that answers at once, "
        f"{1e6 * seconds[-1] / sizes[-1]:.1f} s a million. Memory does not: {peaks[0]:,.0f} MB for {sizes[0]:,} "
        f"profiles, {peaks[-1]:,.0f} MB for {sizes[-1]:,}."
    )
    if beside:
        sentence += " The grey points are the others with 100,000 profiles, which they hold in memory."
    drawn = [
        Curve("seconds", sizes, seconds, [f"{each:.1f}" for each in seconds]),
        Curve("peak memory, MB", sizes, peaks, [f"{each:,.0f}" for each in peaks], beside, 330 if beside else 190),
    ]
    question = "How does it grow, in time and in memory?"
    return Answer("growth", question, sentence, curves(question, drawn))


def _beside_the_limit(scenarios: Scenarios, cores: int) -> Answer | None:
    looked = [(title, scenarios.get(name), "") for name, title in _SITUATIONS.items()]
    shapes = scenarios.get("shapes-million") or scenarios.get("shapes")
    for label, sample in shapes["runs"][0].items() if shapes else ():
        if label.startswith(f"{_OURS}: "):
            which = label.removeprefix(_OURS)
            looked.append((short(sample["rows"]) + which, shapes, which))
    rows = [
        (title, *found)
        for title, outcome, which in looked
        if outcome and (found := beside_the_limit(outcome, cores, which))
    ]
    if len(rows) < 2:
        return None
    words = {
        "download": "a download that throws the same pages away",
        "cores": f"serving, downloading and DuckDB's own reader of a file would, on {cores} cores that never wait",
    }
    told = [
        f"{_span([times for _, times, each in rows if each == which])} times as long as {words[which]}"
        for which in dict.fromkeys(which for _, _, which in rows)
    ]
    sentence = f"The line is the limit: a fetch takes {_listed(iter(told))}."
    panel = Panel("times the limit", [row[1] for row in rows], [f"{row[1]:.2f}" for row in rows], 1.0)
    question = "What does it cost beside the physical limit?"
    return Answer("limit", question, sentence, bars(question, [row[0] for row in rows], [panel], ours=len(rows)))


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _listed(parts: Iterator[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
