"""Bodies as they come through HTTP: packed by gzip, rightly or wrongly, or by something else; too large; too slow."""

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from helpers import PAGE, client_of
from mixpanel_duckdb import (
    ConfigurationError,
    ConnectionFailedError,
    Credentials,
    MixpanelClient,
    UnreadableAnswerError,
)  # fmt: skip
from mixpanel_duckdb.http import body as whole
from mixpanel_duckdb.http.body import AnswerBounds
from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.http.transport import Transport
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

BODY = b'{"results":[' + b",".join(b'{"$distinct_id":"%d"}' % number for number in range(300)) + b"]}"
PACKED = gzip.compress(BODY)
ZEROS = bytes(40_000_000)
CREDENTIALS = Credentials(username="u", secret="s", project_id="1")


class Pieces(httpx.SyncByteStream):
    """An answer's bytes as a network brings them: in pieces, once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield from (self._content[: len(self._content) // 3], self._content[len(self._content) // 3 :])


def received(content: bytes, coding: str, bounds: AnswerBounds | None = None, **client: object) -> bytes:
    answer = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"Content-Encoding": coding}, stream=Pieces(content))
    )
    with httpx.Client(transport=answer, **client) as http:
        transport = Transport("http://127.0.0.1", CREDENTIALS, http_client=http, bounds=bounds)
        return transport.post({}, 3, FetchControl()).body


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(1, 9))
def test_gzip_gives_back_every_byte_however_well_it_packs(text, times, level):
    assert received(gzip.compress(text * times, level), "gzip") == text * times


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (BODY, "identity"),
        (PACKED, "GZIP"),
        (PACKED, " gzip "),
        (PACKED, "gzip, identity"),
        (gzip.compress(PACKED), "gzip, gzip"),
        (zlib.compress(BODY), "deflate"),
        (PACKED + bytes(50), "gzip"),
        (PACKED + b"what a proxy adds", "gzip"),
        (PACKED, "x-gzip"),
        (PACKED, " X-GZIP ,"),
        (PACKED, "identity, x-gzip"),
        (gzip.compress(PACKED), "x-gzip, gzip"),
        (b"", "gzip"),
    ],
)
def test_other_codings_and_what_stands_behind_the_stream_change_nothing(content, coding):
    assert received(content, coding) == (BODY if content else b"")


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 9))
def test_a_gzip_body_of_several_members_is_read_to_its_end(members, padding, level):
    packed = bytes(padding).join(gzip.compress(member, level) for member in members)
    assert received(packed + bytes(padding), "gzip") == b"".join(members)


@given(st.binary(max_size=200), st.integers(1, 90_000), st.integers(0, 9))
def test_piece_by_piece_a_body_is_the_same(text, times, level):
    """What may be larger than agreed is unpacked in pieces: here with bounds that are just wide enough."""
    packed = gzip.compress(text * times, level)
    bounds = AnswerBounds(max_body_bytes=max(len(packed), len(text) * times))
    assert received(packed, "gzip", bounds) == text * times


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 30])
def test_a_second_member_that_is_cut_is_an_error_as_a_first_one_is(cut):
    with pytest.raises(UnreadableAnswerError, match="could not be decompressed"):
        received(PACKED + PACKED[:-cut], "gzip")


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:-1],
        PACKED[:-8],
        PACKED[: len(PACKED) // 2],
        PACKED[:5],
        PACKED[:-4] + bytes(4),
        PACKED[:-4] + b"\xff\xff\xff\xff",
        PACKED[:-8] + b"\x01\x02\x03\x04" + PACKED[-4:],
        BODY,
    ],
    ids=["1 short", "8 short", "half", "head", "length 0", "length 4 GB", "checksum", "not packed"],
)
def test_a_damaged_gzip_body_is_one_error_that_another_try_may_cure(content):
    with pytest.raises(UnreadableAnswerError, match="Page 3: the body could not be decompressed") as caught:
        received(content, "gzip")
    assert caught.value.retryable


def test_a_length_that_lies_takes_no_gigabytes():
    noise = bytes(range(256)) * 4000
    tracemalloc.start()
    try:
        assert received(gzip.compress(noise, 0) + b"\xff\xff\xff\xff", "gzip") == noise
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (gzip.compress(ZEROS), "gzip"),
        (gzip.compress(gzip.compress(ZEROS)), "gzip, gzip"),
        (gzip.compress(ZEROS[:1_900_000]) * 20, "gzip"),
        (zlib.compress(ZEROS), "deflate"),
    ],
    ids=["gzip", "twice", "members", "deflate"],
)
def test_what_unpacks_to_more_than_agreed_is_refused_and_never_held(content, coding):
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableAnswerError, match=r"Page 3: .* larger than 2,000,000 bytes \(max_body_bytes\)"):
            received(content, coding, AnswerBounds(max_body_bytes=2_000_000))
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("hooks", [{}, {"response": [lambda response: response.read()]}], ids=["stream", "hook"])
def test_a_plain_body_beyond_the_bound_is_refused_too(hooks):
    with pytest.raises(UnreadableAnswerError, match="max_body_bytes"):
        received(BODY, "identity", AnswerBounds(max_body_bytes=100), event_hooks=hooks)
    assert received(BODY, "identity", AnswerBounds(max_body_bytes=len(BODY)), event_hooks=hooks) == BODY


@pytest.mark.parametrize("name", ["max_body_bytes", "answer_timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", None, True])
def test_a_bound_that_is_no_positive_number_is_refused_by_its_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        MixpanelClient(CREDENTIALS, **{name: value})


def test_an_answer_that_drips_ends_at_the_deadline_however_steadily(monkeypatch):
    class Drip(httpx.SyncByteStream):
        sent = 0

        def __iter__(self) -> Iterator[bytes]:
            for self.sent in range(1000):
                now[0] += 0.4
                yield b"x"

    now, drip = [0.0], Drip()
    monkeypatch.setattr(whole.time, "monotonic", lambda: now[0])
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=drip))) as http:
        transport = Transport("http://127.0.0.1", CREDENTIALS, http_client=http, bounds=AnswerBounds(timeout=10.0))
        with pytest.raises(ConnectionFailedError, match=r"Page 3: .* not whole after 10 s \(answer_timeout"):
            transport.post({}, 3, FetchControl())
    assert drip.sent <= 25


def test_a_server_that_says_nothing_is_not_waited_for_beyond_the_deadline(at_most):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        bounds, started = AnswerBounds(timeout=0.2), time.monotonic()
        for options in ({}, {"http_client": httpx.Client(timeout=None)}):
            transport = Transport(url, CREDENTIALS, bounds=bounds, **options)
            with pytest.raises(ConnectionFailedError):
                transport.post({}, 3, FetchControl())
            for client in (transport, *options.values()):
                client.close()
        assert time.monotonic() - started < at_most(5.0)


def test_a_page_that_drips_past_the_deadline_is_asked_for_again(database):
    people = Population(PAGE * 3, seed=3)
    drip = Fault("slow", page=1, seconds=60.0)
    with (
        Simulator(people, limits=Limits(quota=None), faults=[drip]) as sim,
        client_of(sim, answer_timeout=1.0) as client,
    ):
        result = md.fetch_profiles(database, client=client, page_size=PAGE)
    assert result.is_complete
    assert result.requests >= 4


@pytest.mark.parametrize(
    ("error", "reached", "away"),
    [
        (httpx.ConnectError, False, True),
        (httpx.ConnectTimeout, False, True),
        (httpx.ReadError, True, True),
        (httpx.WriteError, True, True),
        (httpx.ReadTimeout, True, False),
        (httpx.RemoteProtocolError, True, False),
    ],
)
def test_no_answer_tells_whether_the_server_was_reached_and_whether_it_may_be_away(error, reached, away):
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("gone")

    with httpx.Client(transport=httpx.MockTransport(fail)) as http, pytest.raises(ConnectionFailedError) as caught:
        Transport("http://127.0.0.1", CREDENTIALS, http_client=http).post({}, 3, FetchControl())
    assert (caught.value.reached, caught.value.away) == (reached, away)


def test_brotli_and_zstandard_are_offered_and_read_where_httpx_can():
    brotli, zstandard = pytest.importorskip("brotli"), pytest.importorskip("zstandard")
    assert received(brotli.compress(BODY), "br") == BODY
    assert received(zstandard.compress(BODY), "zstd") == BODY
    with httpx.Client() as client:
        assert {"br", "zstd"} <= set(client.headers["Accept-Encoding"].split(", "))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_hook_of_the_callers_client_may_read_the_answer_first(coding):
    def look(response: httpx.Response) -> None:
        response.read()

    content = PACKED if coding == "gzip" else zlib.compress(BODY)
    assert received(content, coding, event_hooks={"response": [look]}) == BODY


def test_a_client_that_was_closed_is_told_in_one_sentence():
    client = MixpanelClient(Credentials(token="t", project_id="1"), base_url="http://127.0.0.1:9")
    client.close()
    for ask in (lambda: client.query_engage_page(0), lambda: next(client.export_profiles())):
        with pytest.raises(ConfigurationError, match=r"closed\. Make a new one\.$"):
            ask()
