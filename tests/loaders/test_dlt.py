"""The dlt resource, in real pipelines into DuckDB: what arrives there is what the server holds, or nothing new."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import dlt
import duckdb
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, committed, pages_asked, served, tables, wait_until
from mixpanel_duckdb.integrations.dlt import mixpanel_profiles
from mixpanel_duckdb.simulator import Fault, Population, Simulator

ODD = Population.raw(
    b'{"$distinct_id":"odd-%d","$properties":%s}' % (number, properties)
    for number, properties in enumerate(
        (
            b'{"a":9007199254740993,"b":18446744073709551616,"c":-123456789012345678901234567890}',
            b'{"a":0.1,"b":1.7976931348623157e308,"c":123456.78901234567,"d":1e400,"e":-0.0}',
            '{"$email":"é","e\u0301":"日本語 😀 \u202e","$Last_Seen":"x"}'.encode(),
            rb'{"a":"\u0000","b\u0000":"\"\\\/\n","c":"\ud83d\ude00"}',
            b'{"Plan":1,"plan":2,"$plan":3,"a.b":4,"":5,"distinct_id":6,"z":1,"y":{"z":[{"b":[]}],"a":null}}',
            b'{"$last_seen":"2026-05-06T01:39:01","deep":' + b"[" * 120 + b"]" * 120 + b"}",
            b'{"$last_seen":"yesterday"}',
            b"{}",
        )
    )
)
PEOPLE = Population.raw([*Population(PAGE * 8 - 7, seed=3).rows, *ODD.rows])
FAULTS = (
    Fault("quota", page=1, retry_after=0.1),
    Fault("cut", page=2, attempts=2),
    Fault("cut_gzip", page=3),
    Fault("short_page", page=4, rows=3),
    Fault("status", page=5, status=502),
)


@pytest.fixture(autouse=True)
def _dlt_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pipeline(tmp_path):
    warehouse = dlt.destinations.duckdb(str(tmp_path / "warehouse.duckdb"))
    made = dlt.pipeline("loading", destination=warehouse, dataset_name="people")
    yield made
    made.deactivate()


@pytest.fixture
def resource_of():
    """Makes the resource for a simulator: small pages, and a client that does not dawdle between retries."""
    with ExitStack() as stack:
        yield lambda sim, **options: mixpanel_profiles(
            client=stack.enter_context(client_of(sim)), page_size=PAGE, **options
        )


def loaded(tmp_path, table="profiles"):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(f"SELECT distinct_id, properties, last_seen FROM people.{table}").fetchall()
    return Counter((name, json.dumps(json.loads(text), sort_keys=True), seen) for name, text, seen in rows)


@pytest.mark.parametrize("disposition", ["replace", "merge"])
def test_every_value_arrives_through_a_bad_network_and_twice_is_no_more_than_once(
    pipeline, resource_of, tmp_path, disposition
):
    with Simulator(PEOPLE, faults=FAULTS) as sim:
        pipeline.run(resource_of(sim), write_disposition=disposition)
        assert loaded(tmp_path) == served(PEOPLE)
        pipeline.run(resource_of(sim), write_disposition=disposition)
    assert loaded(tmp_path) == served(PEOPLE)


def test_an_incomplete_fetch_fails_the_pipeline_and_the_destination_keeps_its_table(pipeline, resource_of, tmp_path):
    first = Population(PAGE * 2, seed=1)
    with Simulator(first) as sim:
        pipeline.run(resource_of(sim))
    with Simulator(PEOPLE, faults=[Fault("status", page=4, status=502, attempts=None)]) as sim:
        with pytest.raises(PipelineStepFailed, match="1 of 9 pages are missing") as failure:
            pipeline.run(resource_of(sim))
        assert isinstance(failure.value.__cause__.__cause__, md.IncompleteFetchError)
    assert loaded(tmp_path) == served(first)


def test_profiles_that_always_repeat_are_loaded_when_they_are_tolerated(pipeline, resource_of, tmp_path):
    twice = Population.raw([*PEOPLE.rows, PEOPLE.rows[0]])
    with Simulator(twice) as sim:
        for _ in range(2):
            pipeline.run(resource_of(sim, tolerance=1))
    assert loaded(tmp_path) == served(PEOPLE)


def test_a_kept_file_makes_a_failed_run_resumable(pipeline, resource_of, tmp_path, database):
    with Simulator(PEOPLE, faults=[Fault("status", page=4, status=502, attempts=None)]) as sim:
        with pytest.raises(PipelineStepFailed):
            pipeline.run(resource_of(sim, database=database))
        assert committed(database) == {0, 1, 2, 3, 5, 6, 7, 8}
        sim.clear_faults()
        sim.clear_requests()
        pipeline.run(resource_of(sim, database=database))
        assert pages_asked(sim.requests) == [4]
    assert loaded(tmp_path) == served(PEOPLE)
    newer = Population(PAGE * 2, seed=1)
    with Simulator(newer) as sim:
        pipeline.run(resource_of(sim, database=database))
    assert loaded(tmp_path) == served(newer)


def test_a_file_of_no_name_is_gone_whatever_happens(pipeline, resource_of, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with Simulator(PEOPLE, faults=[Fault("status", page=4, status=502, attempts=None)]) as sim:
        with pytest.raises(PipelineStepFailed):
            pipeline.run(resource_of(sim))
        sim.clear_faults()
        pipeline.run(resource_of(sim))
        next(iter(resource_of(sim)))
    assert not list(folder.glob("mixpanel*"))


def test_an_empty_project_gives_an_empty_table(pipeline, resource_of, tmp_path):
    for people in (Population(0), PEOPLE, Population(0)):
        with Simulator(people) as sim:
            pipeline.run(resource_of(sim))
        assert loaded(tmp_path) == served(people)


def test_profiles_without_an_id_are_kept_by_replace_and_refused_by_merge(pipeline, resource_of, tmp_path):
    people = Population.raw([b'{"$properties":{"n":1}}', b'{"$properties":{"n":2}}', *ODD.rows])
    with Simulator(people) as sim:
        pipeline.run(resource_of(sim))
        assert loaded(tmp_path) == served(people)
        with pytest.raises(PipelineStepFailed, match=r"2 profiles have no \$distinct_id.*write_disposition='replace'"):
            pipeline.run(resource_of(sim), write_disposition="merge")
    assert loaded(tmp_path) == served(people)


def test_resources_of_other_names_share_a_file_and_a_source(pipeline, resource_of, tmp_path, database):
    with Simulator(Population(PAGE * 4, seed=3)) as sim:

        @dlt.source
        def project():
            yield resource_of(sim, database=database)
            yield resource_of(sim, database=database, limit=7).with_name("few")

        pipeline.run(project())
        assert loaded(tmp_path) == served(Population(PAGE * 4, seed=3))
        assert loaded(tmp_path, "few").total() == 7
    assert tables(database) == {"profiles", "few"}


def test_it_goes_through_a_transformer_and_through_dlts_own_threads(pipeline, resource_of, tmp_path):
    @dlt.transformer(name="ids")
    def ids(batch):
        yield batch.select(["distinct_id"])

    with Simulator(PEOPLE) as sim:
        pipeline.run([resource_of(sim) | ids, resource_of(sim).with_name("side_by_side").parallelize()])
    assert loaded(tmp_path, "side_by_side") == served(PEOPLE)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(DISTINCT distinct_id) FROM people.ids").fetchall()
    assert found == [(len(PEOPLE),)]


def test_what_dlt_has_to_say_of_our_json_is_said_once_a_run(pipeline, resource_of, heard, monkeypatch):
    monkeypatch.setattr("mixpanel_duckdb.integrations.dlt._BATCH_ROWS", 10)
    with Simulator(PEOPLE) as sim:
        for runs in (1, 2):
            pipeline.run(resource_of(sim))
            assert len([text for text in heard if "merging arrow schema" in text]) == runs
    assert not logging.getLogger("dlt").filters


@pytest.fixture
def heard():
    """What dlt logs."""
    texts, listener = [], logging.Handler()
    listener.emit = lambda record: texts.append(record.getMessage())
    logging.getLogger("dlt").addHandler(listener)
    yield texts
    logging.getLogger("dlt").removeHandler(listener)


def test_batches_are_small_whatever_the_pages_are(sim_of_many):
    with client_of(sim_of_many) as client:
        rows = [batch.num_rows for batch in mixpanel_profiles(client=client, page_size=20_000)]
    assert sum(rows) == 12_000
    assert max(rows) <= 5_000


@pytest.fixture
def sim_of_many():
    with Simulator(Population.uniform(12_000, profile_bytes=100)) as running:
        yield running


def test_nothing_is_asked_before_dlt_extracts(resource_of):
    with Simulator(PEOPLE) as sim:
        resource = resource_of(sim)
        assert (resource.name, resource.write_disposition) == ("profiles", "replace")
        assert not sim.requests
        assert sum(batch.num_rows for batch in resource) == len(PEOPLE)


def test_a_wrong_filter_is_told_at_once():
    with pytest.raises(md.QueryError, match="cohort_id"):
        mixpanel_profiles(cohort_id=-1)


@pytest.mark.parametrize("missing", ["dlt", "pyarrow"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, missing):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else True)
    with pytest.raises(md.MixpanelError, match=rf"{missing} is not installed.*mixpanel-duckdb\[dlt\]"):
        mixpanel_profiles()


INTERRUPTED = """
import sys
import dlt
from mixpanel_duckdb.integrations.dlt import mixpanel_profiles

pipeline = dlt.pipeline("loading", destination=dlt.destinations.duckdb("warehouse.duckdb"), dataset_name="people")
pipeline.run(mixpanel_profiles(database=sys.argv[1], page_size=int(sys.argv[2])))
"""


def reading(sim):
    """How many of the silent pages are under way."""
    return sum(record.fault == "hang" for record in sim.requests)


def test_the_first_ctrl_c_ends_a_pipeline_and_keeps_what_was_committed(database, at_most):
    silent = Fault("hang", page=range(2, 9), attempts=None)
    with Simulator(PEOPLE, faults=[silent]) as sim:
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, database, str(PAGE)],
            env={**os.environ, **sim.environment()},
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: process.poll() is not None or reading(sim) == 5)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=LONGEST)
        assert time.monotonic() - started < at_most(5)
    assert process.returncode
    assert "KeyboardInterrupt" in errors
    assert committed(database) >= {0, 1}
    assert not Path("warehouse.duckdb").exists() or "profiles" not in tables("warehouse.duckdb")
