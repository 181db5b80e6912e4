"""Settings of ours: memory is tight but where pages are written, and there written blocks do not pile up."""

import json
import random

import duckdb
import pytest

from mixpanel_duckdb.page import EngagePage
from mixpanel_duckdb.store import PageWrite, ProfileStore
from mixpanel_duckdb.store import tuning as room
from store.storing import body_of, opened, page

MEGABYTES = 1_000_000


def setting(store, name="memory_limit"):
    with store.reader()() as connection:
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
            writer.write([page(0, "a")])
            assert setting(store) == wide != tight
        assert setting(store) == tight


def held_after(path, pages):
    """Bytes of written blocks in memory after each of these pages of 10 MB, and whether the limit is wide again."""
    with ProfileStore(str(path)) as store, opened(store) as (_, writer):
        wide = setting(store)
        after = []
        for index in range(pages):
            writer.write([incompressible(index, 10 * MEGABYTES)])
            after.append(held(store))
        assert setting(store) == wide
    assert path.stat().st_size > pages * 5 * MEGABYTES
    return after


def test_written_blocks_do_not_pile_up_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_WORTH_DROPPING", 2 * MEGABYTES)
    monkeypatch.setattr(room, "_LEFT", MEGABYTES)
    dropped = held_after(tmp_path / "b.duckdb", 6)
    monkeypatch.setattr(room, "_WORTH_DROPPING", 1 << 40)
    kept = held_after(tmp_path / "c.duckdb", 6)
    assert max(dropped) <= 2 * MEGABYTES < kept[-1]


def test_a_refusal_while_blocks_are_dropped_is_tried_again(tmp_path):
    """Another thread finds the limit low for a moment."""
    calls = []

    def unlucky():
        calls.append(setting(store))
        if len(calls) == 1:
            raise duckdb.OutOfMemoryException
        return "done"

    with ProfileStore(str(tmp_path / "d.duckdb")) as store, opened(store):
        assert store.with_room(unlucky) == "done"
    assert len(calls) == 2


def test_a_callers_instance_has_no_limit_of_ours(tmp_path):
    with duckdb.connect(str(tmp_path / "e.duckdb")) as mine:
        mine.execute("SET memory_limit = '300MB'")
        with ProfileStore(mine) as store, opened(store) as (_, writer):
            writer.write([incompressible(0, 40 * MEGABYTES)])
            assert setting(store) == mine.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
            with pytest.raises(duckdb.OutOfMemoryException):
                store.with_room(lambda: (_ for _ in ()).throw(duckdb.OutOfMemoryException))


def test_a_full_group_of_pages_goes_past_the_write_ahead_log(tmp_path):
    with ProfileStore(str(tmp_path / "f.duckdb")) as store, opened(store) as (_, writer):
        writer.write([page(0, "a")])
        before = (tmp_path / "f.duckdb.wal").stat().st_size
        writer.write([incompressible(1, 10 * MEGABYTES)])
        log = tmp_path / "f.duckdb.wal"
        assert not log.exists() or log.stat().st_size <= before
