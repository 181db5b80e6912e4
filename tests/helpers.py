"""Small helpers, so that a test reads as: this server, this fetch, this table."""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import duckdb
import httpx

import mixpanel_duckdb as md
from mixpanel_duckdb.http.retry import RetryPolicy
from mixpanel_duckdb.http.transport import DEFAULT_TIMEOUT
from mixpanel_duckdb.simulator import Population, RequestRecord, Simulator

PAGE = 20
# Seconds that anything may take on a busy machine, before a test gives it up; less than pytest gives the test.
LONGEST = 120.0
# One context for all clients: making one costs more than a whole run here.
_TLS = ssl.create_default_context()
QUICK = RetryPolicy(first_delay=0.01, longest_delay=0.05)
Row = tuple[str | None, str, datetime | None]


def wait_until(condition: Callable[[], object]) -> None:
    """Go on as soon as something is so; fail when it never is."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.005)


def threads_named(prefix: str) -> list[str]:
    """The threads so named which have not ended."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


def client_of(sim: Simulator, **options: Any) -> md.MixpanelClient:
    """A client for a simulator that does not dawdle between retries."""
    options.setdefault("retry", QUICK)
    return md.MixpanelClient(md.Credentials.from_env(sim.environment()), base_url=sim.base_url, **options)


def fetch(sim: Simulator, database: Any, table: str = "profiles", **options: Any) -> md.ParallelProfileFetchResult:
    """One run in small pages."""
    options.setdefault("page_size", PAGE)
    client_options = {name: options.pop(name) for name in ("retry", "rate_limiter") if name in options}
    http = httpx.Client(timeout=options.pop("timeout", DEFAULT_TIMEOUT), verify=_TLS, trust_env=False)
    with http, client_of(sim, http_client=http, **client_options) as client:
        return md.fetch_profiles(database, table, client=client, **options)


def served(population: Population) -> Counter[Row]:
    """The rows that a table of these profiles must have, each as (id, properties as sorted JSON, last_seen)."""
    return Counter(map(_expected, population.profiles()))


def stored(database: str, table: str = "profiles") -> Counter[Row]:
    """The rows that a table has, in the same form."""
    with duckdb.connect(database) as connection:
        rows = connection.execute(f'SELECT distinct_id, properties::VARCHAR, last_seen FROM "{table}"').fetchall()
    return Counter((name, _canonical(json.loads(text)), seen) for name, text, seen in rows)


def tables(database: str) -> set[str]:
    """The tables of a database that are not the journal's."""
    with duckdb.connect(database) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return {name for (name,) in names if not name.startswith("_mixpanel_")}


def committed(database: str) -> set[int]:
    """Pages that the journal says are committed."""
    with duckdb.connect(database) as connection:
        try:
            rows = connection.execute("SELECT page_index FROM _mixpanel_pages WHERE state = 'committed'").fetchall()
        except duckdb.CatalogException:
            return set()
    return {index for (index,) in rows}


def pages_asked(records: list[RequestRecord]) -> list[int | None]:
    """The page numbers of some requests, in order of arrival."""
    return [record.page for record in records]


def _expected(profile: dict[str, Any]) -> Row:
    name, properties = profile.get("$distinct_id"), profile.get("$properties") or {}
    return None if name is None else str(name), _canonical(properties), _moment(properties.get("$last_seen"))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
