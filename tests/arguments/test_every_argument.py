"""Whatever somebody gives for an argument, it is right, or refused in one sentence before anything is done."""

import asyncio
import inspect
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb.arguments import RULES
from mixpanel_duckdb.engage import ProfileFilters
from mixpanel_duckdb.integrations.dlt import mixpanel_profiles
from mixpanel_duckdb.results import EventTypingOptions, TypingOptions
from mixpanel_duckdb.simulator import Population, Simulator


class Unlike:
    """Something that equals nothing and says so loudly, as arrays do."""

    def __eq__(self, _: object) -> bool:
        raise ValueError("The truth value of an array is ambiguous")

    __hash__ = None

    def __repr__(self) -> str:
        return "array([1,\n       2])"


async def coroutine(*_: object) -> None:
    """Nobody would await it."""


class Awaited:
    """Called like a function, and nobody would await it either."""

    async def __call__(self, *_: object) -> None:
        """Not awaited."""


VALUES: dict[str, Any] = {
    "True": True, "None": None, "0": 0, "5": 5, "-1": -1, "2.5": 2.5, "-2.5": -2.5, "nan": math.nan, "inf": math.inf,
    "a huge number": 10**400, "one that Python does not write": 10**5000, "a text": "60",
    "an empty text": "", "half a letter": "\ud800", "a NUL": "a\0b",
    "bytes": b"bytes", "a path": Path("somewhere"), "a path of bytes": type("P", (), {"__fspath__": lambda _: b"x"})(),
    "a list": ["a"], "a dict": {"a": 1}, "a set": {"a"}, "a tuple": (1, 2), "an object": object(),
    "a class": md.MixpanelClient, "a function": lambda *_: None, "a coroutine": coroutine, "an array": Unlike(),
    "an object that is called like a coroutine": Awaited(),
    "a moment": datetime.now(UTC), "a decimal": Decimal(1), "a complex number": 1j, "...": ...,
}  # fmt: skip
ANY_TEXT = {"a text", "an empty text"}
ANY_PATH = {*ANY_TEXT, "half a letter", "a path"}
SECONDS = {"0", "5", "2.5", "inf", "a huge number", "one that Python does not write", "None"}
FUNCTIONS = {"a function", "a class"}
# What of these is right; all the others are not.
RIGHT: dict[str, set[str]] = {
    "table": ANY_TEXT,
    "into": {*ANY_TEXT, "None"},
    "fetch_id": {*ANY_TEXT, "None"},
    "file": ANY_PATH,
    "path": ANY_PATH,
    "database": ANY_PATH,
    "format": {"None"},
    "partition_by": {"a list", "None"},
    "setup": {*ANY_PATH, "None"},
    "if_exists": set(),
    "allow_other": {"True"},
    "allow_shrink": {"True"},
    "keep_history": {"True"},
    "since": {"None", "a moment"},
    "tolerance": {"0", "5", "a huge number", "a text"},
    "parallel": {"True"},
    "resume": {"True"},
    "replace": {"True"},
    "read_only": {"True"},
    "materialize": {"True"},
    "keep_properties": {"True"},
    "event": {*ANY_TEXT, "None"},
    "mostly": {"0", "None"},
    "min_coverage": {"0"},
    "resume_max_age": SECONDS,
    "rate_limit_wait": SECONDS,
    "older_than": SECONDS,
    "max_age": SECONDS,
    "jobs": {*ANY_PATH, "a dict"},
    "from_date": set(),
    "to_date": set(),
    "limit": {"5", "None"},
    "days_per_request": {"5", "a huge number", "None"},
    "refresh_days": {"0", "5", "a huge number"},
    "refetch": {"True"},
    "complete": {"True"},
    "max_workers": {"5", "a huge number", "None"},
    "on_batch_complete": {*FUNCTIONS, "None"},
    "observer": {"None"},
    "progress": {"True", "None"},
    "stop": {"None"},
    "client": {"None"},
    "store": set(),
    "page": {"0", "5", "a huge number"},
    "session_id": {*ANY_TEXT, "None"},
    "credentials": {"None"},
    "base_url": {*ANY_TEXT, "None"},
    "allow_http": {"True"},
    "timeout": SECONDS - {"0"},
    "retry": {"None"},
    "rate_limiter": {"None"},
    "http_client": {"None"},
    "max_body_bytes": {"5", "a huge number"},
    "answer_timeout": SECONDS - {"0", "None"},
    "attempts": {"5", "a huge number"},
    "first_delay": {"0", "5", "2.5"},
    "longest_delay": {"0", "5", "2.5"},
    "jitter": {"0"},
    "draw": FUNCTIONS,
    "max_in_flight": {"5", "a huge number"},
    "clock": FUNCTIONS,
}
# Where None stands for nothing, though it does elsewhere, and the other way round.
NEEDED = {
    ("MixpanelClient", "credentials"),
    ("ParallelProfileFetcher", "client"),
    ("ParallelEventFetcher", "client"),
}
DAYS = {"from_date": "2026-01-01", "to_date": "2026-01-02"}
OPTIONAL = {("forget_fetches", "table"), ("publish_fetch", "if_exists")}


@pytest.fixture(scope="module")
def sim():
    with Simulator(Population(3, seed=1)) as running:
        yield running


@pytest.fixture
def calls(sim, tmp_path, monkeypatch):
    """Every public call, with what it needs."""
    monkeypatch.chdir(tmp_path)
    sim.clear_requests()  # of the tests that went before in this process
    for name, value in sim.environment().items():
        monkeypatch.setenv(name, value)
    who = md.Credentials.from_env()
    with md.MixpanelClient(who) as client, md.ProfileStore() as store:
        fetcher = md.ParallelProfileFetcher(client, store)
        yield {
            "fetch_profiles": (md.fetch_profiles, {"database": "new.duckdb"}),
            "afetch_profiles": (lambda **given: asyncio.run(md.afetch_profiles(**given)), {"database": "new.duckdb"}),
            "afetch_events": (
                lambda **given: asyncio.run(md.afetch_events(**given)),
                {"database": "new.duckdb", **DAYS},
            ),
            "fetch_events": (md.fetch_events, {"database": "new.duckdb", **DAYS}),
            "export_events": (client.export_events, DAYS),
            "ParallelEventFetcher": (md.ParallelEventFetcher, {"client": client, "store": store}),
            "ParallelEventFetcher.fetch_events": (
                md.ParallelEventFetcher(client, store).fetch_events,
                {"table": "events", **DAYS},
            ),
            "plan_fetch": (md.plan_fetch, {}),
            "list_fetches": (md.list_fetches, {"database": "new.duckdb"}),
            "list_event_tables": (md.list_event_tables, {"database": "new.duckdb"}),
            "plan_events": (md.plan_events, {"database": "new.duckdb", **DAYS}),
            "fetch_timeline": (md.fetch_timeline, {"database": store}),
            "forget_fetches": (md.forget_fetches, {"database": store}),
            "changes": (md.changes, {"database": store}),
            "publish_fetch": (md.publish_fetch, {"database": store}),
            "sync": (md.sync, {"jobs": {"profiles": [{}]}}),
            "export_table": (md.export_table, {"database": store, "table": "profiles", "file": "new.csv"}),
            "type_columns": (md.type_columns, {"database": store}),
            "type_events": (md.type_events, {"database": store}),
            "mixpanel_profiles": (mixpanel_profiles, {}),
            "MixpanelClient": (md.MixpanelClient, {"credentials": who}),
            "query_engage_page": (client.query_engage_page, {"page": 0}),
            "export_profiles": (client.export_profiles, {}),
            "ParallelProfileFetcher": (md.ParallelProfileFetcher, {"client": client, "store": store}),
            "ParallelProfileFetcher.fetch_profiles": (fetcher.fetch_profiles, {}),
            "ProfileStore": (md.ProfileStore, {}),
            "ProfileStore.open_existing": (md.ProfileStore.open_existing, {"database": "new.duckdb"}),
            "RetryPolicy": (md.RetryPolicy, {}),
            "RateLimiter": (md.RateLimiter, {}),
            "Timeline.save": (md.Timeline("<svg/>").save, {}),
        }


CALLS: dict[str, Callable[..., Any]] = {
    "fetch_profiles": md.fetch_profiles,
    "afetch_profiles": md.afetch_profiles,
    "afetch_events": md.afetch_events,
    "fetch_events": md.fetch_events,
    "export_events": md.MixpanelClient.export_events,
    "ParallelEventFetcher": md.ParallelEventFetcher,
    "ParallelEventFetcher.fetch_events": md.ParallelEventFetcher.fetch_events,
    "plan_fetch": md.plan_fetch,
    "list_fetches": md.list_fetches,
    "list_event_tables": md.list_event_tables,
    "plan_events": md.plan_events,
    "fetch_timeline": md.fetch_timeline,
    "forget_fetches": md.forget_fetches,
    "changes": md.changes,
    "publish_fetch": md.publish_fetch,
    "sync": md.sync,
    "export_table": md.export_table,
    "type_columns": md.type_columns,
    "type_events": md.type_events,
    "mixpanel_profiles": mixpanel_profiles,
    "MixpanelClient": md.MixpanelClient,
    "query_engage_page": md.MixpanelClient.query_engage_page,
    "export_profiles": md.MixpanelClient.export_profiles,
    "ParallelProfileFetcher": md.ParallelProfileFetcher,
    "ParallelProfileFetcher.fetch_profiles": md.ParallelProfileFetcher.fetch_profiles,
    "ProfileStore": md.ProfileStore,
    "ProfileStore.open_existing": md.ProfileStore.open_existing,
    "RetryPolicy": md.RetryPolicy,
    "RateLimiter": md.RateLimiter,
    "Timeline.save": md.Timeline.save,
}


def arguments_of(call: Callable[..., Any]) -> list[str]:
    """The names that a call takes, filters aside; of ``**options``, those that its ``TypedDict`` has."""
    names = []
    for name, parameter in inspect.signature(call).parameters.items():
        if name == "options":
            names += (EventTypingOptions if call is md.type_events else TypingOptions).__annotations__
        elif name not in ("self", "filters"):
            assert parameter.kind is not parameter.VAR_POSITIONAL
            names.append(name)
    return names


def told(call: Callable[[], object]) -> str:
    """The one sentence that a call is refused with."""
    with pytest.raises((md.QueryError, md.ConfigurationError)) as caught:
        call()
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 300
    return text


def test_every_public_function_stands_in_the_table():
    assert {name for name in md.__all__ if inspect.isfunction(getattr(md, name))} <= set(CALLS)


@pytest.mark.parametrize(("name", "argument"), [(name, each) for name in CALLS for each in arguments_of(CALLS[name])])
def test_a_wrong_argument_is_refused_in_one_sentence_before_anything_is_done(name, argument, calls, sim, tmp_path):
    call, needed = calls[name]
    right = RIGHT[argument] - ({"None"} if (name, argument) in NEEDED else set())
    right |= {"None"} if (name, argument) in OPTIONAL else set()
    wrong = {what: value for what, value in VALUES.items() if what not in right}
    if argument == "database" and name in ("mixpanel_profiles", "plan_fetch"):
        del wrong["None"]
    assert len(wrong) >= 10
    for value in wrong.values():
        text = told(lambda value=value: call(**{**needed, argument: value}))
        assert argument == "credentials" or text.startswith(f"{argument} is "), text
    assert sim.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ProfileFilters.__annotations__)
def test_a_wrong_filter_is_refused_in_one_sentence(name):
    """The rules between filters are in tests/engage; here is what no filter may be."""
    for what in ("an object", "a class", "a function", "an array", "a moment", "a complex number", "...", "nan", "-2.5",
                 "half a letter"):  # fmt: skip
        assert name in told(lambda what=what: md.ProfileQuery(**{name: VALUES[what]}))


@pytest.mark.parametrize("argument", sorted(RIGHT.keys() & RULES.keys()))
def test_what_is_right_is_not_refused(argument):
    kind = RULES[argument]
    for what in RIGHT[argument]:
        value = VALUES[what]
        assert kind.fits(value) or (value is None and (kind.optional or argument == "client")), what


def test_no_rule_is_without_a_test():
    assert RULES.keys() - RIGHT.keys() == set()


@pytest.mark.parametrize("endless", [None, math.inf, 1e300])
def test_no_bound_is_what_none_and_infinity_say(endless, sim, tmp_path):
    who = md.Credentials.from_env(sim.environment())
    with md.MixpanelClient(who, base_url=sim.base_url, timeout=endless, answer_timeout=endless or 1e9) as client:
        result = md.fetch_profiles(
            tmp_path / "a.duckdb", client=client, resume_max_age=endless, rate_limit_wait=endless, page_size=1
        )
    assert result.is_complete


@pytest.mark.parametrize("client", [httpx.AsyncClient(), httpx.Client])
def test_a_client_of_another_kind_is_no_http_client(client, sim):
    text = told(lambda: md.MixpanelClient(md.Credentials.from_env(sim.environment()), http_client=client))
    assert text.endswith("it must be an httpx.Client, or None.")


def test_a_secret_where_a_client_belongs_is_not_shown_whole():
    secret = "s3cret" * 100
    assert secret not in told(lambda: md.fetch_profiles(":memory:", client=secret))


def test_too_many_workers_are_warned_of_at_the_line_that_asks_for_them(sim):
    client = md.MixpanelClient(md.Credentials.from_env(sim.environment()), base_url=sim.base_url)
    with client, md.ProfileStore() as store:
        for call in (
            lambda: md.fetch_profiles(store, "one", client=client, max_workers=9),
            lambda: md.ParallelProfileFetcher(client, store, max_workers=9),
            lambda: md.ParallelProfileFetcher(client, store).fetch_profiles("two", max_workers=9),
        ):
            with pytest.warns(UserWarning, match="using 5") as warned:
                call()
            assert [each.filename for each in warned] == [__file__]


def test_what_is_only_like_a_rate_limiter_is_none(sim):
    class Mine:
        def slot(self, *_, **__):
            """Admit anybody."""

        hit = pause = slot

    text = told(lambda: md.MixpanelClient(md.Credentials.from_env(sim.environment()), rate_limiter=Mine()))
    assert text.endswith("it must be a RateLimiter, or None.")


@pytest.mark.parametrize("argument", ["credentials", "base_url"])
@pytest.mark.parametrize("name", ["fetch_profiles", "plan_fetch", "fetch_events", "plan_events", "mixpanel_profiles"])
def test_nothing_that_a_client_has_itself_is_given_beside_it(name, argument, calls, sim):
    call, needed = calls[name]
    who = md.Credentials(username="another", secret="account", project_id="999")
    with md.MixpanelClient(md.Credentials.from_env(sim.environment())) as client:
        beside = {"credentials": who, "base_url": "https://eu.mixpanel.com"}[argument]
        text = told(lambda: call(**needed, client=client, **{argument: beside}))
    assert text == f"Give client or {argument}, not both: a client has its own."
    assert sim.requests == []
