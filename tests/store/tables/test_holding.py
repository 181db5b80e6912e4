"""What a table holds beside what is asked for: the same, a part of it, or something else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import ProfileQuery, UnsuitableTableError
from mixpanel_duckdb.store import FetchSpec
from mixpanel_duckdb.store.tables import Terms, check_holding, is_covered

HOST = "https://mixpanel.com"
PRO = {"where": 'properties["plan"] == "pro"'}
REPLACE, MERGE = Terms("replace"), Terms("merge")


def spec(project: str = "1", host: str = HOST, view: str = "", **filters: Any) -> FetchSpec:
    return FetchSpec("people", ProfileQuery(**filters).canonical(view), project, host)


# What the table holds, what is asked for, and the words that name both sides.
OTHER_EITHER_WAY = [
    (spec("1"), spec("2"), "holds project 1, but this fetch is of project 2"),
    (spec(), spec(host="https://eu.mixpanel.com"), "holds mixpanel.com, but this fetch is of eu.mixpanel.com"),
    (spec(), spec(view="7"), "holds no Data View, but this fetch is of Data View 7"),
    (spec(view="7"), spec(), "holds Data View 7, but this fetch is of no Data View"),
    (spec(), spec(data_group_id=5), "holds user profiles, but this fetch is of profiles of group key 5"),
    (spec(**PRO), spec(where="true"), "holds where=properties"),
    (spec(**PRO), spec(), "but this fetch is of all profiles"),
    (spec(cohort_id=1), spec(cohort_id=2), "filter_by_cohort="),
    (spec(), spec(cohort_id=1, include_all_users=True), "include_all_users=True"),
    (spec(), spec(output_properties=["plan"]), "holds all properties, but this fetch is of only the properties plan"),
    (spec(output_properties=["a", "b"]), spec(output_properties=["b"]), "holds only the properties a, b, but"),
    (spec("1", **PRO), spec("2"), "but this fetch is of project 2 and all profiles"),
    (spec(search="x" * 500), spec(), "xxx...,"),
]
OTHER_TO_REPLACE = [
    (spec(), spec(**PRO), "holds all profiles, but this fetch is of where="),
    (spec(), spec(distinct_ids=["a"]), "distinct_ids="),
    (spec(), spec(limit=50), "holds any number of profiles, but this fetch is of at most 50"),
    (spec(limit=5000), spec(limit=50), "holds at most 5,000 profiles"),
    (spec(limit=5, sort_key='properties["a"]'), spec(limit=5, sort_key='properties["b"]'), "sort_key="),
]
SAME = [
    (spec(), spec()),
    (spec(), spec(page_size=10)),
    (spec(), spec(sort_key='properties["a"]')),
    (spec(host="http://127.0.0.1:1234"), spec(host="http://127.0.0.1:4321")),
    (spec(distinct_ids=["a", "b"]), spec(distinct_ids=["b", "a"])),
    (spec(output_properties=["a", "b"]), spec(output_properties=["b", "a"])),
    (spec(output_properties=["a"]), spec(output_properties=["a", "b"])),
    (spec(output_properties=["a"]), spec()),
    (spec(limit=50), spec(limit=500)),
    (spec(limit=50), spec()),
    (spec(where="x", as_of_timestamp=1), spec(where="x", as_of_timestamp=2)),
]


def refusal(held: list[FetchSpec], asked: FetchSpec, terms: Terms) -> str | None:
    try:
        check_holding(held, asked, terms)
    except UnsuitableTableError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("held", "asked", "words"), OTHER_EITHER_WAY)
@pytest.mark.parametrize("terms", [REPLACE, MERGE], ids=lambda terms: terms.if_exists)
def test_something_else_is_refused_in_a_sentence_with_both_sides(held, asked, words, terms):
    told = refusal([held], asked, terms)
    assert told.startswith("Table 'people' holds ")
    assert words in told
    assert told.count(". ") == 1
    assert "--allow-other" in told
    assert refusal([held], asked, Terms(terms.if_exists, allow_other=True)) is None


@pytest.mark.parametrize(("held", "asked", "words"), OTHER_TO_REPLACE)
def test_a_part_may_be_merged_but_replaces_nothing(held, asked, words):
    assert words in refusal([held], asked, REPLACE)
    if "sort_key" not in held.query:
        assert refusal([held], asked, MERGE) is None


@pytest.mark.parametrize(("held", "asked"), SAME)
@pytest.mark.parametrize("terms", [REPLACE, MERGE], ids=lambda terms: terms.if_exists)
def test_how_the_same_is_asked_for_does_not_matter_nor_does_more_of_it(held, asked, terms):
    assert refusal([held], asked, terms) is None


@pytest.mark.parametrize(("one", "other"), [("", "1"), ("1", "")])
def test_what_is_not_known_is_not_refused_but_said(one, other):
    known = spec("1", view="7")
    unknown = FetchSpec("people", "{}")
    held, asked = (known, unknown) if one else (unknown, known)
    assert "is not known, so it was not compared: project 1" in check_holding([held], asked, MERGE)
    assert check_holding([unknown], unknown, MERGE) is None
    assert refusal([held], FetchSpec("people", '{"where":"x"}', asked.project_id), REPLACE)


def test_a_table_of_several_parts_is_each_of_them():
    mixed = [spec("1"), spec("2")]
    for terms in (REPLACE, MERGE):
        assert "project 2" in refusal(mixed, spec("1"), terms)
        assert "project 1" in refusal(mixed, spec("2"), terms)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "where": st.sampled_from(["a", "b"]),
        "cohort_id": st.sampled_from([1, 2]),
        "output_properties": st.lists(st.sampled_from("xyz"), min_size=1, unique=True),
        "data_group_id": st.sampled_from([5, 6]),
        "limit": st.sampled_from([10, 20]),
        "search": st.just("s"),
        "page_size": st.sampled_from([100, 200]),
    },
)
SPECS = st.builds(
    lambda project, view, filters: spec(project, HOST if project else "", view, **filters),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "7"]),
    FILTERS,
)


@given(SPECS)
def test_nothing_is_something_else_than_itself(one):
    assert refusal([one], one, REPLACE) is None
    assert refusal([one], one, MERGE) is None
    assert is_covered([one], one)


@given(SPECS, SPECS)
def test_what_may_replace_a_table_may_be_merged_into_it(one, other):
    if refusal([one], other, REPLACE) is None:
        assert refusal([one], other, MERGE) is None


@given(SPECS, SPECS)
def test_what_is_covered_may_be_merged_again(one, other):
    if is_covered([one], other):
        assert refusal([one], other, MERGE) is None
