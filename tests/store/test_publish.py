"""G4 and G5: a complete table in one step, one row a profile, and readers never see half of it."""

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from any_json import texts
from mixpanel_duckdb import ProfileStore, StorageError, TableExistsError, UnsuitableTableError
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from mixpanel_duckdb.store import FetchSpec, PageWrite
from store.storing import SPEC, body_of, fetch_rows, fill, opened, page, publish, put, rows_of

JOURNAL = {f"_mixpanel_{name}" for name in ("fetches", "runs", "pages", "queries", "tables", "differences")}
OLD = b'{"$distinct_id":"old","$properties":{}}'
NEW = [b'{"$distinct_id":"n%d","$properties":{"n":%d}}' % (index, index) for index in range(30)]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def store(connection):
    with ProfileStore(connection) as store:
        yield store


def names(connection, table="profiles"):
    return [row.distinct_id for row in rows_of(connection, table)]


def tables(connection):
    return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_the_published_table_has_the_columns_of_the_contract(connection, store):
    fill(store, [page(0, "a")])
    columns = connection.execute("DESCRIBE profiles").fetchall()
    assert [column[:2] for column in columns] == [
        ("distinct_id", "VARCHAR"), ("properties", "JSON"), ("last_seen", "TIMESTAMP"),
    ]  # fmt: skip
    assert tables(connection) == {"profiles", *JOURNAL}


def test_an_existing_table_without_a_choice_is_refused_before_anything_is_asked(connection):
    connection.execute("CREATE TABLE Profiles (mine INTEGER)")
    with Simulator(Population.raw([OLD])) as sim:
        who = md.Credentials.from_env(sim.environment())
        with pytest.raises(TableExistsError, match="if_exists='replace'"):
            md.fetch_profiles(connection, credentials=who, base_url=sim.base_url)
        assert sim.requests == []
    assert connection.execute("SELECT count(*) FROM profiles").fetchone() == (0,)


def test_a_table_that_came_into_being_meanwhile_is_refused_at_the_end(connection, store):
    with opened(store, total=1) as (fetch, writer):
        put(writer, [page(0, "a")])
    connection.execute("CREATE TABLE profiles AS SELECT 1 AS mine")
    with pytest.raises(TableExistsError):
        publish(store, fetch)
    assert connection.execute("FROM profiles").fetchall() == [(1,)]
    store.leave(fetch, note="refused")
    publish(store, store.begin(SPEC, if_exists="replace"), "replace")
    assert names(connection) == ["a"]


def test_replace_keeps_the_old_table_readable_until_the_new_one_is_complete(connection):
    fetch_rows([OLD], connection)
    seen = []

    def look(progress):
        with connection.cursor() as reader:
            seen.append(names(reader))

    fetch_rows(NEW, connection, page_size=5, if_exists="replace", on_batch_complete=look)
    assert seen == [["old"]] * 6
    assert len(names(connection)) == 30
    assert not any("staging" in name for name in tables(connection))


def test_a_reader_in_a_transaction_keeps_seeing_the_old_table(connection, store):
    fill(store, [page(0, "old")])
    with connection.cursor() as reader:
        reader.execute("BEGIN")
        assert names(reader) == ["old"]
        fill(store, [page(0, "new"), page(1, "new"), page(2, "newer")], if_exists="replace")
        assert names(reader) == ["old"]
        reader.execute("COMMIT")
        assert sorted(names(reader)) == ["new", "newer"]


def test_replace_swaps_a_table_of_any_shape_but_no_view(connection, store):
    connection.execute("CREATE TABLE profiles (mine INTEGER)")
    fill(store, [page(0, "a")], if_exists="replace")
    assert names(connection) == ["a"]
    connection.execute("CREATE VIEW seen AS FROM profiles")
    for choice in ("error", "replace", "merge"):
        with pytest.raises(UnsuitableTableError, match="'seen' is a view"):
            store.begin(FetchSpec("seen", "{}"), if_exists=choice)


def test_merge_updates_what_exists_and_inserts_the_rest_in_one_transaction(connection, store):
    fill(store, [page(0, "a", "b"), page(1, "c")])
    with opened(store, total=2, if_exists="merge") as (fetch, writer):
        put(writer, [page(0, "b", seen="2026-02-02T00:00:00"), page(1, "d")])
        assert sorted(names(connection)) == ["a", "b", "c"]
        with connection.cursor() as reader:
            reader.execute("BEGIN").execute("SELECT count(*) FROM profiles").fetchall()
            publish(store, fetch, "merge")
            assert sorted(names(reader)) == ["a", "b", "c"]
    found = {row.distinct_id: row for row in rows_of(connection)}
    assert sorted(found) == ["a", "b", "c", "d"]
    assert found["b"].last_seen.month == 2
    assert not any("staging" in name for name in tables(connection))


def test_merge_goes_by_the_names_of_the_columns(connection, store):
    connection.execute("CREATE TABLE profiles (properties JSON, last_seen TIMESTAMP, distinct_id VARCHAR)")
    fill(store, [page(0, "a")], if_exists="merge")
    assert names(connection) == ["a"]


@pytest.mark.parametrize("collation", ["NOCASE", "NOACCENT", "NOCASE.NOACCENT"])
def test_merge_compares_ids_as_bytes_whatever_collation_the_users_column_has(connection, store, collation):
    connection.execute(
        f"CREATE TABLE profiles (distinct_id VARCHAR COLLATE {collation}, properties JSON, last_seen TIMESTAMP)"
    )
    connection.execute("INSERT INTO profiles VALUES ('A', '{}', NULL), ('b', '{}', NULL), ('ä', '{}', NULL)")
    fill(store, [page(0, "a", "b")], if_exists="merge")
    assert sorted(names(connection)) == ["A", "a", "b", "ä"]


def test_merge_into_nothing_creates_the_table(connection, store):
    fill(store, [page(0, "a")], if_exists="merge")
    assert names(connection) == ["a"]


def test_merge_keeps_constraints_of_the_users_table(connection, store):
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP)")
    connection.execute("INSERT INTO profiles VALUES ('a', '{}', NULL), ('z', '{}', NULL)")
    fill(store, [page(0, "a"), page(1, "b")], if_exists="merge")
    assert sorted(names(connection)) == ["a", "b", "z"]
    assert connection.execute("SELECT properties->>'page' FROM profiles WHERE distinct_id = 'a'").fetchone() == ("0",)


def test_merging_again_does_not_repeat_rows_without_an_id(connection):
    rows = [b'{"$properties":{"n":1}}', b'{"$properties":{"n":1}}', b'{"$properties":{"n":2}}', OLD]
    for _ in range(2):
        result = fetch_rows(rows, connection, if_exists="merge")
        assert (result.total_rows, result.rows_without_distinct_id) == (4, 3)
    assert sorted(row.text for row in rows_of(connection)) == ['{"n":1}', '{"n":1}', '{"n":2}', "{}"]


@pytest.mark.parametrize(
    "columns",
    [
        "distinct_id VARCHAR",
        "distinct_id VARCHAR, properties VARCHAR, last_seen TIMESTAMP",
        "distinct_id VARCHAR, properties JSON, last_seen TIMESTAMPTZ",
        "distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, more INTEGER",
    ],
)
def test_merge_refuses_a_table_with_other_columns_at_once(connection, store, columns):
    connection.execute(f"CREATE TABLE profiles ({columns})")
    with pytest.raises(StorageError, match="its columns are not"):
        store.begin(SPEC, if_exists="merge")
    store.leave(store.begin(SPEC, if_exists="replace"), note=None)


@pytest.mark.parametrize(
    "name",
    ["my profiles", 'quo"ted', "it's", "Größe 表", "select", "a.b", "main", "1st", "profiles;--", "%s", "$1", "a\\b"],
)
def test_any_other_name_is_a_tables_name(connection, name):
    first = fetch_rows(NEW[:3], connection, table=name)
    again = fetch_rows(NEW[:4], connection, table=name, if_exists="replace")
    merged = fetch_rows(NEW[3:6], connection, table=name, if_exists="merge")
    assert (first.total_rows, again.total_rows, merged.total_rows) == (3, 4, 3)
    assert merged.relation().aggregate("count(*)").fetchall() == [(6,)]
    assert name in tables(connection)


# What a caller may have set on the connection; no ORDER BY and no comparison of ids may follow it.
SETTINGS = {
    "none": [],
    "descending": ["SET default_order = 'DESC'", "SET default_null_order = 'NULLS_LAST'"],
    "nulls first": ["SET default_null_order = 'NULLS_FIRST'"],
    "nulls last": ["SET default_null_order = 'NULLS_LAST'"],
    "a collation, locked": ["SET GLOBAL default_collation = 'NOCASE'", "SET GLOBAL lock_configuration = true"],
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_newest_last_seen_wins_else_the_first(connection, settings):
    for each in settings:
        connection.execute(each)

    def one(name, seen, mark):
        text = f'"$last_seen":"{seen}",' if seen else ""
        return f'{{"$distinct_id":{name},"$properties":{{{text}"mark":{mark}}}}}'.encode()

    rows = [
        one('"newest"', "2026-01-01T00:00:00", 1), one('"newest"', "2026-03-01T00:00:00", 2),
        one('"newest"', "2026-02-01T00:00:00", 3), one('"same"', "2026-01-01T00:00:00", 1),
        one('"same"', "2026-01-01T00:00:00", 2), one('"unseen"', None, 1), one('"unseen"', None, 2),
        one('"half"', None, 1), one('"half"', "2026-01-01T00:00:00", 2), one("7", None, 1), one('"7"', None, 2),
        one('"alone"', None, 1), one('"Alone"', None, 1), one("null", None, 1), one("null", None, 2),
    ]  # fmt: skip
    with ProfileStore(connection) as store, opened(store, total=3) as (fetch, writer):
        for index in range(3):
            put(writer, [PageWrite(EngagePage.from_body(index, body_of(rows[index * 5 : index * 5 + 5], index)))])
        staged = store.staged(fetch)
        assert (staged.rows, staged.distinct, staged.duplicates) == (15, 10, 5)
        publish(store, fetch)
    kept = sorted((row.distinct_id or "", row.text[-2]) for row in rows_of(connection))
    assert kept == [
        ("", "1"), ("", "2"), ("7", "1"), ("7", "2"), ("Alone", "1"), ("alone", "1"), ("half", "2"), ("newest", "2"),
        ("same", "1"), ("unseen", "1"),
    ]  # fmt: skip


# Ids that are one as text, and two profiles to the server.
COLLIDING = {
    "a number and a text": (b"1", b'"1"'),
    "a truth and a text": (b"true", b'"true"'),
    "a list and a text": (b'["a"]', rb'"[\"a\"]"'),
    "two halves of pairs": (rb'"x\ud800"', rb'"x\udc00"'),
    "half a pair and a character like it": (rb'"\ud800"', '"\ufffd"'.encode()),
    "half a pair and its spelling": (rb'"\udfff"', '"\ufffd"'.encode()),
    "two bad bytes": (b'"\xff"', b'"\xfe"'),
}


def entry(distinct_id, n=0, seen=b""):
    return b'{"$distinct_id":%s,"$properties":{"n":%d%s}}' % (distinct_id, n, seen and b',"$last_seen":"%s"' % seen)


@pytest.mark.parametrize("ids", COLLIDING.values(), ids=COLLIDING)
@pytest.mark.parametrize("page_size", [1, 10])
def test_ids_that_are_one_as_text_are_two_profiles_all_the_same(connection, ids, page_size):
    rows = [entry(each, n) for n, each in enumerate([*ids, b'"other"'])]
    for if_exists in ("error", "replace", "merge"):
        result = fetch_rows(rows, connection, page_size=page_size, if_exists=if_exists)
        assert (result.is_complete, result.total_rows, result.duplicate_rows, result.colliding_ids) == (True, 3, 0, 1)
        assert sorted(row.text for row in rows_of(connection)) == ['{"n":0}', '{"n":1}', '{"n":2}']
        assert connection.execute("SELECT count(DISTINCT distinct_id) FROM profiles").fetchone() == (2,)


SAME = [(b'"a"', rb'"\u0061"'), (b"1", b" 1 "), (b"1.10", b"1.1"), (rb'"\ud800"', rb'"\uD800"'), (b"[1,2]", b"[1, 2]")]


@pytest.mark.parametrize("ids", [(one, one) for one, _ in COLLIDING.values()] + SAME)
def test_one_profile_that_comes_twice_is_one_whatever_its_id_is_made_of(connection, ids):
    rows = [entry(ids[0], 1, b"2026-01-01T00:00:00"), entry(ids[1], 2, b"2026-02-01T00:00:00"), entry(b'"1"', 3)]
    with ProfileStore(connection) as store, opened(store, total=3) as (fetch, writer):
        for index, row in enumerate(rows):
            put(writer, [PageWrite(EngagePage.from_body(index, body_of([row], index)), last_try=True)])
        staged = store.staged(fetch)
        assert (staged.rows, staged.distinct, staged.duplicates) == (3, 2, 1)
        publish(store, fetch)
    assert sorted(row.text[5] for row in rows_of(connection)) == ["2", "3"]


IDS = st.one_of(
    st.sampled_from(["1", "true", "null", "a", "A", "[1]", "x\ud800", "x\udc00", "x\ufffd"]),
    st.sampled_from([0, 1, 1.0, -1, 2**64, True, False, None, [1], {"a": 1}]), texts,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(IDS, max_size=12), ascii_only=st.booleans(), per_page=st.integers(1, 5))
def test_profiles_are_told_apart_as_the_server_does_whatever_type_their_ids_have(ids, ascii_only, per_page):
    rows = [
        entry(json.dumps(each, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), n)
        for n, each in enumerate(ids)
    ]
    with duckdb.connect() as connection, ProfileStore(connection) as store, opened(store, total=1) as (fetch, writer):
        for index in range(0, len(rows), per_page):
            body = body_of(rows[index : index + per_page], index)
            put(writer, [PageWrite(EngagePage.from_body(index, body), last_try=True)])
        staged = store.staged(fetch)
        publish(store, fetch)
        kept = [row.distinct_id for row in rows_of(connection)]
    nameless = sum(each is None for each in ids)
    named = {json.dumps(json.loads(json.dumps(each))) for each in ids if each is not None}
    assert (staged.rows, staged.distinct) == (len(ids), len(named) + nameless)
    assert len(kept) == staged.distinct
    assert staged.colliding == staged.distinct - nameless - len({each for each in kept if each is not None})


def test_repeated_profiles_are_counted_in_the_result(connection):
    with Simulator(
        Population.raw(NEW[:6]),
        behaviour=Behaviour(page_size=2, order="fixed", total="page0"),
    ) as sim:
        sim.replace_population(Population.raw([*NEW[:6], NEW[0]]))
        who = md.Credentials.from_env(sim.environment())
        result = md.fetch_profiles(connection, credentials=who, base_url=sim.base_url)
    assert (result.duplicate_rows, result.total_rows, result.expected_rows) == (1, 6, 7)
    assert not result.is_complete
    assert not result.published
    assert len(result.relation().fetchall()) == 6


def test_a_refused_publication_changes_nothing(connection, store):
    fill(store, [page(0, "a")])
    with opened(store, total=1, if_exists="merge") as (fetch, writer):
        put(writer, [page(0, "b")])
    connection.execute("ALTER TABLE profiles ADD COLUMN more INTEGER")
    with pytest.raises(StorageError, match="its columns are not"):
        publish(store, fetch, "merge")
    assert connection.execute("SELECT distinct_id FROM profiles").fetchall() == [("a",)]
    assert names(connection, fetch.staging) == ["b"]
    store.leave(fetch, note=None)
