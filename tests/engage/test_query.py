"""Filters: each rule is checked before any request, and the server decodes exactly what was given."""

import json
import math
from contextlib import suppress
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb import ProfileQuery, QueryError
from mixpanel_duckdb.simulator import Population, Simulator

LOGIN = {"window": "30d", "name": "b1", "event_selectors": [{"event": "Login"}]}


@pytest.mark.parametrize(
    ("filters", "wire"),
    [
        ({}, {}),
        ({"where": 'properties["plan"] == "pro"'}, {"where": 'properties["plan"] == "pro"'}),
        ({"cohort_id": 7}, {"filter_by_cohort": '{"id":7}', "include_all_users": False}),
        ({"cohort_id": "7"}, {"filter_by_cohort": '{"id":7}', "include_all_users": False}),
        (
            {"cohort_id": 7, "include_all_users": True},
            {"filter_by_cohort": '{"id":7}', "include_all_users": True},
        ),
        (
            {"raw_cohort": {"name": "", "selector": {}}},
            {"filter_by_cohort": '{"raw_cohort":{"name":"","selector":{}}}', "include_all_users": False},
        ),
        ({"output_properties": ["$email", 'a"b', "é"]}, {"output_properties": '["$email","a\\"b","é"]'}),
        ({"distinct_id": "$device:1"}, {"distinct_id": "$device:1"}),
        ({"distinct_ids": ["a", "b"]}, {"distinct_ids": '["a","b"]'}),
        ({"data_group_id": "-1405123841946871899"}, {"data_group_id": "-1405123841946871899"}),
        ({"data_group_id": -1405123841946871899}, {"data_group_id": "-1405123841946871899"}),
        ({"data_group_id": " 0012 "}, {"data_group_id": "12"}),
        (
            {"behaviors": [LOGIN], "as_of_timestamp": 1, "where": '(behaviors["b1"] > 0)'},
            {
                "behaviors": '[{"event_selectors":[{"event":"Login"}],"name":"b1","window":"30d"}]',
                "as_of_timestamp": 1,
                "where": '(behaviors["b1"] > 0)',
            },
        ),
        ({"search": "ana"}, {"search": "ana"}),
        (
            {"sort_key": 'properties["$last_seen"]', "sort_order": "descending"},
            {"sort_key": 'properties["$last_seen"]', "sort_order": "descending"},
        ),
        ({"limit": 1, "page_size": 250}, {"limit": 1, "page_size": 250}),
    ],
)
def test_each_filter_has_its_wire_form(filters, wire):
    assert ProfileQuery(**filters).params() == wire
    assert ProfileQuery(**{**dict.fromkeys(ProfileQuery.model_fields), **filters}).params() == wire


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"where": "  "}, "where: is empty"),
        ({"where": 5}, "where"),
        ({"where": "\ud800"}, "lone surrogate"),
        ({"cohort_id": 0}, "cohort_id"),
        ({"cohort_id": -3}, "cohort_id"),
        ({"cohort_id": True}, "cohort_id: must be a whole number"),
        ({"cohort_id": "Trial"}, "cohort_id"),
        ({"include_all_users": True}, "include_all_users goes with a cohort"),
        ({"include_all_users": False}, "include_all_users goes with a cohort"),
        ({"cohort_id": 7, "raw_cohort": {"selector": {}}}, "cohort_id or raw_cohort, not both"),
        ({"raw_cohort": {"n": math.nan}}, "raw_cohort: holds what JSON cannot hold"),
        ({"filter_by_cohort": "7"}, 'filter_by_cohort: must be {"id": N}'),
        ({"filter_by_cohort": "not JSON"}, 'filter_by_cohort: must be {"id": N}'),
        ({"filter_by_cohort": {"id": 7, "negated": True}}, 'filter_by_cohort: must be {"id": N}'),
        ({"filter_by_cohort": {"name": "x"}}, 'filter_by_cohort: must be {"id": N}'),
        ({"filter_by_cohort": {"id": 7}, "cohort_id": 8}, "filter_by_cohort or cohort_id, not both"),
        ({"filter_by_cohort": {"id": "x"}}, "cohort_id"),
        ({"action": "count()"}, "mode='profiles'"),
        ({"where": "x", "action": "count()", "segment_by_cohorts": "{}"}, "action, segment_by_cohorts"),
        ({"output_properties": "$email"}, "must be a list, not one text"),
        ({"output_properties": []}, "output_properties is empty"),
        ({"output_properties": [""]}, "is empty"),
        ({"output_properties": ["a", 1]}, "output_properties.1"),
        ({"distinct_ids": []}, "distinct_ids is empty"),
        ({"distinct_ids": "a"}, "must be a list, not one text"),
        ({"distinct_ids": '{"a": 1}'}, "must be a list, not one text"),
        ({"distinct_ids": "[1]"}, "distinct_ids.0"),
        ({"distinct_id": "a", "distinct_ids": ["b"]}, "not both"),
        ({"distinct_id": ""}, "distinct_id: is empty"),
        ({"data_group_id": "companies"}, "not its name"),
        ({"data_group_id": 2**63}, "64 bits"),
        ({"data_group_id": "-" + "9" * 5000}, "64 bits"),
        ({"data_group_id": 1.5}, "numeric id"),
        ({"data_group_id": True}, "numeric id"),
        ({"data_group_id": "١٢"}, "not its name"),
        ({"behaviors": []}, "behaviors is empty"),
        ({"behaviors": "x"}, "must be a list"),
        ({"behaviors": [LOGIN], "cohort_id": 7}, "exclude each other"),
        ({"behaviors": [LOGIN], "raw_cohort": {"selector": {}}}, "exclude each other"),
        ({"behaviors": [{"n": math.nan}]}, "JSON cannot hold"),
        ({"behaviors": [{"n": {1, 2}}]}, "JSON cannot hold"),
        ({"behaviors": [{"n": "\ud800"}]}, "JSON cannot hold"),
        ({"behaviors": [LOGIN], "as_of_timestamp": -1}, "as_of_timestamp"),
        ({"sort_order": "ascending"}, "sort_order goes with sort_key"),
        ({"sort_key": "$last_seen"}, "must be a selector"),
        ({"sort_key": 'properties["a"]', "sort_order": "up"}, "sort_order"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1.5}, "page_size"),
        *(
            ({name: number}, name)
            for name in ("as_of_timestamp", "limit", "cohort_id", "page_size")
            for number in (2**63, 10**5000)
        ),
        ({"wher": "x"}, "wher: no such filter"),
    ],
)
def test_a_broken_rule_is_named_before_any_request(filters, words):
    with pytest.raises(QueryError) as caught:
        ProfileQuery(**filters)
    text = str(caught.value)
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text
    assert isinstance(caught.value, ValueError)
    assert caught.value.exit_code == 2


CALLS = {
    "fetch_profiles": lambda client: md.fetch_profiles(":memory:", client=client, limit=0),
    "plan_fetch": lambda client: md.plan_fetch(client=client, limit=0),
    "export_profiles": lambda client: next(client.export_profiles(limit=0)),
    "query_engage_page": lambda client: client.query_engage_page(0, limit=0),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_is_sent_for_a_wrong_filter(call):
    with Simulator(Population(3)) as sim:
        who = md.Credentials.from_env(sim.environment())
        with md.MixpanelClient(who, base_url=sim.base_url) as client, pytest.raises(QueryError):
            call(client)
        assert sim.requests == []


def test_a_query_cannot_be_changed_and_is_compared_by_value():
    query = ProfileQuery(where="x", output_properties=["a"])
    with pytest.raises(ValueError, match="frozen"):
        query.where = "y"
    assert query == ProfileQuery(output_properties=("a",), where="x")
    assert query != ProfileQuery(where="x")


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def filters(draw):
    given = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "where": texts,
                "output_properties": st.lists(texts, min_size=1, max_size=4),
                "data_group_id": st.integers(-(2**63), 2**63 - 1),
                "search": texts,
                "limit": st.integers(1, 10**12),
                "page_size": st.integers(1, 10**6),
            },
        )
    )
    given |= draw(
        st.sampled_from([{}, {"distinct_id": draw(texts)}, {"distinct_ids": draw(st.lists(texts, min_size=1))}])
    )
    behaviors = {"behaviors": draw(st.lists(st.dictionaries(texts, json_values), min_size=1, max_size=2))}
    inline = {"raw_cohort": draw(st.dictionaries(texts, json_values))}
    given |= draw(st.sampled_from([{}, {"cohort_id": draw(st.integers(1, 2**40))}, inline, behaviors]))
    given |= draw(st.sampled_from([{}, {"sort_key": f"properties[{json.dumps(draw(texts))}]"}]))
    return given


def decoded(wire):
    """What a server reads from a form, back in our words."""
    for name in ("output_properties", "distinct_ids", "behaviors", "filter_by_cohort"):
        if name in wire:
            wire[name] = json.loads(wire[name])
    for name in ("limit", "page_size", "as_of_timestamp"):
        if name in wire:
            wire[name] = int(wire[name])
    if "filter_by_cohort" in wire:
        ((key, value),) = wire.pop("filter_by_cohort").items()
        wire[{"id": "cohort_id", "raw_cohort": "raw_cohort"}[key]] = value
        assert wire.pop("include_all_users").lower() == "false"
    return wire


@given(filters=filters())
def test_a_form_holds_exactly_what_was_given(filters):
    request = httpx.Request("POST", "https://mixpanel.com", data=ProfileQuery(**filters).params())
    wire = dict(parse_qsl(request.content.decode("ascii"), keep_blank_values=True, strict_parsing=bool(filters)))
    expected = {**filters, **({"data_group_id": str(filters["data_group_id"])} if "data_group_id" in filters else {})}
    assert decoded(wire) == expected


@settings(max_examples=25)
@given(filters=filters())
def test_the_server_is_asked_exactly_what_was_given(served, filters):
    sim, client = served
    sim.clear_requests()
    query = ProfileQuery(**filters)
    with suppress(md.MixpanelError):  # the simulator cannot evaluate any text as an expression
        client.fetch_page(0, query)
    sent = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in query.params().items()
    }
    asked = dict(sim.requests[0].params)
    assert asked.pop("project_id")
    assert asked.pop("page") == "0"
    assert asked == sent


@pytest.fixture(scope="module")
def served():
    with Simulator(Population(1)) as sim:
        who = md.Credentials.from_env(sim.environment())
        policy = md.RetryPolicy(attempts=1)
        with md.MixpanelClient(who, base_url=sim.base_url, retry=policy) as client:
            yield sim, client


@given(filters=filters(), other=filters(), data=st.data())
def test_equal_queries_have_one_canonical_text_and_others_another(filters, other, data):
    shuffled = dict(data.draw(st.permutations(list(filters.items()))))
    if "behaviors" in shuffled:
        shuffled["behaviors"] = [dict(reversed(each.items())) for each in shuffled["behaviors"]]
    one, same, another = ProfileQuery(**filters), ProfileQuery(**shuffled), ProfileQuery(**other)
    assert one == same
    assert one.canonical() == same.canonical()
    assert (one.canonical() == another.canonical()) == (one.params() == another.params())
    assert json.loads(one.canonical()) == one.params()


@given(filters=filters())
def test_the_servers_own_parameters_make_the_same_query(filters):
    query = ProfileQuery(**filters)
    assert ProfileQuery(**query.params()).canonical() == query.canonical()
