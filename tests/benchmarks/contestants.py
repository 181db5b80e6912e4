"""What is measured: one function a contestant. Each is run as a whole process, some in environments of their own.

A function takes a job (``database``: a path that does not exist; ``lines``: the profiles as NDJSON) and gives the rows
that it has in the end and the seconds that the work took without imports; one also the longest time that it held
somebody up. Whom to ask is in the environment.
"""

import json
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter

WORKERS = 5
_TICK = 0.001


def ours(job):
    import mixpanel_duckdb as md

    result = md.fetch_profiles(job["database"])
    result.raise_for_failures()
    return result.total_rows, result.duration_seconds


def ours_beside_a_busy_thread(job):
    with _busy_thread():
        return ours(job)


def ours_from_an_event_loop(job):
    """In a thread of a running loop; the longest time that the loop was kept from a tick that was due."""
    import asyncio

    import mixpanel_duckdb as md

    async def measured():
        fetch = asyncio.create_task(asyncio.to_thread(md.fetch_profiles, job["database"]))
        held, last = 0.0, perf_counter()
        while not fetch.done():
            await asyncio.sleep(_TICK)
            now = perf_counter()
            held, last = max(held, now - last - _TICK), now
        return await fetch, held

    result, held = asyncio.run(measured())
    result.raise_for_failures()
    return result.total_rows, result.duration_seconds, held


def ours_exported(job):
    """Every profile as a dict, one by one, while the next pages are read."""
    import mixpanel_duckdb as md

    with md.MixpanelClient.from_env() as client:
        started = perf_counter()
        rows = sum(1 for _ in client.export_profiles())
        return rows, perf_counter() - started


def plain_download(job):
    """Every page, five at a time, decompressed and thrown away."""
    import httpx

    with httpx.Client(auth=_account(), trust_env=False, timeout=120) as client, ThreadPoolExecutor(WORKERS) as pool:

        def body(page, **session):
            answer = client.post(_engage(), params=_project(), data={"page": page, **session})
            return answer.raise_for_status().content

        started = perf_counter()
        first = body(0)
        told = dict(re.findall(rb'"(session_id|total|page_size)": "?([^",}]+)', first[:100] + first[-200:]))
        pages = range(1, -(-int(told[b"total"]) // int(told[b"page_size"])))
        for _ in pool.map(lambda page: len(body(page, session_id=told[b"session_id"].decode())), pages):
            pass
        return int(told[b"total"]), perf_counter() - started


def read_json(job):
    """DuckDB's own reader, from a file into the same table, in one transaction, checkpointed."""
    import duckdb

    started = perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(f"ATTACH '{job['database']}' AS made (STORAGE_VERSION 'v1.5.0')")
        connection.execute("""
            CREATE TABLE made.profiles
                (distinct_id VARCHAR, properties JSON USING COMPRESSION zstd, last_seen TIMESTAMP)""")
        connection.execute(f"""
            INSERT INTO made.profiles
            SELECT "$distinct_id", "$properties", try_cast("$properties"->>'$."$last_seen"' AS TIMESTAMP)
            FROM read_json('{job["lines"]}', format = 'newline_delimited',
                           columns = {{'$distinct_id': 'VARCHAR', '$properties': 'JSON'}})""")
        connection.execute("CHECKPOINT made")
        rows = connection.execute("SELECT count(*) FROM made.profiles").fetchall()[0][0]
    return rows, perf_counter() - started


def typed_view(job):
    """Infer over all rows and make the view; the profiles are in the database already."""
    import mixpanel_duckdb as md

    typed = md.type_columns(job["database"])
    return typed.rows, typed.duration_seconds


def typed_table(job):
    """The same, and every column written."""
    import mixpanel_duckdb as md

    typed = md.type_columns(job["database"], materialize=True)
    return typed.rows, typed.duration_seconds


def detected_columns(job):
    """DuckDB's own reader with columns that it detects over all rows, from a file into a table, checkpointed."""
    import duckdb

    started = perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(f"ATTACH '{job['database']}' AS made (STORAGE_VERSION 'v1.5.0')")
        connection.execute(f"""
            CREATE TABLE made.profiles AS SELECT "$distinct_id", unnest("$properties")
            FROM read_json('{job["lines"]}', format = 'newline_delimited', sample_size = -1)""")
        connection.execute("CHECKPOINT made")
        rows = connection.execute("SELECT count(*) FROM made.profiles").fetchall()[0][0]
    return rows, perf_counter() - started


def mixpanel_utils(job):
    """All profiles in a list, as its README shows; only the host is another one."""
    from mixpanel_utils import MixpanelUtils

    name, secret = _account()
    client = MixpanelUtils(secret, service_account_username=name, project_id=_project()["project_id"])
    client.formatted_api = os.environ["MP_API_BASE_URL"] + "/api"
    started = perf_counter()
    return len(client.query_engage()), perf_counter() - started


def mixpanel_headless(job):
    """All profiles in a list, five pages at a time."""
    from mixpanel_headless import Workspace

    with Workspace() as workspace:
        started = perf_counter()
        result = workspace.query_user(mode="profiles", limit=None, parallel=True)
        return len(result.profiles), perf_counter() - started


def by_hand(job):
    """What one would write in an afternoon: requests, five threads, a DataFrame, CREATE TABLE AS."""
    import duckdb
    import pandas as pd

    started = perf_counter()
    frame = pd.DataFrame(
        [
            (profile["$distinct_id"], json.dumps(profile["$properties"]), profile["$properties"].get("$last_seen"))
            for page in _pages_by_hand()
            for profile in page
        ],
        columns=["distinct_id", "properties", "last_seen"],
    )
    with duckdb.connect(job["database"]) as connection:
        connection.register("frame", frame)
        connection.execute("""
            CREATE TABLE profiles AS
            SELECT distinct_id, properties::JSON AS properties, last_seen::TIMESTAMP AS last_seen FROM frame""")
    return len(frame), perf_counter() - started


def dlt_pipeline(job):
    """A resource that yields pages, into dlt's DuckDB destination."""
    import dlt

    @dlt.resource(name="profiles", write_disposition="replace", columns={"properties": {"data_type": "json"}})
    def profiles():
        for page in _pages_by_hand():
            yield [
                {
                    "distinct_id": profile["$distinct_id"],
                    "properties": profile["$properties"],
                    "last_seen": profile["$properties"].get("$last_seen"),
                }
                for profile in page
            ]

    return _loaded(job, profiles())


def ours_through_dlt(job):
    """This package's resource, into the same destination."""
    from mixpanel_duckdb.integrations.dlt import mixpanel_profiles

    return _loaded(job, mixpanel_profiles(progress=False))


def _loaded(job, resource):
    import dlt

    started = perf_counter()
    pipeline = dlt.pipeline(
        "profiles",
        destination=dlt.destinations.duckdb(job["database"]),
        dataset_name="people",
        pipelines_dir=os.path.dirname(job["database"]),
    )
    pipeline.run(resource).raise_on_failed_jobs()
    return pipeline.last_trace.last_normalize_info.row_counts["profiles"], perf_counter() - started


def _pages_by_hand():
    import requests

    with requests.Session() as web, ThreadPoolExecutor(WORKERS) as pool:
        web.auth, web.trust_env = _account(), False

        def page(number, **session):
            answer = web.post(_engage(), params=_project(), data={"page": number, **session}, timeout=120)
            answer.raise_for_status()
            return answer.json()

        first = page(0)
        yield first["results"]
        count = -(-first["total"] // first["page_size"])
        rest = pool.map(lambda number: page(number, session_id=first["session_id"]), range(1, count))
        yield from (answer["results"] for answer in rest)


@contextmanager
def _busy_thread():
    """A Python thread that never waits, as a notebook's own work would."""
    over = threading.Event()

    def burn():
        while not over.is_set():
            sum(number * number for number in range(1000))

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _engage():
    return os.environ["MP_API_BASE_URL"] + "/api/query/engage"


def _account():
    return os.environ["MP_USERNAME"], os.environ["MP_SECRET"]


def _project():
    return {"project_id": os.environ["MP_PROJECT_ID"]}


if __name__ == "__main__":
    rows, seconds, *held = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps({"rows": rows, "seconds": seconds, "held": held[0] if held else None}))
