"""From status, headers and text to the error that they mean (the texts are those that clients have seen)."""

import json

import pytest

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
    (301, "Moved", RequestRejectedError),
    (204, "", UnreadableAnswerError),
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


def test_a_server_that_fails_may_say_when_to_come_back():
    assert error_for(503, {"retry-after": "12"}, b"", 0).retry_after == 12.0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"why"}', "why"),
        (b'{"error":{"code":1}}', "{'code': 1}"),
        (b'{"error":""}', '{"error":""}'),
        (b"", ""),
        (b"  two\n lines ", "two lines"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 9000, "[" * 300),
        (b'"text"', '"text"'),
    ],
)
def test_the_servers_words_are_found_in_anything(body, words):
    assert server_words(body) == words


def test_long_words_are_shortened_and_told_as_plain_values():
    error = error_for(500, {}, json.dumps({"error": "x" * 5000}).encode(), 2)
    assert len(error.server_text) == 500
    told = json.loads(json.dumps(error.to_dict()))
    assert set(told) == {"code", "message", "retryable", "status", "server_text", "page"}
    assert (told["code"], told["retryable"], told["page"]) == ("server", True, 2)


def test_every_error_has_a_code_of_its_own_and_is_drawn_in_the_tree():
    kinds = [getattr(tree, name) for name in tree.__all__]
    assert all(issubclass(kind, MixpanelError) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.__name__ in tree.__doc__ for kind in kinds)
    assert {kind.exit_code for kind in kinds} <= {1, 2, 3, 4, 5}
