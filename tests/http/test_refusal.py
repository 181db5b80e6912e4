"""What a refusal says, in whatever form: a wait that is finite, not negative and a day at most, or none."""

import logging
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.http.rate_limit import RateLimiter
from mixpanel_duckdb.http.refusal import LONGEST_WAIT, LimitHit, parse_retry_after, read_limit

NOW = datetime.fromtimestamp(1_790_000_000, UTC)
DAY = 86_400.0


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("86400", DAY),
        ("86401", DAY),
        ("1790000060", 60.0),
        ("1790000060.5", 60.5),
        ("1790000060000", 60.0),
        ("1790000060000000", 60.0),
        ("1789990000", 0.0),
        ("1790600000", DAY),
        ("999999999", DAY),
        ("99999999999999999999", DAY),
        ("9" * 400, None),
        ("1e300", None),
        ("1_0", None),
        ("-5", None),
        ("+5", None),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("\u0661\u0662", None),
        ("0x10", None),
        ("", None),
        ("soon", None),
        ((NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90.0),
        ((NOW + timedelta(seconds=90)).isoformat(), 90.0),
        ("2026-09-21T14:14:20Z", 60.0),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Mon, 01 Jan 2026 00:00:00 +9999999999999999", None),
        ("99999999999999999999 GMT", None),
    ],
)
def test_a_wait_is_read_from_seconds_from_moments_and_from_dates(value: str, waits: float | None) -> None:
    found = parse_retry_after(value, now=NOW)
    assert found == waits if waits is None else found == pytest.approx(waits, abs=0.001)


figures = (
    st.integers().map(str)
    | st.floats().map(repr)
    | st.sampled_from(["nan", "-inf", "1e999", "1_0", "-0", "٣", "", '"7"', "9" * 5000, "0." + "9" * 500])
    | st.text(max_size=8)
)
dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Sun", "x"]),
    st.integers(-1, 99),
    st.sampled_from(["Jan", "Dec", "13"]),
    st.integers(-1, 99_999),
    *[st.integers(-1, 99)] * 3,
    st.sampled_from(["GMT", "+9999", "-0000", "EST", ""]) | st.integers().map("{:+}".format),
)


def is_a_wait(seconds: float | None) -> bool:
    return seconds is None or 0 <= seconds <= LONGEST_WAIT


@given(st.none() | figures | dates | st.text())
@example("Mon, 01 Jan 2026 00:00:00 +9999999999999999")
def test_whatever_retry_after_holds_it_is_a_bounded_wait_or_none(value: str | None) -> None:
    assert is_a_wait(parse_retry_after(value))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "ratelimit": st.builds('"project";r={};t={}, "project-concurrency";r={};t={}'.format, *[figures] * 4),
            "ratelimit-policy": st.builds('"project";q={};w={}'.format, figures, figures),
            "retry-after": figures | dates,
        },
    ),
    st.builds("limit ({}/{} queries running in the last hour)".format, figures, figures) | st.text(),
)
def test_any_figure_in_any_header_gives_a_pause_that_ends(headers: dict[str, str], text: str) -> None:
    hit = read_limit(headers, text)
    assert is_a_wait(hit.wait)
    assert hit.window is None or 0 < hit.window <= LONGEST_WAIT
    assert hit.quota is None or hit.quota > 0
    assert_pause_ends(hit)


@given(
    st.builds(LimitHit, st.sampled_from(["quota", "concurrency", "shedding"]), st.floats(), st.just(60), st.just(9.0))
)
def test_any_wait_at_all_gives_a_pause_that_ends(hit: LimitHit) -> None:
    assert_pause_ends(hit)


def assert_pause_ends(hit: LimitHit) -> None:
    """Everybody waits, neither for nothing nor for ever, and then a request goes out."""
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    limiter.hit(hit)
    assert limiter.pause
    assert 0.05 <= limiter.pause.until <= LONGEST_WAIT
    now[0] = limiter.pause.until
    with limiter.slot(FetchControl()):
        assert limiter.in_flight == 1


@pytest.mark.parametrize(
    ("headers", "hit"),
    [
        ({"ratelimit": '"project";r=0;t=nan'}, LimitHit("quota")),
        ({"ratelimit": '"project";r=0;t=-5'}, LimitHit("quota")),
        ({"ratelimit": '"project";r=0;t=inf'}, LimitHit("quota")),
        ({"ratelimit": '"project";r=nan;t=5'}, LimitHit("shedding")),
        ({"ratelimit": '"project";r=0;t=999999'}, LimitHit("quota", DAY)),
        *(
            ({"ratelimit": '"project";r=0;t=5', "ratelimit-policy": f'"project";q={figure};w={figure}'},
             LimitHit("quota", 5.0))
            for figure in ("nan", "inf", "-5", "1e9", "0", "")
        ),
        ({"ratelimit": '"project-concurrency";r=0;t=nan', "retry-after": "nan"}, LimitHit("concurrency")),
    ],
)  # fmt: skip
def test_a_figure_without_sense_counts_as_none(headers: dict[str, str], hit: LimitHit) -> None:
    assert read_limit(headers, "") == hit


@pytest.mark.parametrize("kind", ["quota", "concurrency", "shedding"])
def test_pauses_without_a_figure_grow_to_their_longest_and_stay_there(kind: str) -> None:
    now = [0.0]
    limiter = RateLimiter(clock=lambda: now[0])
    lengths = []
    for _ in range(1100):
        limiter.hit(LimitHit(kind))  # type: ignore[arg-type]
        lengths.append(limiter.pause.until - now[0])  # type: ignore[union-attr]
        now[0] = limiter.pause.until  # type: ignore[union-attr]
    assert lengths == sorted(lengths)
    assert lengths[-1] in (3600.0, 30.0, 60.0)
    assert all(map(math.isfinite, lengths))


def test_a_wait_of_a_day_or_more_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter = RateLimiter(clock=lambda: 0.0)
    with caplog.at_level(logging.WARNING, "mixpanel_duckdb"):
        for _ in range(5):
            limiter.hit(LimitHit("quota", LONGEST_WAIT))
    assert [record.getMessage() for record in caplog.records] == [
        "The server asks to wait for a day or longer; a day is waited, then it is asked again."
    ]
