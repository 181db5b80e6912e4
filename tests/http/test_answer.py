"""From status, headers and text to the error that they mean (the texts are those that clients have seen)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import (
    CredentialsError,
    MixpanelError,
    RateLimitError,
    RequestRejectedError,
    ServerError,
    SessionLostError,
    UnreadableAnswerError,
)  # fmt: skip
from mixpanel_duckdb import errors as tree
from mixpanel_duckdb.http.answer import error_for, server_words

HOUR = "This request exceeded the rate limit (61/60 queries running in the last hour)."
TABLE = [
    (400, "must have session_id when requesting page > 0", RequestRejectedError),
    (400, "request for page in uncached query for params", SessionLostError),
    (400, "Invalid parameter: filter_by_cohort", RequestRejectedError),
    (400, "Unable to authenticate request", CredentialsError),
    (400, "Query rate limit exceeded for project_id: 1. 1/5 queries running concurrently", RateLimitError),
    (401, f"Query rate limit exceeded for project_id: 1. {HOUR}", RateLimitError),
    (401, "Not a valid service account username", CredentialsError),
    (402, "Your account is blocked because payment is required.", RequestRejectedError),
    (403, "not a project member", CredentialsError),
    (404, "", RequestRejectedError),
    (407, "Proxy Authentication Required", CredentialsError),
    (408, "Request Timeout", ServerError),
    (413, "too large", RequestRejectedError),
    (425, "Too Early", ServerError),
    (429, "", RateLimitError),
    (429, f"Query rate limit exceeded for project_id: 1. {HOUR}", RateLimitError),
    (500, "unknown error", ServerError),
    (502, "Bad Gateway", ServerError),
    (503, "", ServerError),
    (504, "timed out", ServerError),
    *((status, "Conflict, try again", ServerError) for status in (409, 421, 423, 424, 449, 460, 499)),
    *((status, "no use", RequestRejectedError) for status in (405, 406, 410, 412, 414, 422, 431, 451)),
    *((status, "Moved", RequestRejectedError) for status in (301, 302, 303, 307, 308)),
    *((status, "", UnreadableAnswerError) for status in (201, 202, 203, 204, 206, 226, 300, 304, 305)),
]


@pytest.mark.parametrize("form", ["json", "text", "html"])
@pytest.mark.parametrize(("status", "text", "kind"), TABLE, ids=lambda value: str(value)[:30])
def test_each_answer_is_the_error_that_it_means(status, text, kind, form):
    body = {
        "json": json.dumps({"request": "/api/query/engage?project_id=1", "error": text}),
        "text": text,
        "html": f"<html>\n<h1>{text}</h1></html>",
    }[form].encode()
    error = error_for(status, {}, body, 3)
    assert type(error) is kind
    assert (error.status, error.page) == (status, 3)
    assert text in str(error)
    assert text in (error.server_text or "")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("headers", "text", "kind", "wait"),
    [
        ({"ratelimit": '"project";r=0;t=3600, "project-concurrency";r=3', "retry-after": "3600"}, "", "quota", 3600.0),
        ({"ratelimit": '"project";r=12, "project-concurrency";r=0;t=10'}, "", "concurrency", 10.0),
        ({}, HOUR, "quota", None),
        ({}, "concurrency limit (6/5 queries running concurrently)", "concurrency", None),
        ({"retry-after": "7"}, "", "shedding", 7.0),
        ({"retry-after": "soon"}, "", "shedding", None),
    ],
)
def test_a_429_says_which_limit_and_how_long(headers, text, kind, wait):
    error = error_for(429, headers, json.dumps({"error": text}).encode(), 0)
    assert (error.kind, error.retry_after, error.retryable) == (kind, wait, True)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"error":"Invalid parameter: where"}', 2),
        (400, b' {"request":"/api/query/engage","error":"any words"}', 2),
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", 1),
        (400, b"", 1),
        (400, b'{"error":"request for page in uncached query for params"}', 1),
        (400, b'{"error":"Unable to authenticate request"}', 3),
        (404, b'{"error":"no such path"}', 1),
    ],
)
def test_a_400_in_the_servers_own_form_is_a_filter_that_is_wrong(status, body, code):
    assert error_for(status, {}, body, 0).exit_code == code


def test_a_server_that_fails_may_say_when_to_come_back():
    assert error_for(503, {"retry-after": "12"}, b"", 0).retry_after == 12.0


PAGE = b'{"page":0,"results":[{"$distinct_id":"ana","$properties":{"$email":"ana@example.org"}}],"total":1}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"why"}', "why"),
        (b'\xef\xbb\xbf{"error":"two\n lines \x00"}', r"two lines \x00"),
        (b'{"error":{"code":1}}', '{"code": 1}'),
        (b'{"error":' + b"[" * 900 + b"]" * 900 + b"}", "[" * 500),
        (b'{"error":true}', "true"),
        (b'{"error":""}', ""),
        (b'{"error":[]}', ""),
        (b'{"error":"' + b"x" * 9000 + b'"}', "x" * 500),
        (b'{"status":"ok"}', ""),
        (b"", ""),
        (b"  two\n lines ", "two lines"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 9000, ""),
        (b"[" * 900_000, ""),
        (b'{"error":' + b"9" * 5000 + b"}", ""),
        (b'"text"', "text"),
        (PAGE, ""),
        (PAGE[:60], ""),
        (PAGE[20:], ""),
        (b"[" + PAGE + b"]", ""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_servers_words_are_found_in_anything_and_never_in_profiles(body, words):
    assert server_words(body) == words


bodies = (
    st.binary(max_size=80)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=8).map(
        lambda error: json.dumps({"error": error}).encode()
    )
    | st.integers(0, len(PAGE)).map(lambda end: PAGE[:end])
)


@given(st.integers(100, 999).filter(lambda status: status != 200), bodies, st.sampled_from(["", "5", "x", "1e999"]))
def test_any_status_with_any_body_is_one_error_without_profiles(status, body, wait):
    error = error_for(status, {"retry-after": wait}, body, 7)
    assert (error.status, error.page) == (status, 7)
    assert str(error).startswith(f"Page 7: status {status}: ")
    assert "ana" not in str(error.to_dict())
    assert len(str(error)) < 700
    str(error).encode()


@pytest.mark.parametrize("status", range(400, 500))
def test_a_4xx_is_asked_again_unless_it_is_one_that_no_other_try_can_cure(status):
    final = {400, 401, 402, 403, 404, 405, 406, 407, *range(410, 418), 422, 426, 428, 431, 451}
    assert error_for(status, {}, b"", 0).retryable == (status not in final)


def test_long_words_are_shortened_and_told_as_plain_values():
    error = error_for(500, {}, json.dumps({"error": "x" * 5000}).encode(), 2)
    assert len(error.server_text) == 500
    told = json.loads(json.dumps(error.to_dict()))
    assert set(told) == {"code", "message", "retryable", "status", "server_text", "page", "retry_after"}
    assert (told["code"], told["retryable"], told["page"]) == ("server", True, 2)


def test_every_error_has_a_code_of_its_own_and_is_drawn_in_the_tree():
    kinds = [getattr(tree, name) for name in tree.__all__]
    assert all(issubclass(kind, MixpanelError) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.__name__ in tree.__doc__ for kind in kinds)
    assert {kind.exit_code for kind in kinds} <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<h1>502 Bad Gateway</h1><hr>nginx</body></html>",
         "502 Bad Gateway nginx"),
        ("<!DOCTYPE html><HTML lang=en><TITLE >\n  Just a\n moment...\n</TITLE><script>if (a < b) {}</script>",
         "Just a moment..."),
        ("<html><title></title><h1 class='x'>Service &amp; more</h1><p>gone</p></html>", "Service & more gone"),
        ("<html><style>p { color: red }</style><p>The upstream <b>is</b> gone.</p></html>", "The upstream is gone."),
        ("<", "<"),
        ("<html", "<html"),
        ("<html></html>", "<html></html>"),
    ],
)  # fmt: skip
def test_of_a_gateways_html_an_error_has_one_line(body, words):
    assert server_words(body.encode()) == words
    assert len(server_words(f"<p>{'word ' * 500}</p>".encode())) <= 300
