"""Property tests: whatever JSON a profile is, it is stored value for value."""

import json
import math

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from mixpanel_duckdb.store import FetchSpec, PageWrite, ProfileStore
from mixpanel_duckdb.store.pages.fidelity import flatten, mend
from store.storing import QUICK, body_of, put, read, rows_of

characters = st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\/\0\x01\x1f\x7f\n\u2028\ud800\udc00\udfff😀'))
texts = st.text(characters, max_size=8)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([2**53 + 1, -(2**63), 2**64, 10**400, -0.0, 5e-324, 0.1 + 0.2]),
    st.floats(allow_nan=False),
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(texts, values, max_size=5)


def kept(value):
    """A value as the database keeps it: every lone surrogate is one U+FFFD."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    return read("".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text))


@pytest.fixture(scope="module")
def store():
    with duckdb.connect() as connection, ProfileStore(connection) as store:
        yield store, connection


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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
    assert exported == sent


@given(value=values, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_mending_readable_json_changes_only_lone_surrogates(value, ascii_only, indent):
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    mended, replaced = mend(body)
    sent = json.loads(body.decode("utf-8", "surrogatepass"))
    assert read(mended.decode()) == kept(sent)
    lone = json.dumps(sent, ensure_ascii=False)
    assert replaced == sum("\ud800" <= char <= "\udfff" for char in lone)
    assert mend(mended) == (mended, 0)


@given(body=st.binary(max_size=60))
def test_mending_any_bytes_gives_utf8_and_counts_what_it_replaced(body):
    mended, replaced = mend(body)
    text = mended.decode()
    assert (replaced == 0) == (mend(mended)[0] == mended and text.count("\ufffd") == body.count("\ufffd".encode()))


@given(value=values, limit=st.integers(0, 4))
def test_flattening_keeps_every_value_and_no_level_below_the_limit(value, limit):
    text = json.dumps(value, ensure_ascii=False)
    flat, count = flatten(text, limit)
    assert depth(json.loads(flat)) <= limit
    assert (count == 0) == (depth(value) <= limit)
    assert same(json.loads(flat), json.loads(text), limit)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def same(flat, value, limit):
    """Whether a flattened value is the value, its deep parts read from their texts."""
    if isinstance(value, (list, dict)) and limit == 0:
        return same(json.loads(flat), value, math.inf)
    if isinstance(value, dict):
        return list(flat) == list(value) and all(same(flat[name], value[name], limit - 1) for name in value)
    if isinstance(value, list):
        return len(flat) == len(value) and all(same(a, b, limit - 1) for a, b in zip(flat, value, strict=True))
    return flat == value
