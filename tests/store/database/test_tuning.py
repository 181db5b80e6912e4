"""Settings of ours: memory is tight but where pages are written, and there written blocks do not pile up."""

import json
import random

import duckdb
import pytest

from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.store import PageWrite, ProfileStore
from mixpanel_duckdb.store.database import tuning
from store.storing import body_of, opened, page, put

MEGABYTES = 1_000_000


def setting(place, name="memory_limit"):
    with place.reader()() if isinstance(place, ProfileStore) else place.cursor() as connection:
        return connection.execute(f"SELECT current_setting('{name}')").fetchall()[0][0]


def held(store, tag="BASE_TABLE"):
    with store.reader()() as connection:
        rows = connection.execute("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = ?", [tag]).fetchall()
    return rows[0][0]


def incompressible(index, size):
    """A page that is about as large in the file as it came."""
    text = random.Random(index).randbytes(size // 2).hex()
    rows = [
        json.dumps({"$distinct_id": f"{index}-{place}", "$properties": {"text": text[place : place + 4000]}}).encode()
        for place in range(0, size, 4000)
    ]
    return PageWrite(EngagePage.from_body(index, body_of(rows, index)))


def test_memory_is_wide_only_while_pages_are_written(tmp_path):
    with ProfileStore(str(tmp_path / "a.duckdb")) as store:
        tight = setting(store)
        with opened(store) as (_, writer):
            wide = setting(store)
            put(writer, [page(0, "a")])
            assert setting(store) == wide != tight
        assert setting(store) == tight


def held_after(path, pages):
    """Bytes of written blocks in memory after each of so many pages of 10 MB."""
    with ProfileStore(str(path)) as store, opened(store) as (_, writer):
        wide = setting(store)
        after = []
        for index in range(pages):
            put(writer, [incompressible(index, 10 * MEGABYTES)])
            after.append(held(store))
        assert setting(store) == wide
    assert path.stat().st_size > pages * 5 * MEGABYTES
    return after


def test_written_blocks_do_not_pile_up_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_WORTH_DROPPING", 2 * MEGABYTES)
    monkeypatch.setattr(tuning, "_LEFT", MEGABYTES)
    dropped = held_after(tmp_path / "b.duckdb", 6)
    monkeypatch.setattr(tuning, "_WORTH_DROPPING", 1 << 40)
    kept = held_after(tmp_path / "c.duckdb", 6)
    assert max(dropped) <= 2 * MEGABYTES < kept[-1]


def test_blocks_stay_while_somebody_else_could_run_into_the_lowered_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_WORTH_DROPPING", 0)
    monkeypatch.setattr(tuning, "_LEFT", 0)
    path = str(tmp_path / "d.duckdb")
    with ProfileStore(path) as store, opened(store) as (_, writer):
        with duckdb.connect(path):
            put(writer, [incompressible(0, 10 * MEGABYTES)])
            kept = held(store)
        put(writer, [page(1, "a")])
        assert held(store) < kept / 2


def test_a_retry_has_room_until_it_is_over(tmp_path, monkeypatch):
    """The writer ends while another thread does again what the tight limit refused."""
    limits = []
    with ProfileStore(str(tmp_path / "e.duckdb")) as store:
        tight = setting(store)

        def refused_first():
            limits.append(setting(store))
            if len(limits) == 1:
                raise duckdb.OutOfMemoryException
            with opened(store) as (_, writer):
                put(writer, [page(0, "a")])
            limits.append(setting(store))
            return "done"

        assert store.with_room(refused_first) == "done"
        assert limits[0] == tight
        assert limits[1] == limits[2] != tight
        assert setting(store) == tight


def test_another_limit_holds_for_a_while_and_makes_way_for_who_needs_room(tmp_path):
    with duckdb.connect(tmp_path / "e.duckdb") as connection:
        ours = tuning.Tuning(connection, ours=True, limit_memory=True)
        tight = setting(connection)
        with ours.within("250MB"):
            wider = setting(connection)
            ours.give_memory_back()
            assert setting(connection) == wider
            with ours.room(), ours.within("250MB"):
                assert setting(connection) not in (tight, wider)
        assert tight != wider
        assert setting(connection) == tight
        with ours.within("250MB"):
            connection.execute("SET memory_limit = '1234MB'")
            theirs = setting(connection)
            ours.give_memory_back()
        assert setting(connection) == theirs


def test_a_limit_within_another_makes_way_for_that_again_and_large_pieces_are_given_back_meanwhile(tmp_path):
    freed = "allocator_bulk_deallocation_flush_threshold"
    with duckdb.connect(tmp_path / "e.duckdb") as connection:
        ours = tuning.Tuning(connection, ours=True, limit_memory=True)
        tight, late = setting(connection), setting(connection, freed)
        with ours.within("400MB"):
            outer = setting(connection)
            with ours.within("250MB", large_pieces=True):
                assert setting(connection) not in (tight, outer)
                assert setting(connection, freed) != late
            assert (setting(connection), setting(connection, freed)) == (outer, late)
        assert setting(connection) == tight


def test_who_needs_room_has_it_also_where_the_memory_was_too_full_for_the_tight_limit(tmp_path):
    with duckdb.connect(tmp_path / "e.duckdb") as connection:
        ours = tuning.Tuning(connection, ours=True, limit_memory=True)
        tight = setting(connection)
        connection.execute("SET temp_directory = ''")
        with ours.within("600MB"):
            connection.execute("CREATE TEMP TABLE full_of AS SELECT hash(i), hash(i + 0.5) FROM range(13_000_000) t(i)")
        with ours.room():
            assert setting(connection) != tight
            connection.execute("CREATE TEMP TABLE more AS SELECT hash(i), hash(i + 0.5) FROM range(10_000_000) t(i)")
            connection.execute("DROP TABLE full_of; DROP TABLE more")
        assert setting(connection) == tight


def test_a_limit_that_somebody_sets_meanwhile_stays(tmp_path):
    path = str(tmp_path / "f.duckdb")
    with ProfileStore(path) as store, opened(store) as (_, writer):
        with duckdb.connect(path) as mine:
            mine.execute("SET memory_limit = '1234MB'")
        theirs = setting(store)
        put(writer, [incompressible(0, 40 * MEGABYTES)])
        assert setting(store) == theirs
    with duckdb.connect() as other:
        assert theirs != other.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]


@pytest.mark.parametrize("source", ["a connection", "memory"])
def test_where_the_limit_is_not_ours_nothing_is_set_and_nothing_tried_again(tmp_path, source, monkeypatch):
    calls = []

    def refused():
        calls.append("call")
        raise duckdb.OutOfMemoryException

    with duckdb.connect(str(tmp_path / "g.duckdb")) as mine:
        mine.execute("SET memory_limit = '300MB'")
        before = setting(mine) if source == "a connection" else None
        with ProfileStore(mine if source == "a connection" else ":memory:") as store:
            before = before or setting(store)
            with opened(store) as (_, writer):
                put(writer, [incompressible(0, 40 * MEGABYTES)])
                assert setting(store) == before
                with pytest.raises(duckdb.OutOfMemoryException):
                    store.with_room(refused)
    assert calls == ["call"]


def test_every_setting_is_what_it_was_after_a_large_transaction(tmp_path):
    path = str(tmp_path / "h.duckdb")
    names = ("memory_limit", "threads", "max_vacuum_tasks", "checkpoint_threshold")
    with duckdb.connect(path) as connection:
        default = [setting(connection, name) for name in names]
    with ProfileStore(path) as store:
        with opened(store) as (_, writer):
            put(writer, [incompressible(0, 40 * MEGABYTES)])
        assert setting(store, "checkpoint_threshold") == default[-1]
        later = duckdb.connect(path)
    with later:
        assert [setting(later, name) for name in names] == default


def test_a_full_group_of_pages_goes_past_the_write_ahead_log(tmp_path):
    with ProfileStore(str(tmp_path / "f.duckdb")) as store, opened(store) as (_, writer):
        put(writer, [page(0, "a")])
        before = (tmp_path / "f.duckdb.wal").stat().st_size
        put(writer, [incompressible(1, 10 * MEGABYTES)])
        log = tmp_path / "f.duckdb.wal"
        assert not log.exists() or log.stat().st_size <= before
