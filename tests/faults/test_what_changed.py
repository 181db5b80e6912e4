"""What a night changed: counted in the result, listed by ``changes``, kept as versions in the history."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from helpers import PAGE, fetch, served, stored
from mixpanel_duckdb.simulator import Limits, Population, Simulator

FREE = Limits(quota=None)
People = dict[str, int]


def population(people: People, nameless: tuple[int, ...] = ()) -> Population:
    named = [{"$distinct_id": name, "$properties": {"n": value}} for name, value in people.items()]
    return Population.of([*named, *({"$properties": {"n": value}} for value in nameless)])


def counts(result: md.ParallelProfileFetchResult) -> tuple[int | None, ...]:
    return result.added_rows, result.changed_rows, result.removed_rows, result.unchanged_rows


def next_night(people: People, night: int) -> tuple[People, dict[str, set[str]]]:
    """Of 200 profiles, four change, two are new and one is gone."""
    names = sorted(people)
    changed, gone = set(names[night * 7 : night * 7 + 4]), {names[100 + night]}
    added = {f"new{night}-{i}" for i in range(2)}
    after = {name: value + (name in changed) for name, value in people.items() if name not in gone}
    return after | dict.fromkeys(added, 0), {"added": added, "changed": changed, "removed": gone}


def versions(database: str) -> list[tuple[str, int, datetime, datetime | None]]:
    with duckdb.connect(database) as connection:
        return connection.execute(
            "SELECT distinct_id, (properties->>'n')::INTEGER, valid_from, valid_to FROM profiles_history ORDER BY ALL"
        ).fetchall()


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_five_nights_are_counted_listed_and_kept_exactly(killed: bool, database: str) -> None:
    def stop(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == 3:
            raise RuntimeError

    people = {f"p{i:03}": 0 for i in range(200)}
    nights, listed = [people], []
    with Simulator(population(people), limits=FREE) as sim:
        assert counts(fetch(sim, database, keep_history=True)) == (None,) * 4
        for night in range(5):
            people, differing = next_night(people, night)
            sim.replace_population(population(people))
            if killed and night == 2:
                with pytest.raises(RuntimeError):
                    fetch(sim, database, if_exists="replace", keep_history=True, on_batch_complete=stop)
            result = fetch(sim, database, if_exists="replace", keep_history=True)
            assert counts(result) == (2, 4, 1, 195 + night)
            assert f"s: 2 added, 4 changed, 1 removed, {195 + night} unchanged." in result.summary()
            nights.append(people)
            listed.append(differing)
    found = md.changes(database)
    moments = sorted({each.at for each in found})
    assert len(moments) == 5
    for moment, differing in zip(moments, listed, strict=True):
        now = [each for each in found if each.at == moment]
        assert len(now) == 7
        assert {kind: {each.distinct_id for each in now if each.change == kind} for kind in differing} == differing
    kept = versions(database)
    starts = [min(row[2] for row in kept), *(each.replace(tzinfo=None) for each in moments)]
    for start, expected in zip(starts, nights, strict=True):
        valid = [row for row in kept if row[2] <= start and (row[3] is None or row[3] > start)]
        assert {name: value for name, value, *_ in valid} == expected
        assert len(valid) == len(expected)
    assert len(kept) == 200 + 5 * 6


def test_changes_since_a_moment_are_those_from_then_on(database: str) -> None:
    people = {f"p{i}": 0 for i in range(5)}
    with Simulator(population(people), limits=FREE) as sim:
        for night in range(3):
            sim.replace_population(population(people | {"p0": night}))
            fetch(sim, database, if_exists="replace", keep_history=True)
    first, second = md.changes(database)
    assert (first.distinct_id, first.change, first.at.tzinfo) == ("p0", "changed", UTC)
    assert md.changes(database, since=second.at) == [second]
    assert md.changes(database, since=second.at.isoformat()) == [second]
    assert md.changes(database, since=second.at.replace(tzinfo=None)) == [second]
    assert md.changes(database, since=second.at + timedelta(microseconds=1)) == []
    with duckdb.connect(database, read_only=True):
        assert len(md.changes(database)) == 2


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_no_calendar_has_in_utc_is_refused_in_one_sentence(since: str, database: str) -> None:
    with md.ProfileStore(database) as store:
        with pytest.raises(md.QueryError, match=f"since is {re.escape(since)}"):
            md.changes(store, since=since)
        with pytest.raises(md.QueryError, match="in UTC"):
            store.changes(since=datetime.fromisoformat(since))


def test_a_table_without_a_history_is_told_how_to_keep_one(database: str) -> None:
    with Simulator(population({"a": 1}), limits=FREE) as sim:
        fetch(sim, database)
    with pytest.raises(md.UnsuitableTableError, match="keep_history=True"):
        md.changes(database)


@pytest.mark.parametrize("history", [False, True])
def test_a_merge_counts_what_it_touched_and_keeps_the_rest(history: bool, database: str) -> None:
    with Simulator(population({"a": 1, "b": 1, "c": 1}), limits=FREE) as sim:
        fetch(sim, database, keep_history=history)
        sim.replace_population(population({"a": 1, "b": 2, "d": 1}))
        result = fetch(sim, database, if_exists="merge", keep_history=history)
    assert counts(result) == (1, 1, 0, 2)
    assert stored(database) == served(population({"a": 1, "b": 2, "c": 1, "d": 1}))
    if history:
        assert {(each.distinct_id, each.change) for each in md.changes(database)} == {("b", "changed"), ("d", "added")}


def test_a_profile_that_comes_back_is_added_again(database: str) -> None:
    with Simulator(population({"a": 1, "b": 1}), limits=FREE) as sim:
        fetch(sim, database, keep_history=True)
        for people in ({"a": 1}, {"a": 1, "b": 1}):
            sim.replace_population(population(people))
            fetch(sim, database, if_exists="replace", keep_history=True)
    assert [(each.distinct_id, each.change) for each in md.changes(database)] == [("b", "removed"), ("b", "added")]
    assert len(versions(database)) == 3


def test_a_history_goes_on_over_nights_without_it_and_over_a_dropped_table(database: str) -> None:
    with Simulator(population({"a": 1, "b": 1}), limits=FREE) as sim:
        fetch(sim, database, keep_history=True)
        sim.replace_population(population({"a": 2, "b": 1}))
        fetch(sim, database, if_exists="replace")
        fetch(sim, database, if_exists="replace", keep_history=True)
        with duckdb.connect(database) as connection:
            connection.execute("DROP TABLE profiles")
        sim.replace_population(population({"a": 2, "c": 1}))
        assert counts(fetch(sim, database, keep_history=True)) == (None,) * 4
    found = {(each.distinct_id, each.change) for each in md.changes(database)}
    assert found == {("a", "changed"), ("b", "removed"), ("c", "added")}


def test_a_table_of_the_name_of_a_history_is_refused_before_anything_is_asked(database: str) -> None:
    with Simulator(population({"a": 1}), limits=FREE) as sim:
        with duckdb.connect(database) as connection:
            connection.execute("CREATE TABLE profiles_history (i INTEGER)")
        with pytest.raises(md.UnsuitableTableError, match="'profiles_history' is there and is none"):
            fetch(sim, database, keep_history=True)
        fetch(sim, database, "people", keep_history=True)
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match="is the history of a table"):
            fetch(sim, database, "people_history", if_exists="replace")
        assert sim.requests == []


PEOPLE = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)
NAMELESS = st.lists(st.integers(0, 2), max_size=3).map(tuple)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PEOPLE, NAMELESS, st.sampled_from(["replace", "merge"])), min_size=2, max_size=3))
def test_whatever_comes_and_goes_the_table_is_right_and_the_counts_add_up(nights: Any) -> None:
    with duckdb.connect() as connection, Simulator(population({}), limits=FREE) as sim:
        for number, (people, nameless, if_exists) in enumerate(nights):
            sim.replace_population(population(people, nameless))
            before = _table(connection) if number else []
            result = fetch(sim, connection, if_exists=if_exists, keep_history=True, page_size=PAGE * 2)
            after = _table(connection)
            fetched = sorted([*people.items(), *((None, value) for value in nameless)], key=str)
            if if_exists == "replace" or not number:
                assert after == fetched
            else:
                kept = [row for row in before if row[0] not in people if row[0] is not None or row[1] not in nameless]
                assert after == sorted([*kept, *fetched], key=str)
            if number:
                added, changed, removed, unchanged = counts(result)
                assert added + changed + unchanged == len(after)
                assert removed + changed + unchanged == len(before)
            open_ones = connection.execute(
                "SELECT distinct_id, (properties->>'n')::INTEGER FROM profiles_history WHERE valid_to IS NULL"
            ).fetchall()
            assert sorted(open_ones, key=str) == sorted(set(after), key=str)


def _table(connection: duckdb.DuckDBPyConnection) -> list[tuple[str | None, int]]:
    rows = connection.execute("SELECT distinct_id, (properties->>'n')::INTEGER FROM profiles").fetchall()
    return sorted(rows, key=str)
