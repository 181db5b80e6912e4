import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from mixpanel_duckdb.simulator.selection import project
from mixpanel_duckdb.simulator.where import Where, WhereError
from simulator.calling import ask, ids, people, result

ANA = {"plan": "pro", "seats": 4, "beta": True, "tags": ["a"], "gone": None, "$last_seen": "2026-09-01T13:44:10"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('properties["plan"] == "pro"', True),
        ('properties["plan"] != "pro"', False),
        ('properties["missing"] == "pro"', False),
        ('properties["seats"] >= 4 and properties["seats"] < 5', True),
        ('properties["seats"] < "5"', False),
        ('properties["plan"] == "free" or not properties["missing"]', True),
        ('"a" in properties["tags"]', True),
        ('properties["plan"] in ["free", "pro"]', True),
        ('"ro" in properties["plan"]', True),
        ('defined(properties["gone"]) and not defined(properties["missing"])', True),
        ('number("4") == properties["seats"]', True),
        ('string(properties["beta"]) == "true"', True),
        ('boolean(properties["seats"])', True),
        ('properties["beta"] == true', True),
        ('properties["beta"] == 1', False),
        ('properties["$last_seen"] >= "2024-01-01T00:00:00"', True),
        ('datetime(properties["$last_seen"]) > datetime("2026-09-01T13:44:09")', True),
        ("datetime(1600000000000) == datetime(1600000000)", True),
        ("defined(datetime(0))", False),
        ("NOW - 604800 < NOW", True),
        ("NOW -(604800) < NOW", True),
        ("-1 < 0 and [-1] == [-1]", True),
        ('properties["seats"] - number("1") == 3', True),
        ('properties["seats"] == 5 - 1', True),
        ('properties["seats"] + 1 == 5', True),
        ('properties["missing"] < 5', False),
    ],
)
def test_where_reads_the_grammar_of_the_docs(expression, expected):
    assert Where.parse(expression).matches(ANA) is expected


@pytest.mark.parametrize(
    "expression",
    ["", "properties", "properties[1]", "events['x']", "open('x')", "properties.get('x')", "1 if 2 else 3", "x == 1",
     "lambda: 1", "2 ** 9", "[i for i in [1]]", "defined()", "1 is 1", "(" * 500, "true or x"],
)  # fmt: skip
def test_where_refuses_what_is_outside_the_grammar(expression):
    with pytest.raises(WhereError):
        Where.parse(expression)


@pytest.mark.parametrize(
    "expression",
    ["NOW -604800 < NOW", "NOW-604800", "NOW - (-1) -2", '"é" == "é" and NOW\t-1 < 2', "(NOW\n-1)", "datetime(NOW -1)"],
)
def test_where_refuses_a_minus_sign_that_makes_two_values_of_one_difference(expression):
    with pytest.raises(WhereError, match="minus"):
        Where.parse(expression)


@given(st.text(alphabet='properties["x"] =<>!andornotin()+-12.,NOW\n#', max_size=60))
def test_where_either_reads_a_text_or_refuses_it(expression):
    try:
        where = Where.parse(expression)
    except WhereError:
        return
    assert where.matches(ANA) in (True, False)


@pytest.fixture(scope="module")
def sim():
    with Simulator(Population.of(people(60)), behaviour=Behaviour(page_size=25)) as running:
        yield running


def test_where_selects_profiles_and_total_counts_them(sim):
    assert ask(sim, where='properties["plan"] == "pro"').json()["total"] == 30
    assert {row["$properties"]["plan"] for row in result(sim, where='properties["plan"] == "pro"')} == {"pro"}


def test_ids_select_profiles_alone_or_as_a_list(sim):
    assert ids(ask(sim, distinct_id="p7").json()["results"]) == ["p7"]
    assert sorted(ids(ask(sim, distinct_ids='["p1", "p2", "nobody"]').json()["results"])) == ["p1", "p2"]
    assert ask(sim, distinct_id="nobody").json()["total"] == 0


def test_integer_ids_are_found_by_their_text():
    with Simulator(Population.of([{"$distinct_id": 4, "$properties": {}}])) as sim:
        assert ids(ask(sim, distinct_id="4").json()["results"]) == [4]


def test_a_cohort_has_the_same_members_always_and_some_without_profile_by_default(sim):
    both = result(sim, filter_by_cohort='{"id": 12}')
    known = result(sim, filter_by_cohort='{"id": 12}', include_all_users=False)
    assert 0 < len(known) < 60
    assert {row["$distinct_id"] for row in known} < {row["$distinct_id"] for row in both}
    assert any("$properties" not in row for row in both)
    assert all("$properties" in row for row in known)
    assert ids(known) != ids(result(sim, filter_by_cohort='{"id": 13}', include_all_users="false"))


def test_limit_caps_the_result_and_total(sim):
    assert ask(sim, limit=30).json()["total"] == 30
    assert len(result(sim, limit=30)) == 30
    with Simulator(Population(60), behaviour=Behaviour(honour_limit=False)) as lax:
        assert ask(lax, limit=30).json()["total"] == 60


def test_search_looks_at_id_mail_and_name():
    profiles = [
        {"$distinct_id": "needle-1", "$properties": {}},
        {"$distinct_id": "b", "$properties": {"$email": "Needle@example.org"}},
        {"$distinct_id": "c", "$properties": {"other": "needle"}},
    ]
    with Simulator(Population.of(profiles)) as sim:
        assert ids(ask(sim, search="needle").json()["results"]) == ["needle-1", "b"]


def test_sort_key_orders_the_whole_result():
    with Simulator(Population.of(people(30)), behaviour=Behaviour(order="fixed", page_size=8)) as sim:
        found = result(sim, sort_key='properties["n"]', sort_order="descending")
    assert ids(found) == [f"p{i}" for i in reversed(range(30))]


def test_output_properties_keep_only_the_named_ones(sim):
    rows = result(sim, output_properties='["n", "nothing"]')
    assert all(set(row["$properties"]) == {"n"} for row in rows)


def test_projection_keeps_the_literal_text_of_values():
    row = b'{"$distinct_id":"a", "$properties" : {"x": 1.10,"y":[1e400 , {"x":2}],"z":"\\ud800","bad":"\xff"}}'
    assert project(row, frozenset({"x", "y", "z"})) == (
        b'{"$distinct_id": "a", "$properties": {"x": 1.10, "y": [1e400 , {"x":2}], "z": "\\ud800"}}'
    )
    assert project(b'{"$distinct_id":"a"}', frozenset({"x"})) == b'{"$distinct_id": "a"}'


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
)
def test_projection_to_all_names_changes_no_value(properties):
    row = json.dumps({"$distinct_id": 1, "$properties": properties}).encode()
    assert json.loads(project(row, frozenset(properties))) == json.loads(row)
