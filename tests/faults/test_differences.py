"""A total that never fits: what was seen is said, a small difference can be accepted, and no night is lost."""

from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import PAGE, fetch, pages_asked, tables
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator

FREE = Limits(quota=None)
FIXED = Behaviour(order="fixed")


def people(number: int, *again: int) -> Population:
    """So many profiles, and some of them once more at the end."""
    return Population.of(
        [
            {"$distinct_id": f"p{i}", "$properties": {"n": i, "$last_seen": "2026-01-01T00:00:00"}}
            for i in (*range(number), *again)
        ]
    )


NORMAL, REPEATING = people(PAGE * 3), people(PAGE * 3 - 3, 1, 5, 7)


def test_three_ids_that_repeat_every_night_are_published_every_night_when_they_are_tolerated(database: str) -> None:
    with Simulator(REPEATING, limits=FREE, behaviour=FIXED) as sim:
        for night in range(4):
            result = fetch(sim, database, if_exists="replace" if night else "error", tolerance=3)
            assert (result.published, result.accepted_difference, result.is_complete) == (True, True, False)
            assert (result.total_rows, result.expected_rows, result.duplicate_rows) == (57, 60, 3)
            result.raise_for_failures()
            seen = "3 ids came more than once" + (", the same as in the last session" if night else "")
            assert result.difference == seen
            assert f"57 of 60 profiles in table 'profiles' in {result.duration_seconds:.1f} s" in result.summary()
            assert result.summary().endswith(f"the difference was accepted: {seen}.")
            (record,) = md.list_fetches(database)
            assert (record.state, record.profiles, record.note) == (
                "accepted", 57, f"57 distinct profiles of 60: {seen}",
            )  # fmt: skip
            assert len(result.relation().fetchall()) == 57


@pytest.mark.parametrize(
    ("tolerance", "published"),
    [(0, False), (2, False), (3, True), ("3", True), ("5%", True), ("4.9%", False), ("100%", True)],
)
def test_a_tolerance_is_a_number_of_profiles_or_a_share_of_the_total(
    tolerance: Any, published: bool, database: str
) -> None:
    with Simulator(REPEATING, limits=FREE, behaviour=FIXED) as sim:
        result = fetch(sim, database, tolerance=tolerance)
    assert (result.published, result.accepted_difference, result.is_complete) == (published, published, False)
    assert tables(database) == ({"profiles"} if published else set())


@pytest.mark.parametrize("tolerance", [-1, 1.5, "x", "", "-1", "1e3", "101%", "3 of them", "٣", None, True, "1%%"])
def test_what_is_no_tolerance_is_refused_before_anything_is_asked(tolerance: Any, database: str) -> None:
    with Simulator(NORMAL, limits=FREE) as sim:
        with pytest.raises(md.QueryError, match=r"a whole number, 0 or more, or a share of the total such as '0\.1%'"):
            fetch(sim, database, tolerance=tolerance)
        assert sim.requests == []


def test_a_missing_page_is_never_tolerated(database: str) -> None:
    with Simulator(NORMAL, limits=FREE, faults=[Fault("status", page=2, attempts=None)]) as sim:
        result = fetch(sim, database, tolerance="100%")
    assert (result.published, result.failed_pages) == (False, 1)


def test_more_distinct_profiles_than_announced_are_a_difference_like_fewer(database: str) -> None:
    total = Fault("wrong_total", page=0, total=PAGE * 3 - 2)
    with Simulator(NORMAL, limits=FREE, behaviour=FIXED, faults=[total]) as sim:
        result = fetch(sim, database, tolerance=2)
    assert (result.accepted_difference, result.total_rows, result.expected_rows) == (True, 60, 58)
    assert result.difference == "the pages had 2 profiles more than announced"


SEEN = {
    "3 ids came more than once": (REPEATING, []),
    "1 id came more than once": (people(PAGE * 3 - 2, 4, 4), []),
    "page 1 had too few profiles": (NORMAL, [Fault("short_page", page=1, rows=15, attempts=None)]),
    "pages 1-2 had too few profiles": (NORMAL, [Fault("short_page", page=(1, 2), rows=15, attempts=None)]),
    "page 1 had too few profiles; 3 ids came more than once": (
        REPEATING, [Fault("short_page", page=1, rows=15, attempts=None)],
    ),
    "3 ids came more than once; the pages had 1 profile more than announced": (
        REPEATING, [Fault("wrong_total", page=0, total=59, attempts=None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("seen", SEEN)
def test_a_difference_is_told_with_both_numbers_and_what_was_seen(seen: str, database: str) -> None:
    population, faults = SEEN[seen]
    with Simulator(population, limits=FREE, behaviour=FIXED, faults=faults) as sim:
        result = fetch(sim, database)
    assert result.difference == seen
    both = f"{result.total_rows} of {result.expected_rows} profiles"
    assert result.summary().startswith(f"{both}: all 3 pages arrived, but {seen}, so 'profiles' was not published.")
    apart = abs(result.expected_rows - result.total_rows)
    assert f"--tolerance {apart}" in result.summary()
    with pytest.raises(md.IncompleteFetchError, match=both):
        result.raise_for_failures()


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (REPEATING, ", the same as in the last session"),
        (people(PAGE * 3 - 3, 1, 5, 8), ", 2 of them in the last session, too"),
        (people(PAGE * 3 - 3, 2, 6, 8), ", others in the last session"),
    ],
)
def test_repeated_ids_are_compared_with_those_of_the_last_session_also_over_a_stop(
    now: Population, told: str, database: str
) -> None:
    def stop(progress: md.ProfileBatchProgress) -> None:
        raise RuntimeError

    with Simulator(REPEATING, limits=FREE, behaviour=FIXED) as sim:
        assert fetch(sim, database).difference == "3 ids came more than once"
        sim.replace_population(now)
        with pytest.raises(RuntimeError):
            fetch(sim, database, on_batch_complete=stop, max_workers=1)
        assert fetch(sim, database).difference == f"3 ids came more than once{told}"


def test_what_did_not_add_up_starts_over_or_is_published_without_a_request(database: str) -> None:
    with Simulator(REPEATING, limits=FREE, behaviour=FIXED) as sim:
        fetch(sim, database)
        (record,) = md.list_fetches(database)
        assert (record.state, record.profiles, record.resumable) == ("incomplete", 57, False)
        assert record.next_step == "starts over; mp-fetch publish takes them as they are"
        sim.clear_requests()
        assert not fetch(sim, database).published
        assert pages_asked(sim.requests)[0] == 0
        sim.clear_requests()
        assert fetch(sim, database, tolerance=3).published
        assert sim.requests == []


def test_what_has_arrived_is_published_without_a_request_and_without_its_missing_pages(database: str) -> None:
    with Simulator(NORMAL, limits=FREE, faults=[Fault("status", page=2, attempts=None)]) as sim:
        fetch(sim, database)
    result = md.publish_fetch(database)
    assert (result.published, result.accepted_difference, result.is_complete) == (True, True, False)
    assert (result.total_rows, result.failed_page_indices, result.requests) == (40, (2,), 0)
    assert "; the difference was accepted: 1 of 3 pages are missing." in result.summary()
    (record,) = md.list_fetches(database)
    assert (record.state, record.note, record.pages_missing) == ("accepted", "1 of 3 pages are missing", (2,))
    assert len(result.df()) == 40
    with pytest.raises(md.QueryError, match="no unfinished fetch into 'profiles' that has pages"):
        md.publish_fetch(database)


def test_what_was_killed_behind_its_last_page_is_published_as_complete(database: str) -> None:
    def stop(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == progress.total_pages:
            raise RuntimeError

    with Simulator(NORMAL, limits=FREE) as sim, pytest.raises(RuntimeError):
        fetch(sim, database, on_batch_complete=stop)
    result = md.publish_fetch(database)
    assert (result.is_complete, result.accepted_difference) == (True, False)


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_publishing_does_with_the_table_what_the_fetch_was_told(if_exists: Any, database: str) -> None:
    with Simulator(people(PAGE * 3), limits=FREE, behaviour=FIXED) as sim:
        fetch(sim, database)
        sim.replace_population(Population.of(list(REPEATING.profiles())[3:]))
        assert not fetch(sim, database, if_exists=if_exists).published
    assert md.publish_fetch(database).published
    with duckdb.connect(database) as connection:
        left = 55 if if_exists == "replace" else 60
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(left,)]


def test_publishing_keeps_the_rules_of_a_run(database: str) -> None:
    crowd = Population.uniform(1000, profile_bytes=120)
    with Simulator(NORMAL, limits=FREE, faults=[Fault("status", page=2, attempts=None)]) as sim:
        fetch(sim, database)
        sim.clear_faults()
        sim.replace_population(crowd)
        fetch(sim, database, where="true", page_size=500)
    with pytest.raises(md.TableExistsError):
        md.publish_fetch(database)
    with pytest.raises(md.UnsuitableTableError, match="holds where=true, but this fetch is of all profiles"):
        md.publish_fetch(database, if_exists="replace")
    held = md.publish_fetch(database, if_exists="replace", allow_other=True)
    assert (held.published, held.shrinks_from) == (False, 1000)
    assert md.publish_fetch(database, if_exists="replace", allow_other=True, allow_shrink=True).total_rows == 40


def test_of_several_unfinished_fetches_the_caller_chooses_one(database: str) -> None:
    with Simulator(NORMAL, limits=FREE, faults=[Fault("status", page=2, attempts=None)]) as sim:
        fetch(sim, database)
        fetch(sim, database, where="true")
    ids = [each.fetch_id for each in md.list_fetches(database)]
    with pytest.raises(md.QueryError, match=f"2 fetches .* choose one by its fetch_id: {ids[0][:8]}, {ids[1][:8]}"):
        md.publish_fetch(database)
    assert md.publish_fetch(database, fetch_id=ids[1][:8]).published
    assert [each.state for each in md.list_fetches(database)].count("accepted") == 1


def test_a_database_that_knows_nothing_has_nothing_to_publish_and_stays_as_it_is(database: str) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE profiles (i INTEGER)")
    with pytest.raises(md.QueryError, match="no unfinished fetch"):
        md.publish_fetch(database)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("profiles",)]


def test_differences_of_the_last_two_sessions_are_kept(database: str) -> None:
    with Simulator(REPEATING, limits=FREE, behaviour=FIXED) as sim:
        for _ in range(4):
            fetch(sim, database)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT count(*), any_value(repeated) FROM _mixpanel_differences").fetchall() == [
            (2, ["p1", "p5", "p7"])
        ]
