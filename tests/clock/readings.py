"""How long a fetch takes in each reading of the limits, in the virtual clock, and what becomes of the recipes."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clock.model import HOUR, Model, Reading, StoreOfCounts, client_in
from clock.world import World
from mixpanel_duckdb import MixpanelError, ParallelProfileFetcher
from mixpanel_duckdb.fetch.schedule import PageSchedule

__all__ = ["RECIPES", "Outcome", "fetched", "followed", "plan_bytes", "recipes"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fetch came to.

    Args:
        complete: Whether it ended with everything.
        seconds: How long it took.
        requests: Requests, refused ones included.
        refusals: Those that were refused.
        pages: Pages of the result.
    """

    complete: bool
    seconds: float
    requests: int
    refusals: int
    pages: int


def fetched(profiles: int, reading: Reading, store: StoreOfCounts) -> Outcome:
    """Let one run fetch so many profiles, and wait for as long as it takes."""
    return followed(Recipe(1, 0.0, {}), profiles, reading, store)


def _try(model: Model, store: StoreOfCounts, table: str, options: Mapping[str, Any]) -> int | None:
    """Give the pages of a run that was complete."""
    fetcher = ParallelProfileFetcher(client_in(model.world, model), store)
    try:
        result = fetcher.fetch_profiles(table, progress=None, **options)
    except MixpanelError:
        return None
    return result.total_pages if result.published else None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How often a scheduler runs a fetch in a night.

    Args:
        tries: Most of them.
        apart: Seconds from the end of one to the beginning of the next; negative: from beginning to beginning, and one
            that would begin while another runs is left out.
        options: Keywords of the fetch.
    """

    tries: int
    apart: float
    options: Mapping[str, Any]


def recipes() -> dict[str, Recipe]:
    """Read the recipes from the documents."""
    loaders, nightly = ((DOCS / name).read_text(encoding="utf-8") for name in ("loaders.md", "every-night.md"))
    dagster, airflow = loaders.split("## Dagster")[1].split("## Airflow")
    tries, delay = re.search(r"max_retries=(\d+), delay=(\d+)", dagster).groups()  # type: ignore[union-attr]
    retries = int(re.search(r"@task\(retries=(\d+)\)", airflow)[1])  # type: ignore[index]
    assert "five minutes apart" in airflow
    first, last = map(int, re.search(r"^\d+ (\d+)-(\d+) \* \* \* .*--max-age", nightly, re.MULTILINE).groups())  # type: ignore[union-attr]
    in_python = nightly.split("jobs = {")[1].split("}\n")[0]
    return {
        "cron": Recipe(last - first + 1, -HOUR, {}),
        "Dagster": Recipe(int(tries) + 1, float(delay), _options(dagster)),
        "Airflow": Recipe(retries + 1, 300.0, _options(airflow)),
        "sync in Python": Recipe(retries + 1, 300.0, _options(in_python)),
    }


def _options(text: str) -> dict[str, Any]:
    code = text.rsplit("```python", maxsplit=1)[-1].split("```", maxsplit=1)[0]
    return {name: float(value) for name, value in re.findall(r'(rate_limit_wait|resume_max_age)"?[=:] ?(\d+)', code)}


RECIPES = recipes()


def followed(recipe: Recipe, profiles: int, reading: Reading, store: StoreOfCounts) -> Outcome:
    """Let a scheduler do what a recipe says in one night."""
    world = World()
    model = Model(world, profiles, reading)
    pages, table = None, store.another_table()
    with world.running():
        for _ in range(recipe.tries):
            begun = world.now
            pages = _try(model, store, table, recipe.options)
            if pages is not None or world.now > begun + DAY:
                break
            world.now = max(world.now, begun - recipe.apart) if recipe.apart < 0 else world.now + recipe.apart
    return Outcome(pages is not None, world.now, model.requests, model.refusals, pages or 0)


def plan_bytes(pages: int) -> int:
    """Measure what a plan of so many pages takes in memory."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        plan = PageSchedule(range(pages))
        return tracemalloc.get_traced_memory()[0] - before if plan else 0
    finally:
        tracemalloc.stop()
