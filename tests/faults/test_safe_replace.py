"""Every night the same command: a table never becomes something else, or almost nothing, without a word."""

from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import client_of, fetch, served, stored, tables
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

FREE = Limits(quota=None)
PEOPLE = Population(60, seed=3, groups={"5": Population(10, seed=9)})
CROWD = Population.uniform(1200, profile_bytes=120)
FEW = Population.uniform(500, profile_bytes=120)
PRO = 'properties["plan"] == "pro"'


@pytest.mark.parametrize(
    "other",
    [{"where": PRO}, {"data_group_id": "6"}, {"data_group_id": "5"}, {"limit": 10}, {"output_properties": ["plan"]}],
    ids=str,
)
def test_a_replace_by_something_else_is_refused_before_anything_is_asked(other: Any, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match=r"'profiles' holds .*, but this fetch is of "):
            fetch(sim, database, if_exists="replace", **other)
        assert sim.requests == []
        assert stored(database) == served(PEOPLE)
        assert fetch(sim, database, if_exists="replace", allow_other=True, **other).published


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_another_project_is_refused_before_anything_is_asked(if_exists: Any, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim, Simulator(PEOPLE, limits=FREE, project_id="2") as other:
        fetch(sim, database)
        with pytest.raises(md.UnsuitableTableError, match="holds project 1, but this fetch is of project 2"):
            fetch(other, database, if_exists=if_exists)
        assert other.requests == []
        assert stored(database) == served(PEOPLE)
        assert fetch(other, database, if_exists=if_exists, allow_other=True).published
        if if_exists == "merge":  # now it is of both
            for each in (sim, other):
                with pytest.raises(md.UnsuitableTableError):
                    fetch(each, database, if_exists="replace")
        else:
            assert fetch(other, database, if_exists="replace").published


def test_a_merge_with_fewer_properties_is_refused_before_anything_is_asked(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match=r"holds all properties, but .* only the properties plan"):
            fetch(sim, database, if_exists="merge", output_properties=["plan"])
        assert sim.requests == []
    assert stored(database) == served(PEOPLE)


def test_a_part_that_is_merged_every_night_leaves_the_table_what_it_was(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        for day in range(3):
            since = f'properties["$last_seen"] > "2026-01-0{day + 1}"'
            assert fetch(sim, database, if_exists="merge", where=since).published
        assert fetch(sim, database, if_exists="replace").published
        with pytest.raises(md.UnsuitableTableError):
            fetch(sim, database, if_exists="replace", where=PRO)


def test_more_properties_that_were_merged_are_not_lost_to_fewer(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database, output_properties=["plan"])
        fetch(sim, database, if_exists="merge", output_properties=["plan", "seats"])
        with pytest.raises(md.UnsuitableTableError, match="only the properties plan, seats"):
            fetch(sim, database, if_exists="merge", output_properties=["plan"])


def test_a_table_that_was_dropped_may_hold_anything_again(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        with duckdb.connect(database) as connection:
            connection.execute("DROP TABLE profiles")
        assert fetch(sim, database, where=PRO).published
        with pytest.raises(md.UnsuitableTableError):
            fetch(sim, database, if_exists="replace")


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_table_of_an_older_journal_holds_is_known(version: int, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        with duckdb.connect(database) as connection:
            connection.execute("DROP TABLE _mixpanel_tables")
            connection.execute(f"UPDATE _mixpanel_fetches SET schema_version = {version}")
            if version == 1:
                connection.execute("ALTER TABLE _mixpanel_pages DROP COLUMN steps")
        with pytest.raises(md.UnsuitableTableError, match="holds all profiles"):
            fetch(sim, database, if_exists="replace", where=PRO)
        assert fetch(sim, database, if_exists="replace").published


class Unnamed:
    """A client of the caller's, which does not say whose profiles it reads."""

    def __init__(self, client: md.MixpanelClient) -> None:
        self.query_engage_page = client.query_engage_page


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_a_client_that_does_not_tell_its_project_is_not_refused_and_that_is_said(if_exists: Any, database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        fetch(sim, database)
        result = md.fetch_profiles(database, client=Unnamed(client), if_exists=if_exists)
        assert result.published
        assert any("was not compared: project 1" in text for text in result.notices)
        with pytest.raises(md.UnsuitableTableError, match="but this fetch is of where="):
            md.fetch_profiles(database, client=Unnamed(client), if_exists="replace", where=PRO)


@pytest.mark.parametrize("left", [FEW, Population.of([])], ids=["few", "none"])
def test_a_replace_that_would_leave_few_rows_is_held_back_until_it_is_allowed(left: Population, database: str) -> None:
    with Simulator(CROWD, limits=FREE) as sim:
        fetch(sim, database, page_size=200)
        sim.replace_population(left)
        result = fetch(sim, database, page_size=200, if_exists="replace")
        assert (result.is_complete, result.published, result.shrinks_from) == (False, False, 1200)
        assert "--allow-shrink" in result.summary()
        assert len(result.relation().fetchall()) == len(left)
        with pytest.raises(md.IncompleteFetchError, match="1,200 rows"):
            result.raise_for_failures()
        assert stored(database) == served(CROWD)
        held, complete = md.list_fetches(database)
        assert (held.state, held.note, complete.state) == (
            "held", f"{len(left):,} would replace 1,200 rows", "complete",
        )  # fmt: skip
        age(database)
        sim.clear_requests()
        allowed = fetch(sim, database, page_size=200, if_exists="replace", allow_shrink=True)
        assert sim.requests == []
    assert (allowed.is_complete, allowed.published, allowed.total_rows) == (True, True, len(left))
    assert stored(database) == served(left)
    assert [each.state for each in md.list_fetches(database)] == ["complete"]


def test_a_fetch_that_was_held_back_is_asked_for_anew_without_leave(database: str) -> None:
    with Simulator(CROWD, limits=FREE) as sim:
        fetch(sim, database, page_size=200)
        sim.replace_population(FEW)
        assert fetch(sim, database, page_size=200, if_exists="replace").shrinks_from == 1200
        sim.replace_population(CROWD)
        assert fetch(sim, database, page_size=200, if_exists="replace").is_complete
    assert stored(database) == served(CROWD)
    assert tables(database) == {"profiles"}
    assert len(md.list_fetches(database)) == 1


def test_a_fetch_that_was_stopped_behind_its_last_page_is_held_back_by_the_next_run(database: str) -> None:
    def stop(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == progress.total_pages:
            raise RuntimeError

    with Simulator(CROWD, limits=FREE) as sim:
        fetch(sim, database, page_size=200)
        sim.replace_population(FEW)
        with pytest.raises(RuntimeError):
            fetch(sim, database, page_size=200, if_exists="replace", on_batch_complete=stop)
        sim.clear_requests()
        assert fetch(sim, database, page_size=200, if_exists="replace").shrinks_from == 1200
        assert sim.requests == []
    assert stored(database) == served(CROWD)


@pytest.mark.parametrize(
    ("before", "now", "options", "held"),
    [
        (1000, 499, {}, True), (1000, 500, {}, False), (999, 0, {}, False), (2400, 1199, {}, True),
        (1000, 499, {"allow_shrink": True}, False), (1000, 499, {"if_exists": "merge"}, False),
        (1000, 499, {"allow_other": True}, True),
    ],
)  # fmt: skip
def test_few_is_fewer_than_half_of_a_thousand_or_more(
    before: int, now: int, options: Any, held: bool, database: str
) -> None:
    with Simulator(Population.uniform(now, profile_bytes=120), limits=FREE) as sim:
        with duckdb.connect(database) as connection:  # whoever made the table
            connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
            connection.execute(f"INSERT INTO profiles SELECT i, '{{}}', NULL FROM range({before}) t(i)")
        result = fetch(sim, database, page_size=500, **{"if_exists": "replace", **options})
    assert (result.shrinks_from == before, result.published) == (held, not held)


def test_an_unfinished_fetch_of_something_else_does_not_wait_for_a_flag_of_today(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("status", page=2, status=502, attempts=None)]) as sim:
        assert fetch(sim, database, where="true").failed_pages == 1
        sim.clear_faults()
        assert fetch(sim, database).published
        with pytest.raises(md.UnsuitableTableError):
            fetch(sim, database, where="true", if_exists="replace")
        assert fetch(sim, database, where="true", if_exists="replace", allow_other=True).resumed_pages == 2


def test_output_properties_without_last_seen_are_said_before_anything_is_asked(database: str) -> None:
    asked = []

    class Listener(md.SilentObserver):
        def notice(self, text: str) -> None:
            asked.append((text, len(sim.requests)))

    with Simulator(PEOPLE, limits=FREE) as sim:
        result = fetch(sim, database, output_properties=["plan"], observer=Listener())
        assert asked == [("Without $last_seen among the output_properties, the column last_seen stays NULL.", 0)]
        assert result.notices == (asked[0][0],)
        assert fetch(sim, database, "others", output_properties=["plan", "$last_seen"]).notices == ()


ODD_NAMES = ["a.b", "a b", 'quo"te', "sla/sh", "til~de", "$dollar", "*", "0", "é", "back\\slash"]


def test_properties_that_no_profile_has_are_said_and_no_others(database: str) -> None:
    people = Population.of([{"$distinct_id": "a", "$properties": dict.fromkeys(ODD_NAMES)}])
    misspelt = ["palm", "$Dollar", "a", "1", "qu'ote"]
    with Simulator(people, limits=FREE) as sim:
        result = fetch(sim, database, output_properties=["$last_seen", "$distinct_id", *ODD_NAMES, *misspelt])
        (told,) = result.notices
        sim.replace_population(Population.of([]))
        nobody = fetch(sim, database, "nobody", output_properties=["$last_seen"])
    for name in ["$last_seen", *misspelt]:
        assert repr(name) in told
    for name in ["$distinct_id", *ODD_NAMES]:
        assert repr(name) not in told
    assert nobody.notices == ()


def age(database: str) -> None:
    """Make everything in the journal two days older."""
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE _mixpanel_pages SET committed_at = committed_at - INTERVAL 2 DAYS")
        connection.execute("UPDATE _mixpanel_fetches SET started_at = started_at - INTERVAL 2 DAYS")
