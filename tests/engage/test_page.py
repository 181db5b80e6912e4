"""Bodies: what is read around the rows, what is refused, and how a large one is cut in pieces."""

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_duckdb import RateLimitError, ServerError, SessionLostError, UnreadableAnswerError
from mixpanel_duckdb.engage.page import EngagePage, page_count, pieces
from mixpanel_duckdb.store.pages.sql import FAST
from mixpanel_duckdb.store.pages.stage import UNREADABLE

BODY = (
    b'{"page":0,"page_size":2,"results":[{"$distinct_id":"a","$properties":{"t":[1,[2]],"s":"]}"}},'
    b'{"$distinct_id":"b","$properties":{"results":[{"$distinct_id":"x"},{"$distinct_id":"y"}]}}],'
    b'"session_id":"1-a","status":"ok","total":2}'
)
ROWS = [("a", '{"t":[1,[2]],"s":"]}"}'), ("b", '{"results":[{"$distinct_id":"x"},{"$distinct_id":"y"}]}')]


@pytest.fixture(scope="module")
def parser():
    with duckdb.connect() as connection:
        yield lambda body: parse(connection, body)


def parse(connection, rows):
    """The rows that DuckDB takes from a list of them, or None where it refuses."""
    try:
        found = connection.execute(FAST, [[0], [rows]]).fetchall()
    except UNREADABLE:
        return None
    return [(json.loads(distinct_id or "null"), properties) for _, distinct_id, _, properties, _ in found]


def test_the_fields_around_the_rows_are_read():
    page = EngagePage.from_body(0, BODY)
    assert (page.page, page.page_size, page.session_id, page.total) == (0, 2, "1-a", 2)
    assert page.row_count() == 2
    assert page.answer() == json.loads(BODY)


@pytest.mark.parametrize(
    ("body", "total", "session"),
    [
        (b'{"results":[]}', None, None),
        (b'{"results":[],"total":null,"session_id":null}', None, None),
        (b'{"results":[],"total":0,"session_id":""}', 0, None),
        (b'{"results":[],"total":"5","session_id":12}', 5, "12"),
        (b'{"results":[],"total":true}', None, None),
        (b'{"results":[],"total":-1}', None, None),
        (b'{"results":[],"total":5.0}', 5, None),
        (b'{"results":[{"$distinct_id":"a"}],"total":1,"session_id":"s","tags":[]}', 1, "s"),
        (b'{"total":1,"results":[{"$distinct_id":"a"}],"session_id":"s","tags":[]}', 1, "s"),
        (b'{"tags":[[1]],"total":1,"session_id":"s","results":[{"$distinct_id":"a\\ud800"}]}', 1, "s"),
        (b'\xef\xbb\xbf{"results":[{"$distinct_id":"\xff\x01"}],"total":1}', 1, None),
        (b' { "results" : [ ] , "total" : 3 } ', 3, None),
    ],
)
def test_odd_heads_are_read_without_guessing(body, total, session):
    page = EngagePage.from_body(0, body)
    assert (page.total, page.session_id) == (total, session)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b'"results"',
        b"{}",
        b'{"results":null}',
        b'{"results":{}}',
        b'{"status":"ok"}',
        b"<html>502 Bad Gateway</html>",
        b'{"results":[',
        b'{"results":[]',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda body: str(body[:30]),
)
def test_what_is_not_a_page_is_refused(body):
    for index in (0, 3):
        with pytest.raises(UnreadableAnswerError) as caught:
            EngagePage.from_body(index, body)
        assert caught.value.page == index
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("unknown error", ServerError),
        ("Query rate limit exceeded for project_id: 1", RateLimitError),
        ("request for page in uncached query for params", SessionLostError),
    ],
)
def test_an_error_under_status_200_is_an_error(text, kind):
    with pytest.raises(kind, match=text) as caught:
        EngagePage.from_body(2, json.dumps({"request": "/api", "error": text}).encode())
    assert (caught.value.status, caught.value.page) == (200, 2)


@pytest.mark.parametrize("index", [0, 1])
def test_a_cut_body_is_refused(index):
    for end in range(len(BODY)):
        with pytest.raises(UnreadableAnswerError):
            EngagePage.from_body(index, BODY[:end])


def test_duckdb_reads_the_list_that_was_taken_for_the_results(parser):
    assert parser(EngagePage.from_body(0, BODY).rows) == ROWS
    extra = BODY.replace(b'"status"', b'"gone":[{"$distinct_id":"y"}],"status"')
    assert parser(EngagePage.from_body(1, extra).rows) == ROWS


def test_decoded_answers_become_the_same_page():
    assert EngagePage.from_answer(0, json.loads(BODY)) == EngagePage.from_body(
        0, json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    )
    page = EngagePage.from_body(1, BODY)
    assert EngagePage.from_answer(1, page) is page


@pytest.mark.parametrize("answer", [None, [], "text", {"results": [{1}]}, {"results": None}], ids=repr)
def test_an_answer_that_is_no_page_is_refused(answer):
    with pytest.raises(UnreadableAnswerError, match="Page 4"):
        EngagePage.from_answer(4, answer)


def test_a_dict_that_holds_itself_is_refused():
    answer = {"results": []}
    answer["results"].append(answer)
    with pytest.raises(UnreadableAnswerError, match="JSON cannot hold"):
        EngagePage.from_answer(0, answer)


@pytest.mark.parametrize(
    ("total", "size", "count"),
    [(0, 1000, 1), (1, 1000, 1), (1000, 1000, 1), (1001, 1000, 2), (5, 1, 5), (10**9, 7, 142857143)],
)
def test_pages_are_counted_from_total_and_size(total, size, count):
    assert page_count(total, size) == count


texts = st.text(st.sampled_from('ab"\\}{][,:$ \n\u2028é😀'), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts | st.just("$distinct_id"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.just("$distinct_id"), inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"$distinct_id": inner, "x": inner}), max_size=3)
    ),
    max_leaves=12,
)
profiles = st.fixed_dictionaries({"$distinct_id": texts, "$properties": st.dictionaries(texts, values, max_size=4)})


@settings(max_examples=60)
@given(
    rows=st.lists(profiles, max_size=8),
    size=st.integers(1, 400),
    ascii_only=st.booleans(),
    spaced=st.booleans(),
    around=st.dictionaries(st.sampled_from(["page", "total", "session_id", "tags"]), st.just([1]), max_size=3),
)
def test_the_pieces_of_a_body_hold_the_same_rows_or_are_refused(parser, rows, size, ascii_only, spaced, around):
    answer = {**around, "results": rows, "status": "ok"}
    body = json.dumps(answer, ensure_ascii=ascii_only, separators=(" , ", " : ") if spaced else (",", ":")).encode()
    whole = EngagePage.from_body(1, body).rows
    parts = [parser(part) for part in pieces(whole, size)]
    if None not in parts:
        assert [row for part in parts for row in part] == parser(whole)


def test_pieces_are_about_the_size_that_was_asked_for():
    rows = [{"$distinct_id": str(index), "$properties": {"text": "x" * 1000}} for index in range(100)]
    parts = list(pieces(memoryview(json.dumps(rows).encode()), 10_000))
    assert len(parts) == 10
    assert all(len(part) < 12_000 for part in parts)
