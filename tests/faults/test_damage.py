"""Characters that no JSON may have, as a faulty proxy puts them into a body: the page is fetched again first."""

import pytest

from helpers import PAGE, client_of, fetch, served, stored
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 3, seed=8)
PLACES = [step / 24 for step in range(1, 24)]


def damaged(after: float, attempts: int | None = 1, page: int = 1) -> Simulator:
    fault = Fault("garbage_200", page=page, after=after, attempts=attempts)
    return Simulator(PEOPLE, limits=Limits(quota=None), behaviour=Behaviour(order="fixed"), faults=[fault])


@pytest.mark.parametrize("after", PLACES)
def test_damage_on_the_way_changes_nothing_wherever_it_is(after: float, database: str) -> None:
    with damaged(after) as sim:
        result = fetch(sim, database)
        assert [record.page for record in sim.requests].count(1) == 2
    assert (result.is_complete, result.mended_values, result.replaced_characters) == (True, 0, 0)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("after", PLACES[::4])
def test_damage_on_the_way_changes_nothing_of_what_is_exported(after: float) -> None:
    with damaged(after) as sim, client_of(sim) as client:
        assert list(client.export_profiles(page_size=PAGE)) == list(PEOPLE.profiles())
        sim.add_fault(Fault("garbage_200", page=0, after=after))
        assert client.query_engage_page(0, page_size=PAGE)["results"] == list(PEOPLE.profiles())[:PAGE]


def test_damage_that_stays_is_mended_and_counted(database: str) -> None:
    results = {}
    for after in PLACES:
        with damaged(after, attempts=None) as sim:
            result = fetch(sim, database, if_exists="replace")
        if result.is_complete:
            results[after] = (result.total_rows, result.mended_values)
    assert results, "none of the places was within a text"
    assert set(results.values()) == {(len(PEOPLE), 1)}
