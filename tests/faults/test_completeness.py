"""G1 and G5: what drifts, repeats or is missing is resolved by rule, counted, and never called complete by luck."""

import json
from dataclasses import replace

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import PAGE, client_of, fetch, served, stored
from mixpanel_duckdb.simulator import Behaviour, Edit, Fault, Limits, Population, Simulator

FREE = Limits(quota=None)


def person(name: str, seen: str | None, **properties: object) -> dict[str, object]:
    return {"$distinct_id": name, "$properties": {**({"$last_seen": seen} if seen else {}), **properties}}


def people(count: int) -> list[dict[str, object]]:
    return [person(f"p{i:03}", "2026-01-01T00:00:00", n=i) for i in range(count)]


def row(profile: dict[str, object]) -> bytes:
    return json.dumps(profile).encode()


def row_text(profile: dict[str, object]) -> str:
    return json.dumps(profile["$properties"], separators=(",", ":"))


def test_a_profile_that_moves_to_a_later_page_is_stored_once_in_its_newest_form(database: str) -> None:
    before = people(PAGE * 3)
    newer = person("p003", "2026-02-02T00:00:00", n="newer")
    # p003 is on page 0 and comes again, newer, in place of the deleted last profile.
    edits = (Edit(before=1, update={PAGE * 2 + 5: row(newer)}),)
    with Simulator(Population.of(before), limits=FREE, behaviour=Behaviour(snapshot="live", edits=edits)) as sim:
        result = fetch(sim, database, max_workers=1)
        assert (result.duplicate_rows, result.total_rows, result.expected_rows) == (1, PAGE * 3 - 1, PAGE * 3)
        assert not result.is_complete
        found = result.relation().filter("distinct_id = 'p003'").order("last_seen").fetchall()
        assert [row[1] for row in found] == [row_text(newer)]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("2026-01-01T00:00:00", "2026-03-01T00:00:00", "second"),
        ("2026-03-01T00:00:00", "2026-01-01T00:00:00", "first"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00", "first"),
        (None, "2026-01-01T00:00:00", "second"),
        ("2026-01-01T00:00:00", None, "first"),
        (None, None, "first"),
    ],
)
def test_of_two_forms_of_a_profile_the_newest_is_kept_else_the_first(
    first: str | None, second: str | None, kept: str, database: str
) -> None:
    rows = people(PAGE * 2 + 2)
    rows[1], rows[25] = person("twin", first, form="first"), person("twin", second, form="second")
    # Two rows for one profile: the server's total is one less than its rows.
    total = Fault("wrong_total", page=0, total=PAGE * 2 + 1)
    with Simulator(Population.of(rows), limits=FREE, behaviour=Behaviour(order="fixed"), faults=[total]) as sim:
        result = fetch(sim, database, max_workers=1)
    assert (result.is_complete, result.duplicate_rows, result.total_rows) == (True, 1, PAGE * 2 + 1)
    with duckdb.connect(database) as connection:
        found = connection.execute("SELECT properties->>'form' FROM profiles WHERE distinct_id = 'twin'").fetchall()
    assert found == [(kept,)]


def test_a_profile_deleted_meanwhile_leaves_a_gap_that_is_reported_and_the_next_run_starts_over(database: str) -> None:
    before = people(PAGE * 4)
    edits = (Edit(before=1, delete=(2,)),)
    with Simulator(Population.of(before), limits=FREE, behaviour=Behaviour(snapshot="live", edits=edits)) as sim:
        result = fetch(sim, database, max_workers=1)
        assert not result.is_complete
        assert not result.published
        assert result.total_rows == PAGE * 4 - 1
        assert "Page 3: it has 19 profiles instead of 20; stored as it is." in result.notices
        assert "but page 3 had too few profiles, so" in result.summary()
        (record,) = md.list_fetches(database)
        assert (record.resumable, record.next_step) == (
            False, "starts over; mp-fetch publish takes them as they are",
        )  # fmt: skip
        sim.replace_population(Population.of(before[1:]))
        again = fetch(sim, database, max_workers=1)
    assert any("starting over" in text for text in again.notices)
    assert again.expected_rows == PAGE * 4 - 1


def test_profiles_added_meanwhile_push_others_out_and_that_is_reported(database: str) -> None:
    added = tuple(row(person(f"new{i}", None)) for i in range(3))
    behaviour = Behaviour(snapshot="live", edits=(Edit(before=2, insert=added),))
    with Simulator(Population.of(people(PAGE * 4)), limits=FREE, behaviour=behaviour) as sim:
        result = fetch(sim, database, max_workers=1)
    assert (result.duplicate_rows, result.total_rows) == (3, PAGE * 4 - 3)
    assert not result.is_complete
    assert not result.published


def test_an_empty_result_is_an_empty_table_and_complete(database: str) -> None:
    with Simulator(Population(0), limits=FREE) as sim:
        result = fetch(sim, database)
        assert len(sim.requests) == 1
    assert (result.is_complete, result.published, result.total_rows, result.expected_rows) == (True, True, 0, 0)
    assert stored(database) == served(Population(0))


def test_totals_that_drift_page_by_page_are_told(database: str) -> None:
    behaviour = Behaviour(total="drifting")
    with Simulator(Population.of(people(PAGE * 3)), limits=FREE, behaviour=behaviour) as sim:
        result = fetch(sim, database)
    assert sum("total changed" in text for text in result.notices) == 4


@pytest.mark.parametrize("size", [1, PAGE - 1, PAGE, PAGE + 1, PAGE * 2])
def test_every_size_around_a_page_boundary_is_complete(size: int, database: str) -> None:
    population = Population(size, seed=8)
    with Simulator(population, limits=FREE) as sim:
        result = fetch(sim, database)
        assert len(sim.requests) == -(-size // PAGE)
    assert result.is_complete
    assert stored(database) == served(population)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(page_size_field="page0"),
        Behaviour(page_size_field="never"),
        Behaviour(total="every_page"),
        Behaviour(rotate_session_ids=True),
        Behaviour(max_page_size=7),
        Behaviour(ignore_page_size_request=True, page_size=33),
        Behaviour(gzip=False),
        Behaviour(page_echo_offset=1),
        Behaviour(snapshot="live"),
    ],
    ids=["size-on-page0", "no-size", "total-everywhere", "new-ids", "lowered", "ignored", "plain", "from-1", "live"],
)
def test_servers_that_differ_in_detail_give_the_same_table(behaviour: Behaviour, database: str) -> None:
    population = Population(PAGE * 6 + 3, seed=6)
    with Simulator(population, limits=FREE, behaviour=behaviour) as sim:
        assert fetch(sim, database).is_complete
    assert stored(database) == served(population)


LIMITS = [Behaviour(), Behaviour(honour_limit=False), Behaviour(honour_limit="each_page")]


@pytest.mark.parametrize("limit", [1, PAGE - 1, PAGE, PAGE + 1, PAGE * 2, PAGE * 5 - 3, PAGE * 5])
@pytest.mark.parametrize("total", ["page0", "every_page"])
@pytest.mark.parametrize("server", LIMITS, ids=lambda each: str(each.honour_limit))
def test_a_limit_is_kept_and_complete_whatever_the_server_makes_of_it(
    server: Behaviour, total: str, limit: int, database: str
) -> None:
    people = Population(PAGE * 4 + 5, seed=4)
    behaviour = replace(server, total=total)  # type: ignore[arg-type]
    wanted = min(limit, len(people))
    with Simulator(people, limits=FREE, behaviour=behaviour) as sim:
        result = fetch(sim, database, limit=limit)
        assert len(sim.requests) == -(-wanted // PAGE)
        with client_of(sim) as client:
            exported = list(client.export_profiles(page_size=PAGE, limit=limit))
            assert md.plan_fetch(client=client, page_size=PAGE, limit=limit).expected_rows == wanted
    assert (result.is_complete, result.total_rows, result.expected_rows) == (True, wanted, wanted)
    assert not result.notices
    assert stored(database) <= served(people)
    assert len(exported) == len({profile["$distinct_id"] for profile in exported}) == wanted


@pytest.mark.parametrize("server", LIMITS, ids=lambda each: str(each.honour_limit))
def test_a_limit_is_kept_by_a_run_that_goes_on(server: Behaviour, database: str) -> None:
    people, lost = Population(PAGE * 8, seed=4), Fault("status", page=2, attempts=None, status=500)
    with Simulator(people, limits=FREE, behaviour=replace(server, total="every_page"), faults=[lost]) as sim:
        assert fetch(sim, database, limit=PAGE * 3 - 5).failed_page_indices == (2,)
        sim.clear_faults()
        sim.clear_requests()
        result = fetch(sim, database, limit=PAGE * 3 - 5)
        assert [record.page for record in sim.requests] == [2]
    assert (result.is_complete, result.total_rows, result.notices) == (True, PAGE * 3 - 5, ())


def test_a_page_that_is_short_of_a_limit_is_still_odd(database: str) -> None:
    short = Fault("short_page", page=1, attempts=None, rows=3)
    with Simulator(Population(PAGE * 8), limits=FREE, behaviour=LIMITS[1], faults=[short]) as sim:
        result = fetch(sim, database, limit=PAGE + 5)
    assert not result.is_complete
    assert "Page 1: it has 3 profiles instead of 5; stored as it is." in result.notices


def test_a_page_in_the_middle_with_too_many_rows_is_odd_under_a_limit_too(database: str) -> None:
    def rows(index: int) -> list[dict[str, object]]:
        return [{"$distinct_id": f"{index}-{n}", "$properties": {}} for n in range(13 if index == 1 else 10)]

    class Generous:
        def query_engage_page(self, page: int, **_: object) -> dict[str, object]:
            return {"page": page, "page_size": 10, "total": 80, "session_id": "s", "results": rows(page)}

    result = md.fetch_profiles(database, client=Generous(), limit=25)
    assert "Page 1: it has 13 profiles instead of 10; stored as it is." in result.notices
    assert (result.total_rows, result.is_complete) == (28, False)
