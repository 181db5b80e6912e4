"""``MixpanelClient.export_events``: the events of a stream, all of them or an error behind those that came."""

import json
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from events.exporting import client_for, counted, exported, exporting
from helpers import wait_until
from mixpanel_duckdb.events import DayRange, EventQuery, whole_lines
from mixpanel_duckdb.http import FetchControl
from mixpanel_duckdb.http.body import unpacked_as_it_comes
from mixpanel_duckdb.simulator import EventFault, EventPopulation, Limits, RawExport, Simulator
from mixpanel_duckdb.simulator.endings import packed
from mixpanel_duckdb.simulator.event_switches import EventBehaviour

FIRST, LAST = "2026-01-01", "2026-01-03"
POPULATION = EventPopulation(FIRST, LAST, 200, odd=2)
ALL = counted(POPULATION.events(FIRST, LAST))


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"chunk": 1},
        {"chunk": 512},
        {"gzip": False},
        {"gzip_members": 5},
        {"gzip_members": 3, "chunk": 7},
        {"line_end": b"\r\n"},
        {"line_end": b"\n\n"},
        {"last_line_end": False},
        {"length": True},
        {"gzip": False, "chunk": 3, "last_line_end": False},
    ],
    ids=str,
)
def test_every_form_of_a_body_gives_the_same_events(switches):
    with exporting(POPULATION, **switches) as sim:
        assert exported(sim, FIRST, LAST) == ALL


def test_days_are_inclusive_and_a_day_without_events_is_an_empty_answer():
    with exporting(POPULATION) as sim:
        assert exported(sim, "2026-01-02", "2026-01-02") == counted(POPULATION.events("2026-01-02", "2026-01-02"))
        assert not exported(sim, "2026-02-01", "2026-02-02")


def test_names_of_events_and_a_limit_reach_the_server():
    with exporting(POPULATION) as sim:
        found = exported(sim, FIRST, LAST, events=["Big", "Ünïcode 🦆"], limit=5)
        assert found.total() == 5
        assert {json.loads(text)["event"] for text in found} == {"Big", "Ünïcode 🦆"}
        (asked,) = [each.params for each in sim.requests]
        assert asked["project_id"] == "1"
        assert "workspace_id" not in asked


ENDINGS = [
    *(EventFault("text", text=text, rows=rows, glued=glued)
      for text in ("terminated early", "export terminated early", "error completing export request", '{"error":')
      for rows, glued in ((0, False), (5, False), (5, True))),
    EventFault("cut_row"), EventFault("cut_row", rows=0), EventFault("missing_chunk"), EventFault("cut_gzip"),
    EventFault("flipped_byte"), EventFault("reset", rows=50), EventFault("missing_chunk", rows=0),
]  # fmt: skip


@pytest.mark.parametrize("fault", ENDINGS, ids=lambda each: f"{each.kind} {each.text} {each.rows} {each.glued}")
@pytest.mark.parametrize("zipped", [True, False])
def test_no_stream_that_breaks_off_passes_for_a_whole_one(fault, zipped):
    if not zipped and fault.kind in ("cut_gzip", "flipped_byte"):
        pytest.skip("nothing is packed")
    with exporting(POPULATION, fault, gzip=zipped) as sim, client_for(sim) as client:
        came = []
        with pytest.raises((md.UnreadableAnswerError, md.ConnectionFailedError)) as caught:
            came.extend(client.export_events(FIRST, LAST))
        assert caught.value.retryable
        assert str(caught.value).startswith("2026-01-01 to 2026-01-03: ")
        assert not counted(came) - ALL


def test_the_error_says_what_the_server_said():
    cut = EventFault("text", text="export terminated early")
    with exporting(POPULATION, cut) as sim, pytest.raises(md.UnreadableAnswerError, match="terminated early"):
        exported(sim, FIRST, LAST)


def test_what_fails_before_the_stream_begins_is_asked_for_again():
    faults = [EventFault("status", status=502), EventFault("status", status=429, text="slow down")]
    with exporting(POPULATION, *faults) as sim:
        assert exported(sim, FIRST, LAST) == ALL
        assert [each.status for each in sim.requests] == [502, 429, 200]


@pytest.mark.parametrize(
    ("status", "error"), [(401, md.CredentialsError), (402, md.RequestRejectedError), (400, md.RequestRejectedError)]
)
def test_a_refusal_is_raised_at_once(status, error):
    with exporting(POPULATION, EventFault("status", status=status, text="no", times=None)) as sim:
        with pytest.raises(error):
            exported(sim, FIRST, LAST)
        assert len(sim.requests) == 1


def test_leaving_the_loop_ends_the_request():
    with exporting(EventPopulation(FIRST, LAST, 100_000), per_event=0.0001) as sim, client_for(sim) as client:
        for _ in client.export_events(FIRST, LAST):
            break
        assert next(client.export_events("2026-01-02", "2026-01-02"))["event"]


def test_a_stop_cuts_a_stream_that_says_nothing_within_a_second(at_most):
    with exporting(POPULATION, EventFault("stall")) as sim, client_for(sim) as client:
        control, ended = FetchControl(), []

        def read():
            try:  # it may be stopped before the server's answer begins, too
                with client.event_reader.pieces(EventQuery.of(FIRST, LAST), control) as pieces:
                    list(pieces)
            except md.MixpanelError:
                ended.append(time.monotonic())

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: sim.events.faults.played)
        control.stop.ask()
        asked = time.monotonic()
        client.abort()
        reader.join(10)
        assert ended
        assert ended[0] - asked < at_most(1.0)


def test_the_limits_are_kept_before_anything_is_refused():
    export = RawExport(EventPopulation(FIRST, LAST, 2), limits=Limits(quota=60))
    with Simulator(events=export) as sim, client_for(sim, paced=True) as client:
        for _ in range(5):
            assert len(list(client.export_events(FIRST, FIRST))) == 2
        assert [each.status for each in sim.requests] == [200] * 5
        assert client.event_reader.limiter.left == 55


@pytest.mark.parametrize(
    "arguments",
    [("2026-01-02", "2026-01-01"), ("yesterday", "2026-01-01"), ("2026-1-1", "2026-01-02"), (None, "2026-01-01")],
)
def test_wrong_dates_are_refused_before_anything_is_sent(arguments):
    with exporting(POPULATION) as sim, client_for(sim) as client:
        with pytest.raises(md.QueryError):
            list(client.export_events(*arguments))
        assert not sim.requests


@pytest.mark.parametrize(
    "filters",
    [
        {"events": "Login"},
        {"events": []},
        {"events": [1]},
        {"events": ["a", "\udcff"]},
        {"where": ""},
        {"where": "\ud800"},
        {"limit": 0},
    ],
)
def test_wrong_filters_are_refused(filters):
    with exporting(POPULATION) as sim, client_for(sim) as client, pytest.raises(md.QueryError):
        list(client.export_events(FIRST, LAST, **filters))


@given(
    texts=st.lists(st.text(alphabet="a\u2028\u2029\u0085é🦆\x0b\x0c", max_size=8), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    size=st.integers(1, 200),
    closed=st.booleans(),
)
def test_lines_are_the_same_wherever_the_stream_is_cut(texts, cuts, size, closed):
    lines = [json.dumps({"event": text, "properties": {}}, ensure_ascii=False).encode() for text in texts]
    stream = b"\n".join(lines) + (b"\n" if closed and lines else b"")
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(bounds)]
    whole = list(whole_lines(pieces, "a day", size=size))
    assert all(piece.endswith(b"\n") for piece in whole)
    assert b"".join(whole).split(b"\n")[:-1] == lines


def test_a_line_that_is_longer_than_a_piece_is_joined_once():
    text = b'{"event":"a","properties":{"v":"' + b"v" * 24_000_000 + b'"}}'
    pieces = [text[start : start + 1000] for start in range(0, len(text), 1000)]
    began = time.process_time()
    assert list(whole_lines(pieces, "a day", size=1000)) == [text + b"\n"]
    assert time.process_time() - began < 10.0


def test_a_line_that_does_not_end_is_given_up():
    with pytest.raises(md.UnreadableAnswerError, match="more than 64,000,000 bytes"):
        list(whole_lines(iter([b"a\n", *[b"v" * 1_000_000] * 70]), "a day"))


@given(
    texts=st.lists(st.binary(max_size=300), max_size=6),
    members=st.integers(1, 4),
    step=st.integers(1, 60),
    cut=st.integers(1, 8),
)
def test_packed_streams_unpack_wherever_they_are_cut_and_never_without_their_trailer(texts, members, step, cut):
    body = b"".join(packed(iter(texts), EventBehaviour(gzip_members=members)))
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    assert b"".join(unpacked_as_it_comes(chunks)) == b"".join(texts)
    with pytest.raises(Exception, match=r"incomplete|truncated"):
        list(unpacked_as_it_comes([body[:-cut]]))


def test_a_range_of_days_is_cut_in_two():
    days = EventQuery.of("2026-02-27", "2026-03-03").days
    assert [str(half) for half in days.halves()] == ["2026-02-27 to 2026-02-28", "2026-03-01 to 2026-03-03"]
    assert [day for half in days.halves() for day in half] == list(days)
    assert isinstance(days, DayRange)
