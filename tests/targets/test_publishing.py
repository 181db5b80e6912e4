"""The same promises on every kind of target, with its real engine."""

import signal
from collections import Counter

import pytest

import mixpanel_duckdb as md
from helpers import client_of, fetch
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.targets import publishing
from store.targets.test_duckdb_file import expected_counts
from targets.engines import SHARED, Engine, counts, published
from targets.stepping import at_step

BEFORE, AFTER = Population(120, seed=1), Population(110, seed=2)


def test_every_publish_leaves_the_newest_population_counts_what_changed_and_is_read_back(engine, work):
    first = published(BEFORE, work, engine.target)
    assert engine.rows() == engine.holding(BEFORE)
    assert counts(first) == (120, 0, 0, 0)
    second = published(AFTER, work, engine.target)
    assert engine.rows() == engine.holding(AFTER)
    assert counts(second) == expected_counts(BEFORE, AFTER)
    read = (
        second.relation().aggregate("count(*), count(DISTINCT distinct_id)").fetchall()
    )  # whose catalog is free again
    assert read == [(110, 110)]
    third = published(AFTER, work, engine.target)
    assert counts(third) == (0, 0, 0, 110)
    assert engine.rows() == engine.holding(AFTER)


def test_a_publish_that_needs_more_memory_than_usual_has_it(engine, work, monkeypatch):
    for name in ("_TO_MAKE_BY_SEVERAL", "_TO_MAKE", "_TO_READ"):
        monkeypatch.setattr(publishing, name, "1MB")
    for population in (BEFORE, AFTER):
        assert published(population, work, engine.target).is_complete
        assert engine.rows() == engine.holding(population)


def test_a_merge_keeps_what_was_not_fetched(engine, work):
    published(BEFORE, work, engine.target)
    result = published(AFTER, work, engine.target, if_exists="merge")
    rows = {row[0]: row for each in (BEFORE, AFTER) for row in engine.holding(each)}
    assert engine.rows() == Counter(rows.values())
    added, changed, removed, unchanged = expected_counts(BEFORE, AFTER)
    assert counts(result) == (added, changed, 0, unchanged + removed)


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_rows_without_an_id_are_there_as_often_as_they_were_sent(engine, work, if_exists):
    nameless = [b'{"$properties":{"a":1}}', b'{"$properties":{"a":1}}', b'{"$distinct_id":"x","$properties":{}}']
    published(Population.raw(nameless), work, engine.target)
    more = [*nameless, b'{"$properties":{"a":2}}']
    result = published(Population.raw(more), work, engine.target, if_exists=if_exists)
    assert counts(result) == (1, 0, 0, 3)
    assert engine.rows() == engine.holding(Population.raw(more))


def test_an_id_that_came_twice_is_there_once_and_as_it_came_last(engine, work):
    for value, names in enumerate(("aba", "acbc")):
        people = [{"$distinct_id": name, "$properties": {"n": value, "$last_seen": f"2026-01-0{i + 1}T00:00:00"}}
                  for i, name in enumerate(names)]  # fmt: skip
        result = published(Population.of(people), work, engine.target, tolerance=1)
        assert (result.published, result.duplicate_rows) == (True, 1)
        assert engine.rows() == engine.holding(Population.of({each["$distinct_id"]: each for each in people}.values()))
    assert counts(result) == (1, 2, 0, 0)


def test_a_schema_is_made_and_the_result_is_read_from_there(engine, work):
    result = published(BEFORE, work, md.Target(**{**_fields(engine.target), "schema": "crm"}))
    read = result.relation().aggregate("count(*)").fetchall()
    assert read == [(120,)]
    assert engine.rows("crm.profiles") == engine.holding(BEFORE)


def test_an_existing_table_without_a_choice_is_refused_before_the_first_request(engine, work):
    published(BEFORE, work, engine.target)
    with Simulator(BEFORE) as sim, pytest.raises(md.TableExistsError):
        fetch(sim, work, into=engine.target)
    assert sim.requests == []


def test_somebody_elses_comment_is_kept_and_the_table_refused(engine, work):
    columns = "distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP"
    with engine.connect_to_write() as connection:
        connection.execute(f"CREATE TABLE profiles ({columns})")
        comment = "COMMENT ON TABLE profiles IS 'mine'"
        if engine.kind != "postgres":
            connection.execute(comment)
    if engine.kind == "postgres":
        engine.server.sql(engine.database, comment)
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="comment"):
        fetch(sim, work, into=engine.target, if_exists="replace")
    assert sim.requests == []


@pytest.mark.parametrize("kind", ["ducklake", "postgres"])
def test_a_default_catalog_that_is_no_duckdb_database_is_refused_before_the_first_request(kind, tmp_path, postgres):
    engine = Engine.made(kind, tmp_path, postgres)
    published(BEFORE, str(tmp_path / "work.duckdb"), engine.target)
    with engine.connect() as connection, Simulator(BEFORE) as sim:
        with pytest.raises(md.StorageError, match=f"default catalog 'there' is a {kind} database.*--into"):
            fetch(sim, connection)
        with pytest.raises(md.StorageError, match=r"default catalog 'there'.*USE a DuckDB database"):
            md.fetch_events(connection, "2026-01-01", "2026-01-02", client=client_of(sim))
        assert sim.requests == []
        connection.execute("USE memory")
        assert fetch(sim, connection).is_complete


def test_a_table_with_other_columns_is_refused_before_the_first_request(engine, work):
    published(BEFORE, work, engine.target)
    with engine.connect_to_write() as connection:
        connection.execute("ALTER TABLE profiles ADD COLUMN mine INTEGER")
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="its columns are not"):
        fetch(sim, work, into=engine.target, if_exists="replace", allow_other=True)
    assert sim.requests == []


def test_a_table_that_takes_no_row_without_a_moment_is_refused_before_the_first_request(engine, work):
    published(BEFORE, work, engine.target)
    with engine.connect_to_write() as connection:
        change = "ALTER TABLE {}profiles ALTER last_seen SET NOT NULL"
        if engine.kind == "postgres":
            engine.server.sql(engine.database, "UPDATE profiles SET last_seen = now() WHERE last_seen IS NULL")
            engine.server.sql(engine.database, change.format(""))
        else:
            connection.execute("UPDATE there.profiles SET last_seen = now() WHERE last_seen IS NULL")
            connection.execute(change.format("there."))
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="NOT NULL of 'last_seen' may refuse"):
        fetch(sim, work, into=engine.target, if_exists="replace", allow_other=True)
    assert sim.requests == []


IN_POSTGRES = {
    "CHECK ((length((distinct_id)::text) < 99))": "ALTER TABLE profiles ADD CHECK (length(distinct_id) < 99)",
    "unique index 'profiles_last_seen_distinct_id_key'": "ALTER TABLE profiles ADD UNIQUE (last_seen, distinct_id)",
    "unique index 'lower'": "CREATE UNIQUE INDEX lower ON profiles (lower(distinct_id))",
    "foreign key of table 'orders'": "ALTER TABLE profiles ADD PRIMARY KEY (distinct_id);"
    "CREATE TABLE orders (who text REFERENCES profiles (distinct_id))",
}
IN_POSTGRES_IS_KEPT = (
    "ALTER TABLE profiles ADD PRIMARY KEY (distinct_id)",
    "ALTER TABLE profiles ADD UNIQUE (distinct_id)",
    "CREATE UNIQUE INDEX ids ON profiles (distinct_id)",
    "ALTER TABLE profiles ALTER properties SET NOT NULL",
    "CREATE INDEX newest ON profiles (last_seen)",
)


@pytest.mark.parametrize("what", IN_POSTGRES)
def test_what_may_refuse_profiles_in_postgres_is_named_before_the_first_request(tmp_path, postgres, work, what):
    base = Engine.made("postgres", tmp_path, postgres)
    published(BEFORE, work, base.target)
    postgres.sql(base.database, IN_POSTGRES[what])
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError) as refused:
        fetch(sim, work, into=base.target, if_exists="replace", allow_other=True)
    assert f"its {what} may refuse profiles" in str(refused.value)
    assert sim.requests == []


@pytest.mark.parametrize("sql", IN_POSTGRES_IS_KEPT)
def test_what_refuses_no_profile_in_postgres_stays_and_is_published_into(tmp_path, postgres, work, sql):
    base = Engine.made("postgres", tmp_path, postgres)
    published(BEFORE, work, base.target)
    postgres.sql(base.database, sql)
    assert counts(published(AFTER, work, base.target)) == expected_counts(BEFORE, AFTER)
    assert base.rows() == base.holding(AFTER)


@pytest.mark.parametrize("kind", ["file", "ducklake", "ducklake:postgres", "postgres"])
def test_a_target_that_can_only_be_read_is_refused_before_the_first_request(kind, tmp_path, postgres, work):
    engine = Engine.made(kind, tmp_path, postgres)
    published(BEFORE, work, engine.target)
    with engine.connect() as connection, Simulator(BEFORE) as sim:
        if kind in ("file", "postgres"):
            attach = engine.target.attach.removeprefix("postgres:")
            connection.execute("USE memory; DETACH there")
            option = "TYPE postgres, READ_ONLY" if kind == "postgres" else "READ_ONLY"
            connection.execute(f"ATTACH '{attach}' AS there ({option})")
        target = md.Target(connection=connection, catalog="there")
        with pytest.raises(md.UnsuitableTableError, match="only be read"):
            fetch(sim, work, into=target, if_exists="replace", allow_other=True)
        assert sim.requests == []


def test_a_view_of_postgres_with_the_right_columns_is_no_table(tmp_path, postgres, work):
    base = Engine.made("postgres", tmp_path, postgres)
    columns = "NULL::text AS distinct_id, NULL::json AS properties, NULL::timestamp AS last_seen"
    postgres.sql(base.database, f"CREATE VIEW profiles AS SELECT {columns}")
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="is a view"):
        fetch(sim, work, into=base.target, if_exists="replace")
    assert sim.requests == []


def test_a_table_of_postgres_whose_properties_are_jsonb_is_refused_since_that_keeps_no_text(tmp_path, postgres, work):
    base = Engine.made("postgres", tmp_path, postgres)
    postgres.sql(base.database, "CREATE TABLE profiles (distinct_id text, properties jsonb, last_seen timestamp)")
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="its columns are not"):
        fetch(sim, work, into=base.target, if_exists="replace")
    assert sim.requests == []


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgres_is_published_into_by_an_address(tmp_path, postgres, work, scheme):
    base = Engine.made("postgres", tmp_path, postgres)
    address = f"{scheme}://postgres@/{base.database}?host={postgres.folder}"
    result = published(BEFORE, work, md.Target(address, setup=base.target.setup))
    assert len(result.relation().fetchall()) == 120
    assert base.rows() == base.holding(BEFORE)


def test_a_lake_that_is_replaced_keeps_its_table_and_the_changes_that_it_tells(tmp_path, postgres, work):
    lake = Engine.made("ducklake:postgres", tmp_path, postgres)
    published(BEFORE, work, lake.target)
    ((version, table),) = lake.sql("SELECT max(snapshot_id), (SELECT max(table_id) FROM ducklake_table_info('there')) "
                                   "FROM ducklake_snapshots('there')")  # fmt: skip
    result = published(AFTER, work, lake.target)
    assert lake.sql("SELECT max(table_id) FROM ducklake_table_info('there')") == [(table,)]
    assert lake.sql(f"SELECT count(*) FROM profiles AT (VERSION => {version})") == [(120,)]
    ((last,),) = lake.sql("SELECT max(snapshot_id) FROM ducklake_snapshots('there')")
    feed = f"ducklake_table_changes('there', 'main', 'profiles', {version + 1}, {last})"
    told = lake.sql(f"SELECT change_type, count(*) FROM {feed} GROUP BY 1")
    added, changed, removed, _ = counts(result)
    assert dict(told) == {
        "insert": added, "delete": removed, "update_preimage": changed, "update_postimage": changed,
    }  # fmt: skip


def test_a_postgres_table_that_is_replaced_keeps_views_and_grants(tmp_path, postgres, work):
    base = Engine.made("postgres", tmp_path, postgres)
    published(BEFORE, work, base.target)
    postgres.sql(base.database, "CREATE VIEW names AS SELECT distinct_id FROM profiles; CREATE ROLE reader_of_names")
    postgres.sql(base.database, "GRANT SELECT ON profiles TO reader_of_names")
    identity = postgres.sql(base.database, "SELECT 'profiles'::regclass::oid")
    published(AFTER, work, base.target)
    assert postgres.sql(base.database, "SELECT count(*) FROM names") == ["110"]
    assert postgres.sql(base.database, "SELECT has_table_privilege('reader_of_names', 'profiles', 'SELECT')") == ["t"]
    assert postgres.sql(base.database, "SELECT 'profiles'::regclass::oid") == identity
    left = "SELECT relname FROM pg_class WHERE relname LIKE '%mixpanel%'"
    assert postgres.sql(base.database, left) == []


def test_postgres_gets_json_that_can_be_queried_whatever_was_sent_and_nul_is_counted(tmp_path, postgres, work):
    base = Engine.made("postgres", tmp_path, postgres)
    people = [
        rb'{"$distinct_id":"a\u0000b","$properties":{"name":"x\u0000y","$last_seen":"2026-01-02T03:04:05"}}',
        rb'{"$distinct_id":"c","$properties":{"path":"C:\\u0000","both":"\\\u0000","key\u0000":1}}',
        rb'{"$distinct_id":"d","$properties":{"big":123456789012345678901234567890,"twice":[{"\u00e9":null}]}}',
    ]
    result = published(Population.raw(people), work, base.target)
    assert result.replaced_characters == 4
    kind = "SELECT data_type FROM information_schema.columns WHERE column_name = 'properties'"
    assert postgres.sql(base.database, kind) == ["json"]
    said = postgres.sql(base.database, "SELECT properties ->> 'path', properties ->> 'both' FROM profiles "
                                       "ORDER BY distinct_id")  # fmt: skip
    assert said == ["|", r"C:\u0000|" + "\\\ufffd", "|"]
    assert postgres.sql(base.database, "SELECT properties ->> 'name' FROM profiles WHERE last_seen IS NOT NULL") == [
        "x\ufffdy"
    ]
    assert postgres.sql(base.database, "SELECT properties ->> 'big' FROM profiles WHERE distinct_id = 'd'") == [
        "123456789012345678901234567890"
    ]
    again = published(Population.raw(people), work, base.target)
    assert counts(again) == (0, 0, 0, 3)
    assert "4 NUL characters" in " ".join(again.notices)


def test_ids_that_postgres_cannot_tell_apart_are_both_there(tmp_path, postgres, work):
    base = Engine.made("postgres", tmp_path, postgres)
    twins = [
        rb'{"$distinct_id":"a\u0000","$properties":{"n":1}}',
        '{"$distinct_id":"a\ufffd","$properties":{"n":2}}'.encode(),
    ]
    for _ in range(2):
        published(Population.raw(twins), work, base.target)
        assert sorted(base.sql("SELECT properties ->> 'n' FROM profiles")) == [("1",), ("2",)]


def test_a_server_that_stops_in_the_middle_costs_nothing_but_another_call(tmp_path, postgres, work, monkeypatch):
    for kind in SHARED:
        folder = tmp_path / kind.replace(":", "-")
        folder.mkdir()
        engine, work = Engine.made(kind, folder, postgres), str(folder / "work.duckdb")
        published(BEFORE, work, engine.target)
        with Simulator(AFTER) as sim:
            options = {"into": engine.target, "if_exists": "replace", "allow_other": True}
            with monkeypatch.context() as patched:
                at_step(patched, lambda number, statement: "COMMENT" in statement and postgres.stop(signal.SIGQUIT))
                try:
                    left = fetch(sim, work, **options)
                finally:
                    postgres.start()
            assert not left.published
            assert left.target_refusal
            assert engine.rows() == engine.holding(BEFORE)
            asked = len(sim.requests)
            done = fetch(sim, work, **options)
            assert len(sim.requests) == asked
        assert done.is_complete
        assert counts(done) == expected_counts(BEFORE, AFTER)
        assert engine.rows() == engine.holding(AFTER)


def _fields(target):
    return {name: getattr(target, name) for name in ("attach", "schema", "data_path", "setup", "lock_wait")}
