"""One page or one whole fetch into a real database, and its rows read back as Python's json reads them."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

import mixpanel_duckdb as md
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.http.retry import RetryPolicy
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from mixpanel_duckdb.store import FetchSpec, OpenFetch, PageIngest, PageReceipt, PageWrite, ProfileStore

SPEC = FetchSpec("profiles", "{}", "1", "http://127.0.0.1")
QUICK = RetryPolicy(attempts=2, first_delay=0.01, longest_delay=0.02)


def put(sink: PageIngest, pages: Sequence[PageWrite]) -> Sequence[PageReceipt]:
    """Stage pages and commit them at once."""
    return sink.commit([sink.stage(pages)])


@dataclass(frozen=True)
class Row:
    distinct_id: str | None
    text: str
    last_seen: datetime | None = None

    @property
    def properties(self) -> Any:
        return read(self.text)


def _refused(number: str) -> Any:
    raise ValueError(f"{number} is no JSON")


def read(text: str, odd_number: Callable[[str], Any] = _refused) -> Any:
    """JSON as a strict reader takes it, keeping order and repeated keys of objects, and every digit of an integer."""
    if text.count("[") + text.count("{") > 400:  # deeper than Python compares: such a text is its own value here
        return text
    return json.loads(
        text,
        object_pairs_hook=lambda pairs: ("object", pairs),
        parse_int=_integer,
        parse_float=_float,
        parse_constant=odd_number,
    )


def body_of(rows: Iterable[bytes], page: int = 0, total: int | None = None) -> bytes:
    """A page as the server writes it."""
    texts = list(rows)
    head = f'{{"page":{page},"page_size":1000,"results":['.encode()
    size = len(texts) if total is None else total
    return head + b",".join(texts) + f'],"session_id":"s","status":"ok","total":{size}}}'.encode()


def page(index: int, *names: str, seen: str = "2026-01-01T00:00:00", **more: Any) -> PageWrite:
    """A small page with one plain profile for each name."""
    profiles = [{"$distinct_id": name, "$properties": {"$last_seen": seen, "page": index}} for name in names]
    body = body_of((json.dumps(profile).encode() for profile in profiles), index)
    return PageWrite(EngagePage.from_body(index, body), **more)


@contextmanager
def opened(store: ProfileStore, spec: FetchSpec = SPEC, *, total: int = 2, page_size: int = 1, **begin: Any):
    """A fetch that page 0 has been answered for, and its writer."""
    fetch = store.begin(spec, **begin)
    fetch = store.opened(fetch, session_id="s", total=total, page_size=page_size)
    with store.writer(fetch) as writer:
        yield fetch, writer


def publish(store: ProfileStore, fetch: OpenFetch, if_exists: Any = "error") -> None:
    store.publish(fetch, if_exists=if_exists, staged=store.staged(fetch))


def fill(
    store: ProfileStore, pages: Sequence[PageWrite], spec: FetchSpec = SPEC, if_exists: Any = "error"
) -> OpenFetch:
    """A whole fetch, from begin to publish."""
    with opened(store, spec, total=len(pages), if_exists=if_exists) as (fetch, writer):
        put(writer, pages)
    publish(store, fetch, if_exists)
    return fetch


def store_body(body: bytes, **more: Any) -> tuple[PageReceipt, list[Row], Any]:
    """Store one page in a database of its own; give its receipt, its rows and what was odd about them."""
    connection = duckdb.connect()
    try:
        with ProfileStore(connection) as own, opened(own, total=1) as (fetch, writer):
            (receipt,) = put(writer, [PageWrite(EngagePage.from_body(0, body), **more)])
            return receipt, rows_of(connection, fetch.staging), own.odd_rows(fetch)
    finally:
        connection.close()


def rows_of(connection: duckdb.DuckDBPyConnection, table: str = "profiles") -> list[Row]:
    found = connection.execute(
        f'SELECT distinct_id, properties::VARCHAR, last_seen FROM "{table}" ORDER BY rowid'
    ).fetchall()
    return [Row(*each) for each in found]


def fetch_rows(
    rows: Sequence[bytes], database: Any = ":memory:", *, page_size: int = 100, **options: Any
) -> md.ParallelProfileFetchResult:
    """Serve these very bytes on a loopback server, one JSON text a profile, and fetch them."""
    population = Population.raw(rows)
    with Simulator(population, behaviour=Behaviour(page_size=page_size, order="fixed")) as sim:
        who = md.Credentials.from_env(sim.environment())
        with md.MixpanelClient(who, base_url=sim.base_url, retry=QUICK) as client:
            return md.fetch_profiles(database, client=client, **options)


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) < 4000 else digits


def _float(digits: str) -> str:
    return repr(float(digits))  # tells -0.0 from 0.0 and equals itself when not a number
