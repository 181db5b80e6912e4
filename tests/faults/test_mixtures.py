"""Random trouble over whole runs, repeated by its seed: the exact table in the end, and honest reports until then.

``MP_TEST_SEEDS=200`` runs so many seeds; a seed that fails says which faults are enough to make it fail.
"""

import gc
import os
import random
from pathlib import Path
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import PAGE, fetch, pages_asked, served, stored, tables, wait_until
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.simulator import Behaviour, Fault, FaultKind, Latency, Limits, Population, Simulator

SEEDS = int(os.environ.get("MP_TEST_SEEDS", "15"))
# A fault counts attempts in each session anew, so a run that starts over meets it again: help comes after the third.
HELP_AFTER, MOST_RUNS = 3, 6
KINDS: tuple[FaultKind, ...] = (
    "status", "reset", "cut", "cut_chunked", "cut_gzip", "bad_gzip", "slow", "delay", "html_200", "error_key_200",
    "garbage_200", "empty_page", "short_page", "duplicates", "wrong_page", "wrong_total", "lost_session",
    "quota", "concurrency", "shedding", "hang",
)  # fmt: skip


def trouble(rng: random.Random, page: int) -> Fault:
    """One fault; most pass after a request or two, some stay until the simulator is told otherwise."""
    kind = rng.choice(KINDS)
    options: dict[str, Any] = {
        "status": rng.choice((500, 502, 503, 504)),
        "after": rng.random(),
        "seconds": 0.05,
        "of_page": rng.randrange(6),
        "total": rng.choice((7, 1000)),
        "attempts": rng.choice((1, 1, 1, 2, 3, 6, 12)),
    }
    if kind in ("quota", "concurrency", "shedding"):
        options |= {"retry_after": rng.choice((0.05, 0.2)), "attempts": rng.choice((1, 2))}
    if kind == "hang":
        options["attempts"] = 1
    if kind == "lost_session":
        options |= {"attempts": None, "times": 1}
    if kind == "garbage_200":
        # Inside a string, a stray control character is a value like any other; between tokens it is damage.
        options["after"] = rng.choice((0.0, 1.0))
    return Fault(kind, page=page, **options)


def schedule(seed: int) -> tuple[Population, Behaviour, list[Fault]]:
    rng = random.Random(seed)
    population = Population(PAGE * rng.randint(6, 16) - rng.randrange(PAGE), seed=seed)
    pages = -(-len(population) // PAGE)
    rate = rng.choice((0.1, 0.3, 0.6))
    # Page 0 with another total is another, shorter result; test_alone has it.
    faults = [trouble(rng, page) for page in range(pages) if rng.random() < rate]
    faults = [fault for fault in faults if (fault.kind, fault.page) != ("wrong_total", 0)]
    behaviour = Behaviour(
        latency=Latency(base=rng.choice((0.0, 0.005)), jitter=1.0),
        gzip=rng.random() < 0.7,
        rotate_session_ids=rng.random() < 0.2,
        page_echo_offset=rng.choice((0, 0, 1)),
        seed=seed,
    )
    return population, behaviour, faults


def run_until_complete(seed: int, faults: list[Fault], database: str) -> int:
    """Call it again until it is complete; each run must tell the truth about itself."""
    population, behaviour, _ = schedule(seed)
    with Simulator(population, behaviour=behaviour, limits=Limits(quota=None), faults=faults) as sim:
        for number in range(1, MOST_RUNS):
            if number > HELP_AFTER:
                sim.clear_faults()
            before = len(sim.requests)
            try:
                result = fetch(sim, database)
            except md.EngageError:
                assert tables(database) == set()
                continue
            check_report(result, pages_asked(sim.requests[before:]))
            if result.is_complete:
                assert stored(database) == served(population)
                return number
            assert tables(database) == set()
    raise AssertionError("never completed")


def check_report(result: md.ParallelProfileFetchResult, asked: list[int | None]) -> None:
    # A read that was cut for a fresh session may be counted before it reached the server.
    assert result.requests >= len(asked)
    assert result.requests == len(asked) or any("starting over" in text for text in result.notices)
    assert result.successful_pages + result.failed_pages == result.total_pages
    assert result.has_failures == bool(result.failed_page_indices) == bool(result.errors)
    assert result.published == result.is_complete
    assert result.is_complete or result.has_failures or result.total_rows != result.expected_rows
    if result.resumed_pages:
        assert len(set(asked)) <= result.total_pages - result.resumed_pages


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_mixture_of_faults_ends_in_the_exact_table(seed: int, tmp_path: Path) -> None:
    _, _, faults = schedule(seed)
    before = pages_alive()
    try:
        run_until_complete(seed, faults, str(tmp_path / "all.duckdb"))
    except Exception as error:
        needed = shrink(seed, faults, tmp_path)
        raise AssertionError(f"seed {seed} fails; these faults are enough: {needed}") from error
    # Pages that outlive their run would make memory follow what was fetched, not what is in flight.
    wait_until(lambda: pages_alive() <= before)


def pages_alive() -> set[int]:
    """Where pages are in memory; tests that ran in this process before may have left some."""
    gc.collect()
    return {id(each) for each in gc.get_objects() if isinstance(each, EngagePage)}


def shrink(seed: int, faults: list[Fault], folder: Path) -> list[Fault]:
    """Drop faults one by one as long as the run still fails."""
    needed = list(faults)
    for number, fault in enumerate(faults):
        fewer = [each for each in needed if each is not fault]
        try:
            run_until_complete(seed, fewer, str(folder / f"shrunk{number}.duckdb"))
        except Exception:
            needed = fewer
    return needed
