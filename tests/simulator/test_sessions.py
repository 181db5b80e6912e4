import json
import time

import pytest

from mixpanel_duckdb.simulator import Behaviour, Edit, Population, Simulator
from simulator.calling import ask, ids, people, result

UNCACHED = "request for page in uncached query for params"


def uncached(answer):
    return answer.status_code == 400 and answer.json()["error"] == UNCACHED


def test_page_order_is_stable_in_a_session_and_differs_between_sessions():
    with Simulator(Population.of(people(200)), behaviour=Behaviour(page_size=10)) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        reads = [ids(ask(sim, page=4, session_id=session_id).json()["results"]) for _ in range(2)]
        orders = [ids(result(sim)) for _ in range(3)]
    assert reads[0] == reads[1]
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


def test_fixed_order_is_the_populations():
    with Simulator(Population.of(people(35)), behaviour=Behaviour(page_size=10, order="fixed")) as sim:
        assert ids(result(sim)) == [f"p{i}" for i in range(35)]


@pytest.mark.parametrize("changed", [{"where": 'properties["n"] > 3'}, {"limit": 5}, {"output_properties": '["n"]'}])
def test_changed_parameters_miss_the_session(changed):
    with Simulator(Population.of(people(30)), behaviour=Behaviour(page_size=10)) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        assert uncached(ask(sim, page=1, session_id=session_id, **changed))


def test_unknown_names_and_page_size_do_not_belong_to_the_session():
    with Simulator(Population.of(people(30)), behaviour=Behaviour(page_size=10)) as sim:
        session_id = ask(sim, page=0, page_size=7, query_origin="test").json()["session_id"]
        assert len(ask(sim, page=1, session_id=session_id).json()["results"]) == 7


def test_an_unknown_session_is_refused_with_the_chosen_status_and_text():
    with Simulator(behaviour=Behaviour(uncached_status=404, uncached_text="session gone")) as sim:
        answer = ask(sim, page=1, session_id="1-nobody")
    assert (answer.status_code, answer.json()["error"]) == (404, "session gone")


def test_sessions_end_with_their_lifetime_or_on_demand():
    with Simulator(Population(20), behaviour=Behaviour(page_size=5, session_lifetime=0.01)) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        time.sleep(0.02)
        assert uncached(ask(sim, page=1, session_id=session_id))
    with Simulator(Population(20), behaviour=Behaviour(page_size=5, session_lifetime=3600)) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        assert ask(sim, page=1, session_id=session_id).status_code == 200
        sim.expire_sessions()
        assert uncached(ask(sim, page=1, session_id=session_id))


def test_rotating_ids_all_stay_valid():
    with Simulator(Population(50), behaviour=Behaviour(page_size=5, rotate_session_ids=True)) as sim:
        first = ask(sim, page=0).json()["session_id"]
        second = ask(sim, page=1, session_id=first).json()["session_id"]
        assert first != second
        again = [ask(sim, page=2, session_id=session_id).json()["results"] for session_id in (first, second)]
        attempts = [record.attempt for record in sim.requests if record.page == 2]
    assert again[0] == again[1]
    assert attempts == [1, 2]


def test_a_frozen_session_keeps_the_profiles_of_its_first_page():
    with Simulator(Population.of(people(40)), behaviour=Behaviour(page_size=10)) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        sim.replace_population(Population.of(people(5)))
        assert len(ask(sim, page=1, session_id=session_id).json()["results"]) == 10
        assert len(result(sim)) == 5


def test_inserts_in_a_live_result_repeat_rows_and_deletes_skip_some():
    new = json.dumps({"$distinct_id": "new", "$properties": {}}).encode()
    for edit, lost, repeated in (
        (Edit(before=1, insert=(new,)), set(), ["p9"]),
        (Edit(before=1, delete=(0, 1)), {"p10", "p11"}, []),
    ):
        live = Behaviour(page_size=10, snapshot="live", edits=(edit,))
        with Simulator(Population.of(people(30)), behaviour=live) as sim:
            found = ids(result(sim))
        assert set(ids(people(30))) - set(found) >= lost
        assert [name for name in set(found) if found.count(name) > 1] == repeated


def test_updates_in_a_live_result_show_on_later_pages():
    changed = json.dumps({"$distinct_id": "p12", "$properties": {"n": "changed"}}).encode()
    live = Behaviour(page_size=10, snapshot="live", edits=(Edit(before=1, update={12: changed}),))
    with Simulator(Population.of(people(30)), behaviour=live) as sim:
        assert result(sim)[12]["$properties"] == {"n": "changed"}


def test_a_live_session_follows_a_replaced_population():
    with Simulator(Population.of(people(30)), behaviour=Behaviour(page_size=10, snapshot="live")) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        sim.replace_population(Population.of(people(12)))
        assert ids(ask(sim, page=1, session_id=session_id).json()["results"]) == ["p10", "p11"]


def test_behaviors_need_a_fixed_moment_to_be_paged():
    behaviors = json.dumps([{"window": "30d", "name": "b1", "event_selectors": [{"event": "Login"}]}])
    query = {"behaviors": behaviors, "where": '(behaviors["b1"] > 0)'}
    with Simulator(Population.of(people(60)), behaviour=Behaviour(page_size=10)) as sim:
        session_id = ask(sim, page=0, **query).json()["session_id"]
        assert uncached(ask(sim, page=1, session_id=session_id, **query))
        assert 0 < len(result(sim, as_of_timestamp=1_700_000_000, **query)) < 60
        clash = ask(sim, page=0, filter_by_cohort='{"id": 1}', **query)
    assert clash.status_code == 400
