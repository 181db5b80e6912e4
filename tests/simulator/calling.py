"""A small caller of the simulator, so that tests read as requests and answers."""

import base64
import ssl
from typing import Any

import httpx

from helpers import LONGEST
from mixpanel_duckdb.simulator import Simulator

PATH = "/api/query/engage"
_TLS = ssl.create_default_context()


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


ACCOUNT = basic("simulator:simulated-secret")


def ask(sim: Simulator, **parameters: Any) -> httpx.Response:
    # One context for all calls: making one costs more than the call.
    return httpx.post(
        sim.base_url + PATH,
        params={"project_id": 1},
        json=parameters,
        headers=ACCOUNT,
        timeout=LONGEST,
        verify=_TLS,
        trust_env=False,
    )


def result(sim: Simulator, **parameters: Any) -> list[dict[str, Any]]:
    """All rows of a query, page by page."""
    first = ask(sim, page=0, **parameters).raise_for_status().json()
    rows, page = list(first["results"]), 0
    while len(rows) < first["total"]:
        page += 1
        answer = ask(sim, page=page, session_id=first["session_id"], **parameters).raise_for_status().json()
        if not answer["results"]:
            break
        rows += answer["results"]
    return rows


def ids(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["$distinct_id"] for row in rows]


def people(count: int) -> list[dict[str, Any]]:
    return [
        {"$distinct_id": f"p{i}", "$properties": {"n": i, "plan": "pro" if i % 2 else "free"}} for i in range(count)
    ]
