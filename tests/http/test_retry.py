"""The decision to ask again: a pure function of attempt and error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import (
    ConnectionFailedError,
    CredentialsError,
    QueryError,
    RequestRejectedError,
    RetryPolicy,
    ServerError,
    SessionLostError,
    StorageError,
    UnreadableAnswerError,
)  # fmt: skip

RETRYABLE = [ServerError("500"), ConnectionFailedError("reset"), UnreadableAnswerError("cut")]
FINAL = [
    RequestRejectedError("400"),
    SessionLostError("400"),
    CredentialsError("401"),
    QueryError("x"),
    StorageError("x"),
]


@pytest.mark.parametrize("error", RETRYABLE, ids=lambda error: type(error).__name__)
def test_what_another_try_may_cure_is_asked_again_after_longer_and_longer_waits(error):
    policy = RetryPolicy(attempts=8, jitter=0.0)
    assert [policy.delay(attempt, error) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, None]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_what_no_other_try_can_cure_is_given_up_at_once(error):
    assert RetryPolicy().delay(1, error) is None


@pytest.mark.parametrize(("asked", "waits"), [(None, 0.5), (0.0, 0.5), (0.2, 0.5), (7.0, 7.0), (3600.0, 30.0)])
def test_the_server_may_ask_for_longer_up_to_a_limit(asked, waits):
    assert RetryPolicy(jitter=0.0).delay(1, ServerError("503", retry_after=asked)) == waits


def test_one_attempt_means_no_second():
    assert RetryPolicy(attempts=1).delay(1, ServerError("500")) is None


@given(attempt=st.integers(1, 5000), draw=st.floats(0, 1, exclude_max=True), jitter=st.floats(0, 1))
def test_a_wait_is_never_negative_nor_longer_than_the_longest(attempt, draw, jitter):
    policy = RetryPolicy(attempts=6000, jitter=jitter, draw=lambda: draw)
    waits = policy.delay(attempt, ServerError("500"))
    assert 0 <= waits <= policy.longest_delay
    assert waits == policy.delay(attempt, ServerError("500"))


def test_the_default_gives_a_page_up_in_about_eight_seconds():
    policy = RetryPolicy(draw=lambda: 0.0)
    waits = [policy.delay(attempt, ServerError("500")) for attempt in range(1, 6)]
    assert waits[-1] is None
    assert sum(waits[:-1]) == 7.5
