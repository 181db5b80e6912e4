import json
import time

from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.simulator.pages import SegmentCache, View
from mixpanel_duckdb.simulator.realistic import ODDITIES
from simulator.calling import PATH, ask, result


def test_same_seed_gives_same_profiles_and_another_seed_others():
    assert list(Population(300, seed=7).rows) == list(Population(300, seed=7).rows)
    assert list(Population(300, seed=7).rows) != list(Population(300, seed=8).rows)


def test_ids_are_unique_even_as_text():
    for population in (Population(5000, seed=1), Population.uniform(20_000, seed=1)):
        assert len({str(profile["$distinct_id"]) for profile in population.profiles()}) == len(population)


def test_the_first_hundred_profiles_show_every_oddity():
    names = set().union(*(profile["$properties"] for profile in Population(100).profiles()))
    assert names >= set().union(*(oddity(1) for oddity in ODDITIES))
    found = list(Population(100).profiles())
    assert any(isinstance(profile["$distinct_id"], int) for profile in found)
    assert any(str(profile["$distinct_id"]).startswith("$device:") for profile in found)
    assert any("$last_seen" not in profile["$properties"] for profile in found)
    assert {type(profile["$properties"].get("seats")) for profile in found} >= {int, str, float}


def test_served_profiles_are_the_population():
    population = Population(2345, seed=4)
    with Simulator(population) as sim:
        served = result(sim)
    key = json.dumps
    assert sorted(map(key, served)) == sorted(map(key, population.profiles()))


def test_raw_profiles_are_served_byte_for_byte():
    rows = [
        b'{"$distinct_id":"\\ud800","$properties":{"x":1e400,"x":-0.0}}',
        b'{"$distinct_id": "bad \xff utf-8"}',
        b'{"$distinct_id":null, "$properties":null}',
    ]
    with Simulator(Population.raw(rows)) as sim:
        body = ask(sim, page=0).content
    assert b", ".join(rows) in body


def test_an_empty_population_answers_with_an_empty_page():
    with Simulator(Population.of([])) as sim:
        answer = ask(sim, page=0).json()
    assert (answer["results"], answer["total"], answer["status"]) == ([], 0, "ok")


def test_group_profiles_are_found_by_their_long_negative_id():
    groups = {"-1405123841946871899": Population.of([{"$distinct_id": "firm", "$properties": {}}])}
    with Simulator(Population(10, groups=groups)) as sim:
        found = ask(sim, page=0, data_group_id="-1405123841946871899").json()
        missing = ask(sim, page=0, data_group_id="5").json()
    assert [row["$distinct_id"] for row in found["results"]] == ["firm"]
    assert missing["total"] == 0


def test_uniform_profiles_have_28_properties_and_the_wanted_size():
    population = Population.uniform(1000, profile_bytes=1000)
    assert all(len(profile["$properties"]) == 28 for profile in population.profiles())
    assert 950 < sum(map(len, population.rows)) / 1000 < 1050
    assert 250 < sum(map(len, Population.uniform(1000, profile_bytes=300).rows)) / 1000 < 350


def test_five_million_uniform_profiles_cost_no_time_until_they_are_looked_at(at_most):
    started = time.perf_counter()
    population = Population.uniform(5_000_000)
    assert population.rows[4_999_999] == population.rows[-1] == population.rows[4_999_998:][1]
    assert time.perf_counter() - started < at_most(3)


def test_encoded_pages_beyond_the_memory_budget_are_read_back_from_disk():
    cache = SegmentCache(memory_bytes=1)
    view = View(0, Population(50).rows, cache)
    first = view.segment(0, 20, 4)
    assert view.segment(0, 20, 4) == first
    assert view.segment(0, 20, 4) is not first
    cache.clear()


def test_properties_endpoint_lists_names_with_type_and_count():
    import httpx

    with Simulator(Population(200), auth="any") as sim:
        answer = httpx.get(sim.base_url + PATH + "/properties", params={"limit": 3}).json()
    assert answer["status"] == "ok"
    assert len(answer["results"]) == 3
    assert all(set(entry) == {"type", "count"} for entry in answer["results"].values())
