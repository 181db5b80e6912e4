"""Bodies as they come through HTTP: packed by gzip, rightly or wrongly, or by something else."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import ConfigurationError, Credentials, MixpanelClient, UnreadableAnswerError
from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.http.transport import Transport

BODY = b'{"results":[' + b",".join(b'{"$distinct_id":"%d"}' % number for number in range(300)) + b"]}"
PACKED = gzip.compress(BODY)
CREDENTIALS = Credentials(username="u", secret="s", project_id="1")


class Pieces(httpx.SyncByteStream):
    """An answer's bytes as a network brings them: in pieces, once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield from (self._content[: len(self._content) // 3], self._content[len(self._content) // 3 :])


def received(content: bytes, coding: str, **client: object) -> bytes:
    answer = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"Content-Encoding": coding}, stream=Pieces(content))
    )
    with httpx.Client(transport=answer, **client) as http:
        return Transport("http://127.0.0.1", CREDENTIALS, http_client=http).post({}, 3, FetchControl()).body


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
    ],
)
def test_other_codings_and_what_stands_behind_the_stream_change_nothing(content, coding):
    assert received(content, coding) == BODY


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
