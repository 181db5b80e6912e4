"""A simulated export and a client of it, so that a test reads as: these events, this trouble, that outcome."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

import mixpanel_duckdb as md
from helpers import _TLS, QUICK
from mixpanel_duckdb.simulator import EventBehaviour, EventFault, EventPopulation, Limits, RawExport, Simulator

FREE = Limits(quota=None, concurrency=None)


@contextmanager
def exporting(
    population: EventPopulation,
    *faults: EventFault,
    limits: Limits = FREE,
    per_second: int | None = None,
    **switches: Any,
) -> Iterator[Simulator]:
    export = RawExport(
        population, behaviour=EventBehaviour(**switches), limits=limits, per_second=per_second, faults=faults
    )
    with Simulator(events=export) as sim:
        yield sim


@contextmanager
def client_for(
    sim: Simulator, *, timeout: float = 20.0, paced: bool = False, **options: Any
) -> Iterator[md.MixpanelClient]:
    """A client that does not dawdle: neither between retries nor between starts."""
    who = md.Credentials.from_env(sim.environment())
    with httpx.Client(timeout=timeout, verify=_TLS, trust_env=False) as http:
        options.setdefault("retry", QUICK)
        with md.MixpanelClient(who, base_url=sim.base_url, http_client=http, **options) as client:
            if not paced:
                client.event_reader.limiter._delay = lambda now, in_session: 0.0
                client.event_reader.limiter._behind_others = lambda now: 0.0
            yield client


def counted(events: Iterable[Any]) -> Counter[str]:
    return Counter(json.dumps(event, sort_keys=True, ensure_ascii=False) for event in events)


def exported(sim: Simulator, first: str, last: str, **options: Any) -> Counter[str]:
    with client_for(sim) as client:
        return counted(client.export_events(first, last, **options))
