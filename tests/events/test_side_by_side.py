"""Streams that come side by side are each in the table as a whole, or not at all, whoever has to wait for whom."""

import json
from contextlib import closing
from datetime import date, datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb.store import EventPiece, FetchSpec
from mixpanel_duckdb.store.events import ingest

SPEC = FetchSpec("events", "{}", "1", "https://data.mixpanel.com")
FIRST, ASKED = date(2026, 1, 1), datetime(2026, 2, 1)
NOON, DAY_MS = 1767268800000, 86_400_000


def pieces_of(stream, many, *, broken):
    """A stream of a day: one event in each piece, and an end that keeps or breaks it."""
    day = FIRST + timedelta(days=stream)
    for number in range(many):
        properties = {"time": NOON + stream * DAY_MS, "n": [stream, number]}
        text = json.dumps({"event": "a", "properties": properties}, separators=(",", ":")).encode() + b"\n"
        yield EventPiece(stream, day, day, ASKED, text)
    yield EventPiece(stream, day, day, ASKED, ends=not broken, broken=broken)


def stored(sink, pieces, groups):
    """Hand pieces over, some at a time, and some groups of them late; give the last receipt of each stream."""
    waiting, told = [], {}
    for piece, commits in zip(pieces, groups, strict=True):
        waiting.append(sink.stage([piece]))
        if commits or piece is pieces[-1]:
            told |= {each.stream: each for each in sink.commit(waiting)}
            waiting = []
    return told


@settings(max_examples=40)
@given(data=st.data(), at_once=st.sampled_from([0, 200, 10**9]), may_wait=st.sampled_from([0, 200, 10**9]))
def test_in_any_order_of_their_pieces_each_stream_is_whole_or_not_there_and_no_file_is_left(
    data, at_once, may_wait, tmp_path_factory
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "_AT_ONCE", at_once)
        patch.setattr(ingest, "_MAY_WAIT", may_wait)
        check_order(data, tmp_path_factory.mktemp("beside"))


def check_order(data, folder):
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6), "pieces of each stream")
    broken = data.draw(st.sets(st.integers(0, len(sizes) - 1)), "streams that break off")
    streams = [list(pieces_of(number, many, broken=number in broken)) for number, many in enumerate(sizes)]
    order = data.draw(st.permutations([number for number, each in enumerate(streams) for _ in each]), "order")
    left = [iter(each) for each in streams]
    pieces = [next(left[number]) for number in order]
    commits = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)), "commits")
    database = str(folder / "events.duckdb")
    with md.ProfileStore(database) as store, closing(store.events()) as events, events.fetching(SPEC):
        with events.writer(SPEC) as sink:
            told = stored(sink, pieces, commits)
            assert not list(folder.glob("*.pieces/*"))
        assert not list(folder.glob("*.pieces"))
    kept = {number: many for number, many in enumerate(sizes) if number not in broken}
    assert {number: told[number].rows for number in kept} == kept
    with duckdb.connect(database) as connection:
        rows = [json.loads(text)["n"] for (text,) in connection.execute("SELECT properties FROM events").fetchall()]
        days = connection.execute("SELECT day, rows FROM _mixpanel_days").fetchall()
    assert sorted(rows) == [[number, each] for number, many in kept.items() for each in range(many)]
    assert dict(days) == {FIRST + timedelta(days=number): many for number, many in kept.items()}


def test_one_stream_has_rows_in_memory_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "_AT_ONCE", 0)
    streams = [list(pieces_of(number, 3, broken=False)) for number in range(5)]
    with (
        md.ProfileStore(str(tmp_path / "events.duckdb")) as store,
        closing(store.events()) as events,
        events.fetching(SPEC),
        events.writer(SPEC) as sink,
    ):
        for piece in (each for some in zip(*streams, strict=True) for each in some if not each.ends):
            sink.commit([sink.stage([piece])])
            assert len(list(tmp_path.glob("*.duckdb"))) == 1
            assert sum(each.cursor is not None for each in sink._streams.values()) == 1
        assert len(list(tmp_path.glob("*.pieces/*"))) == 4 * 3
        sink.commit([sink.stage([each[-1] for each in streams])])
    with duckdb.connect(str(tmp_path / "events.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(15,)]


@pytest.mark.parametrize("spare", range(8, 40))
def test_no_length_of_another_piece_hides_a_field_beside_the_properties(spare, tmp_path):
    """The first has a number that DuckDB writes in more letters, the second a field that makes up for it."""
    sent = [b'"v":1e20}', b'"v":1},"%s":2' % (b"k" * (spare - 6))]
    texts = [b'{"event":"a","properties":{"time":%d,%s}\n' % (NOON, each) for each in sent]
    pieces = [EventPiece(0, FIRST, FIRST, ASKED, text) for text in texts]
    with md.ProfileStore(str(tmp_path / "events.duckdb")) as store, closing(store.events()) as events:
        with events.fetching(SPEC), events.writer(SPEC) as sink:
            stored(sink, [*pieces, EventPiece(0, FIRST, FIRST, ASKED, ends=True)], [False, False, True])
        with store.reader()() as connection:
            rows = connection.execute("SELECT properties FROM events").fetchall()
    assert sum("kk" in text for (text,) in rows) == 1
