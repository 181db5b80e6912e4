"""The command line of the benchmarks."""

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.measuring import FailedError
from benchmarks.races import race
from benchmarks.reports import keep, opened, publish
from benchmarks.scenarios import PEERS, SCENARIOS, USUAL, Scenario, Server, custom
from benchmarks.tables import plain
from clients.environments import UnavailableError


def main(arguments: list[str] | None = None) -> None:
    """Run the scenarios one after the other and print each as soon as it is done."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if unknown := set(asked.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    report = opened(asked.json)
    for name, scenario in _chosen(asked).items():
        tell = partial(_tell, name)
        try:
            outcome = race(scenario, asked.runs or (1 if asked.quick else 3), tell) | {"quick": asked.quick}
        except (UnavailableError, FailedError) as error:
            sys.exit(f"{name}: {error}")
        report["scenarios"][name] = outcome
        print(plain(outcome), flush=True)
        if asked.json:
            keep(report, asked.json)
    if asked.report:
        publish(report, asked.report)


def _chosen(asked: argparse.Namespace) -> dict[str, Scenario]:
    own = {"profiles": asked.profiles, "latency": asked.latency, "page_size": asked.page_size}
    given = {name: value for name, value in own.items() if value is not None}
    if given or asked.peers:
        peers = tuple(PEERS) if "all" in asked.peers else tuple(asked.peers)
        chosen = {"custom": custom(Server(**{"profiles": 100_000, **given}), peers)}
    else:
        chosen = {name: SCENARIOS[name] for name in asked.scenarios or USUAL}
    return {name: scenario.quick() if asked.quick else scenario for name, scenario in chosen.items()}


def _tell(name: str, text: str) -> None:
    print(f"{name}: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure whole processes in turns and compare their medians.",
        epilog="scenarios: " + "; ".join(f"{name}: {scenario.title}" for name, scenario in SCENARIOS.items()),
    )
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help=f"default: {' '.join(USUAL)}")
    add("--profiles", type=int, metavar="N", help="a server of one's own instead of a scenario")
    add("--latency", type=float, metavar="SECONDS", help="the same")
    add("--page-size", type=int, metavar="N", help="the same")
    add("--peers", nargs="+", default=[], choices=[*PEERS, "all"], help="who else takes part there")
    add("--runs", type=int, metavar="N", help="of each entry; default 3, or 1 with --quick")
    add("--json", type=Path, metavar="FILE", help="raw figures; those of other scenarios in it stay")
    add("--report", type=Path, metavar="FOLDER", help="Markdown and SVG of all that FILE holds")
    add("--quick", action="store_true", help="everything in little, to see that it runs; measures nothing")
    return parser
