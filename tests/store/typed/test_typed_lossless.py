"""Whatever the profiles are, typed columns lose no value of them."""

import json
import random
from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from any_json import strict_objects
from mixpanel_duckdb.simulator import Behaviour, Limits, Population, Simulator
from store.reading import exact, read_back

MANY = 40_000


def odd_properties(i: int, rng: random.Random) -> dict[str, Any]:
    """What the realistic profiles do not have: collisions, borders between types, regular and irregular nesting."""
    odd = {
        "$plan": f"p{i % 3}",
        "PLAN": i % 2 == 0,
        "distinct_id": -i,
        "$distinct_id": f"inner {i}",
        "properties": {"i": i},
        "Last_Seen": None if i % 3 else i / 7,
        "around_2_53": 2**53 + i % 3 - 1 if i % 2 else i / 3,
        "up_to_2_53": 2**53 - i if i % 2 else i / 3,
        "around_2_63": 2**63 + rng.randrange(-5, 5),
        "from_2_63": 2**63 + i,
        "around_2_64": 2**64 + rng.randrange(-5, 5),
        "around_2_127": rng.choice((1, -1)) * 2**127 + rng.randrange(-3, 3),
        "moment_z": f"2025-03-{i % 28 + 1:02}T00:00:{i % 60:02}Z",
        "moment_ms": f"2025-03-{i % 28 + 1:02}T00:00:59.{i % 1000:03}",
        "two_formats": f"2025-03-01T00:00:00{'Z' if i % 2 else ''}",
        "nearly_moments": "2025-02-29T00:00:00" if i % 500 == 3 else "2025-02-28T00:00:00",
        "point": {"lat": i / 1000, "lon": None if i % 7 else i},
        "sometimes_more": {"a": 1} if i % 11 else {"a": 1, "b": 2},
        "by_case": {"a": 1, "A": i},
        "by_key": {f"k{i}": i},
        "orders": [
            {"sku": f"s{j}", "price": j if j % 2 else f"{j} EUR", "tags": [None, "x"][:j]} for j in range(i % 4)
        ],
        "matrix": [[i, 2**62], []],
        "list_or_object": [i] if i % 2 else {"i": i},
        "deep": [[[[[[[i]]]]]]],
        "ünïcödé ключ 🦆": "значение\u0000🦆",
        "a\0b": i,
        "a\0c": str(i),
        "q\"uo'te;--": rng.random(),
        "$": i,
        "x" * 300: i,
    }
    return {name: value for name, value in odd.items() if rng.random() < 0.4}


@pytest.fixture(scope="module")
def population():
    rng = random.Random(11)
    profiles = []
    for i, profile in enumerate(Population(MANY, seed=4).profiles()):
        if i % 4 == 0:
            profile["$properties"].update(odd_properties(i // 4, rng))
        profiles.append(profile)
    return Population.of(profiles)


@pytest.fixture(scope="module")
def typed(population, tmp_path_factory):
    path = tmp_path_factory.mktemp("typed") / "profiles.duckdb"
    with Simulator(population, behaviour=Behaviour(page_size=5000), limits=Limits(quota=None)) as sim:
        who = md.Credentials.from_env(sim.environment())
        result = md.fetch_profiles(path, credentials=who, base_url=sim.base_url)
    return result.typed()


def test_every_value_of_40_000_odd_profiles_is_read_back(population, typed):
    sent = {str(profile["$distinct_id"]): profile["$properties"] for profile in population.profiles()}
    assert len(sent) == MANY
    for name, got in read_back(typed):
        want = {key: value for key, value in sent.pop(name).items() if value is not None}
        assert exact(got) == exact(want), name
    assert not sent


def test_the_report_of_40_000_odd_profiles_counts_every_value(population, typed):
    rows, nulls = Counter(), Counter()
    for profile in population.profiles():
        rows.update(profile["$properties"].keys())
        nulls.update(key for key, value in profile["$properties"].items() if value is None)
    assert {each.property: each.rows for each in typed.columns} == rows
    assert {each.property: each.nulls for each in typed.columns if each.nulls} == nulls
    assert all(each.coverage == each.rows / MANY for each in typed.columns)
    assert len({each.column.lower() for each in typed.columns}) == len(rows)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@settings(max_examples=60)
@given(profiles=st.lists(strict_objects, max_size=6), materialize=st.booleans())
@example(profiles=[{"a": float("inf"), "b": -float("inf"), "c": 1e308}, {"a": 1, "b": 2, "c": 3}], materialize=False)
def test_any_profiles_are_read_back(connection, profiles, materialize):
    # Lone surrogates are the store's matter: it has replaced them before anything is typed.
    texts = [text for text in map(json.dumps, profiles) if "\\ud" not in text]
    connection.execute("CREATE OR REPLACE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.execute("INSERT INTO profiles SELECT NULL, unnest($1::JSON[]), NULL", [texts])
    made = md.type_columns(connection, materialize=materialize)
    sent = [json.loads(text) for text in texts]
    wanted = [{key: value for key, value in each.items() if value is not None} for each in sent]
    assert [exact(properties) for _, properties in read_back(made)] == exact(wanted)
    assert sum(each.nulls for each in made.columns) == sum(map(len, sent)) - sum(map(len, wanted))
