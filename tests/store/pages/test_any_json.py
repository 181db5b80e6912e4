"""Property tests: whatever JSON a profile is, it is stored value for value."""

import json

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from any_json import kept, objects, texts
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from mixpanel_duckdb.store import FetchSpec, PageWrite, ProfileStore
from store.storing import QUICK, body_of, put, read, rows_of


@pytest.fixture(scope="module")
def store():
    with duckdb.connect() as connection, ProfileStore(connection) as store:
        yield store, connection


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(profiles=st.lists(st.tuples(texts, objects), max_size=4), ascii_only=st.booleans())
def test_any_profiles_of_a_page_are_stored_value_for_value(store, profiles, ascii_only):
    rows = [
        json.dumps({"$distinct_id": name, "$properties": properties}, ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        )
        for name, properties in profiles
    ]
    # In escapes, two surrogates that stand side by side are one character: that is how JSON reads them.
    sent = [json.loads(row.decode("utf-8", "surrogatepass")) for row in rows]
    the_store, connection = store
    fetch = the_store.begin(FetchSpec("profiles", "{}"), resume=False)
    fetch = the_store.opened(fetch, session_id="s", total=len(rows), page_size=max(1, len(rows)))
    with the_store.writer(fetch) as writer:
        (receipt,) = put(writer, [PageWrite(EngagePage.from_body(0, body_of(rows)), expected_rows=len(rows))])
    assert receipt.problem is None
    found = rows_of(connection, fetch.staging)
    valid = connection.execute(f'SELECT bool_and(json_valid(properties)) FROM "{fetch.staging}"').fetchone()
    the_store.leave(fetch, note=None)
    assert valid in {(True,), (None,)}
    assert [row.properties for row in found] == [kept(profile["$properties"]) for profile in sent]
    assert [row.distinct_id for row in found] == [json.loads(json.dumps(kept(p["$distinct_id"]))) for p in sent]


@settings(max_examples=12)
@given(profiles=st.lists(objects, min_size=1, max_size=12))
def test_any_population_arrives_over_the_wire(profiles):
    rows = [
        json.dumps({"$distinct_id": str(index), "$properties": properties}).encode()
        for index, properties in enumerate(profiles)
    ]
    with Simulator(Population.raw(rows), behaviour=Behaviour(page_size=5)) as sim:
        who = md.Credentials.from_env(sim.environment())
        with md.MixpanelClient(who, base_url=sim.base_url, retry=QUICK) as client:
            result = md.fetch_profiles(":memory:", client=client)
            exported = {each["$distinct_id"]: each["$properties"] for each in client.export_profiles()}
    assert (result.is_complete, result.total_rows) == (True, len(rows))
    found = {
        name: read(text) for name, text in result.relation().project("distinct_id, properties::VARCHAR").fetchall()
    }
    sent = {str(index): json.loads(row)["$properties"] for index, row in enumerate(rows)}
    assert found == {name: kept(properties) for name, properties in sent.items()}
    assert {name: read(json.dumps(properties)) for name, properties in exported.items()} == found
