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
from pathlib import Path
from time import perf_counter

WORKERS = 5
_TICK = 0.001


def ours(job):
    """In pages of the size that everybody gets who asks for none."""
    import mixpanel_duckdb as md

    result = md.fetch_profiles(job["database"], page_size=job["page_size"])
    result.raise_for_failures()
    return result.total_rows, result.duration_seconds


def ours_by_default(job):
    """In pages as large as the package chooses."""
    return ours({**job, "page_size": "auto"})


def ours_replacing(job, if_exists="replace", **options):
    """Into a table of yesterday's, in which one profile of fifty is another one today."""
    import duckdb

    import mixpanel_duckdb as md

    with duckdb.connect(job["database"]) as connection:
        connection.execute("SET memory_limit = '200MB'")
        connection.execute("SET threads = 1")
        connection.execute("UPDATE profiles SET properties = '{}' WHERE hash(distinct_id) % 50 = 0")
        if options:
            connection.execute(
                "CREATE TABLE profiles_history AS "
                "SELECT *, TIMESTAMP '2026-01-01' AS valid_from, NULL::TIMESTAMP AS valid_to FROM profiles"
            )
    result = md.fetch_profiles(job["database"], if_exists=if_exists, page_size=job["page_size"], **options)
    result.raise_for_failures()
    return result.changed_rows + result.unchanged_rows, result.duration_seconds


def ours_keeping_history(job):
    """The same, and each profile's versions are kept."""
    return ours_replacing(job, keep_history=True)


def ours_merging(job):
    """The same table, and what is new is merged into it."""
    return ours_replacing(job, if_exists="merge")


def lake_of_yesterday(job):
    """A DuckLake with the profiles as they were: 2 % are others, 1 % are missing, 0.5 % are there no more today."""
    rest = "CASE WHEN number % 200 < 6 THEN '{}' ELSE properties END AS properties, last_seen FROM numbered"
    numbered = "SELECT *, row_number() OVER (ORDER BY distinct_id ASC) AS number FROM had.profiles"
    return _made_in_a_lake(
        job,
        f"WITH numbered AS ({numbered}) SELECT distinct_id, {rest} WHERE number % 200 >= 2 "
        f"UNION ALL SELECT 'gone-' || distinct_id, {rest} WHERE number % 200 = 6",
    )


def plain_lake(job):
    """CREATE TABLE AS, from a database into a DuckLake."""
    return _made_in_a_lake(job, "SELECT distinct_id, properties, last_seen FROM had.profiles")


def _made_in_a_lake(job, rows):
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(_ducklake())
        connection.execute("SET threads = 2")
        connection.execute(f"ATTACH '{job['database']}' AS had (READ_ONLY)")
        attach, files = _lake_of(job)
        connection.execute(f"ATTACH '{attach}' AS lake (DATA_PATH '{files}', DATA_INLINING_ROW_LIMIT 0)")
        started = perf_counter()
        connection.execute(f"CREATE TABLE lake.profiles AS {rows}")
        seconds = perf_counter() - started
        return connection.execute("SELECT count(*) FROM lake.profiles").fetchall()[0][0], seconds


def first_publish(job):
    """The end of a fetch into a DuckLake, from rows that have come already."""
    import duckdb

    from mixpanel_duckdb.store import targets
    from mixpanel_duckdb.store.database import Tuning
    from mixpanel_duckdb.store.journal import Claim, FetchSpec, OpenFetch
    from mixpanel_duckdb.store.tables import Terms

    with duckdb.connect(job["database"]) as connection:
        tuning = Tuning(connection, ours=True, limit_memory=True)
        staging = f'"{Path(job["database"]).stem}".main.profiles'
        started = perf_counter()
        fetch = OpenFetch("first", "first", FetchSpec("profiles", "{}"), Claim())
        done = targets.publish_into(connection.cursor(), _lake_as_target(job), fetch, Terms(), staging, tuning)
        return done.changes.added, perf_counter() - started


def ours_refreshing_a_lake(job):
    """A whole fetch into the lake of yesterday."""
    import mixpanel_duckdb as md

    result = md.fetch_profiles(
        f"{job['database']}.work", into=_lake_as_target(job), if_exists="replace", page_size=job["page_size"]
    )
    result.raise_for_failures()
    shares = [count / result.total_rows for count in (result.added_rows, result.changed_rows, result.removed_rows)]
    if [round(share, 3) for share in shares] != [0.01, 0.02, 0.005]:
        raise AssertionError(shares)
    return result.total_rows, result.duration_seconds


def _lake_of(job):
    folder = Path(job["database"]).parent
    return f"ducklake:{folder}/lake.ducklake", f"{folder}/lake/"


def _lake_as_target(job):
    import mixpanel_duckdb as md

    attach, files = _lake_of(job)
    setup = Path(job["database"]).with_name("setup.sql")
    setup.write_text(_ducklake())
    return md.Target(attach, data_path=files, setup=setup)


def _ducklake():
    import duckdb_extension_ducklake

    (file,) = Path(duckdb_extension_ducklake.__path__[0]).rglob("*.duckdb_extension")
    return f"LOAD '{file}';"


def parquet(job):
    """A table of profiles as Parquet."""
    import mixpanel_duckdb as md

    started = perf_counter()
    done = md.export_table(job["database"], "profiles", job["database"] + ".parquet")
    return done.rows, perf_counter() - started


def ours_beside_a_busy_thread(job):
    with _busy_thread():
        return ours(job)


def ours_from_an_event_loop(job):
    """In a thread of a running loop; the longest time that the loop was kept from a tick that was due."""
    import asyncio

    import mixpanel_duckdb as md

    async def measured():
        fetch = asyncio.create_task(asyncio.to_thread(md.fetch_profiles, job["database"], page_size=job["page_size"]))
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


def our_events(job):
    import mixpanel_duckdb as md

    result = md.fetch_events(job["database"], *_days())
    result.raise_for_failures()
    return result.total_rows, result.duration_seconds


def read_events(job):
    """DuckDB's own reader, from a file into the same table, in one transaction, checkpointed."""
    import duckdb

    started = perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(f"ATTACH '{job['database']}' AS made (STORAGE_VERSION 'v1.5.0')")
        connection.execute("""
            CREATE TABLE made.events (event VARCHAR, time TIMESTAMP, distinct_id VARCHAR, insert_id VARCHAR,
                                      properties JSON USING COMPRESSION zstd)""")
        connection.execute(f"""
            INSERT INTO made.events
            SELECT event, make_timestamp((properties->>'$.time')::BIGINT * 1000), properties->>'$.distinct_id',
                   properties->>'$."$insert_id"', properties
            FROM read_json('{job["lines"]}', format = 'newline_delimited',
                           columns = {{'event': 'VARCHAR', 'properties': 'JSON'}})""")
        connection.execute("CHECKPOINT made")
        rows = connection.execute("SELECT count(*) FROM made.events").fetchall()[0][0]
    return rows, perf_counter() - started


def utils_events(job):
    """All events in a list, as its README shows; only the host is another one."""
    from mixpanel_utils import MixpanelUtils

    name, secret = _account()
    client = MixpanelUtils(secret, service_account_username=name, project_id=_project()["project_id"])
    client.raw_api = os.environ["MP_API_BASE_URL"] + "/api"
    first, last = _days()
    started = perf_counter()
    return len(client.query_export({"from_date": first, "to_date": last})), perf_counter() - started


def headless_events(job):
    """All events, one by one, kept nowhere."""
    from mixpanel_headless import Workspace

    first, last = _days()
    with Workspace() as workspace:
        started = perf_counter()
        return sum(
            1 for _ in workspace.stream_events(from_date=first, to_date=last, raw=True)
        ), perf_counter() - started


def events_by_hand(job):
    """What one would write in an afternoon: requests, a day at a time, a DataFrame, CREATE TABLE AS."""
    import duckdb
    import pandas as pd
    import requests

    first, last = _days()
    started, rows = perf_counter(), []
    for day in pd.date_range(first, last).strftime("%Y-%m-%d"):
        asked = {**_project(), "from_date": day, "to_date": day}
        answer = requests.get(
            os.environ["MP_API_BASE_URL"] + "/api/2.0/export", params=asked, auth=_account(), timeout=600
        )
        answer.raise_for_status()
        for line in answer.text.split("\n"):
            if line:
                event = json.loads(line)
                sent = event["properties"]
                ids = sent["distinct_id"], sent["$insert_id"]
                rows.append((event["event"], pd.Timestamp(sent["time"], unit="ms"), *ids, json.dumps(sent)))
    frame = pd.DataFrame(rows, columns=["event", "time", "distinct_id", "insert_id", "properties"])
    with duckdb.connect(job["database"]) as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE events AS SELECT * REPLACE (properties::JSON AS properties) FROM frame")
    return len(frame), perf_counter() - started


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


def _days():
    return os.environ["FIRST"], os.environ["LAST"]


def _engage():
    return os.environ["MP_API_BASE_URL"] + "/api/query/engage"


def _account():
    return os.environ["MP_USERNAME"], os.environ["MP_SECRET"]


def _project():
    return {"project_id": os.environ["MP_PROJECT_ID"]}


if __name__ == "__main__":
    rows, seconds, *held = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps({"rows": rows, "seconds": seconds, "held": held[0] if held else None}))
