"""What the documents say of the limits is what the package does, in each reading of them."""

import itertools
import os

import pytest

from clock.draw import (
    PAGE,
    PICTURE,
    SIZES,
    cell,
    main_table,
    outcomes,
    picture,
    refused_table,
    session_table,
    tables_of,
)
from clock.model import HOUR, Reading, StoreOfCounts
from clock.readings import RECIPES, fetched, followed, plan_bytes

EVERY = [
    Reading(counted, at_once, session, sizes)
    for counted, at_once, session, sizes in itertools.product(
        ("first", "rolling", "clock"), (1, 3, 5), (HOUR / 6, 2 * HOUR, 24 * HOUR), ("honoured", "lowered", "refused")
    )
]


@pytest.fixture(scope="module")
def store():
    """One database for all, each fetch into a table of its own."""
    with StoreOfCounts(":memory:") as opened:
        yield opened


def named(reading: Reading) -> str:
    return f"{reading.counted}-{reading.at_once}-{reading.session / HOUR:.1f}h-{reading.sizes}"


def is_bearable(outcome, reading: Reading) -> None:
    """Where fewer are allowed at a time than are published, one more is tried each half minute."""
    assert outcome.refusals <= 8 + 3 * outcome.seconds / HOUR + (reading.at_once < 5) * outcome.seconds / 30
    assert outcome.complete or reading.session < outcome.seconds


@pytest.mark.parametrize("counted", ["rolling", "clock"])
def test_where_every_page_is_counted_three_million_profiles_take_75_requests_and_80_minutes_at_most(counted, store):
    outcome = fetched(3_000_000, Reading(counted), store)
    assert outcome.complete
    assert outcome.requests <= 75
    assert outcome.seconds <= 80 * 60


@pytest.mark.parametrize("reading", [each for each in EVERY if each.at_once == 5], ids=named)
def test_a_recipe_ends_with_everything_wherever_a_fetch_that_is_let_alone_does(reading, store):
    for profiles in (300_000, *([3_000_000] if reading.sizes == "honoured" else [])):
        outcome = fetched(profiles, reading, store)
        is_bearable(outcome, reading)
        if outcome.complete:
            for name, recipe in RECIPES.items():
                assert followed(recipe, profiles, reading, store).complete, (name, profiles)


@pytest.mark.parametrize("reading", [each for each in EVERY if each.at_once < 5], ids=named)
def test_what_is_refused_is_a_handful_whatever_the_reading(reading, store):
    is_bearable(fetched(300_000, reading, store), reading)


def test_a_plan_takes_bytes_for_a_page_and_nothing_for_a_profile():
    assert plan_bytes(60) < 10_000
    assert plan_bytes(100_000) < 5_000_000


@pytest.mark.parametrize("size", SIZES[:-1], ids="{:,}".format)
def test_what_the_tables_say_of_a_project_is_what_comes_out(size, store):
    text, quick = PAGE.read_text(encoding="utf-8"), outcomes(store, (size,))
    for name, lines in {"counted": main_table(quick), "refused": refused_table(quick)}.items():
        told = tables_of(text, name).splitlines()
        assert told[:2] == lines[:2]
        assert lines[2] in told


def test_what_the_table_says_of_sessions_is_what_comes_out(store):
    lines = session_table(store, (3_000_000,))
    assert tables_of(PAGE.read_text(encoding="utf-8"), "sessions").splitlines()[: len(lines)] == lines


def test_the_picture_is_for_light_and_for_dark_pages():
    assert "prefers-color-scheme:dark" in PICTURE.read_text(encoding="utf-8")


@pytest.mark.skipif(not os.environ.get("MP_TEST_LONGEST"), reason="takes minutes; MP_TEST_LONGEST=1 runs it")
@pytest.mark.timeout(600)
def test_the_longest_rows_and_the_picture_are_too(store):
    text, everything = PAGE.read_text(encoding="utf-8"), outcomes(store)
    assert tables_of(text, "counted").splitlines() == main_table(everything)
    assert tables_of(text, "refused").splitlines() == refused_table(everything)
    assert tables_of(text, "sessions").splitlines() == session_table(store)
    assert PICTURE.read_text(encoding="utf-8") == picture(everything)


def test_a_cell_says_never_rather_than_a_time_at_which_nothing_was_there(store):
    outcome = fetched(3_000_000, Reading("rolling", session=HOUR / 6), store)
    assert not outcome.complete
    assert cell(outcome) == "never"
