"""Lists of filters in every form that Python has for them: one question, in every process."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from helpers import PAGE, client_of, committed
from mixpanel_duckdb import ProfileQuery, QueryError
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

LISTS = ["output_properties", "distinct_ids"]
NAMES = ["plan", "$email", "Größe", "a,b"]
ORDERED: dict[str, Callable[[list[str]], Iterable[str]]] = {
    "a tuple": tuple,
    "a deque": deque,
    "a generator": iter,
    "keys": lambda names: dict.fromkeys(names).keys(),
    "values": lambda names: dict(enumerate(names)).values(),
    "JSON": json.dumps,
}
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("kind", ORDERED)
def test_what_has_an_order_keeps_it(name: str, kind: str) -> None:
    assert ProfileQuery(**{name: ORDERED[kind](NAMES)}) == ProfileQuery(**{name: NAMES})


@pytest.mark.parametrize("name", LISTS)
def test_arrays_and_columns_are_lists_too(name: str) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for column in (pandas.Series(NAMES), pandas.Index(NAMES), pandas.Series(NAMES).to_numpy(), polars.Series(NAMES)):
        query = ProfileQuery(**{name: column})
        assert query == ProfileQuery(**{name: NAMES})
        assert json.loads(str(query.params()[name])) == NAMES


@given(names=st.sets(texts, min_size=1), of=st.sampled_from([set, frozenset]))
def test_a_set_is_sorted(names: set[str], of: Callable[[Any], Any]) -> None:
    assert ProfileQuery(distinct_ids=of(names)) == ProfileQuery(distinct_ids=sorted(names))


def test_a_set_asks_the_same_in_every_process() -> None:
    code = f"import mixpanel_duckdb as md; print(md.ProfileQuery(output_properties=set({NAMES})).canonical())"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("value", [{"a": 1}, b"plan", bytearray(b"plan"), {1, "a"}, 5, [["a"]], [b"\xff"], [None], {}])
def test_what_is_no_list_of_texts_is_refused_in_one_sentence(name: str, value: object) -> None:
    with pytest.raises(QueryError, match=rf"^{name}.*\.$"):
        ProfileQuery(**{name: value})


def test_a_generator_is_read_once_and_its_fetch_goes_on(database: str) -> None:
    lost = Fault("status", page=2, attempts=None, status=500)
    with (
        Simulator(Population(PAGE * 4, seed=3), limits=Limits(quota=None), faults=[lost]) as sim,
        client_of(sim) as mine,
    ):

        def run(names: Iterable[str]) -> md.ParallelProfileFetchResult:
            return md.fetch_profiles(database, client=mine, output_properties=names, page_size=PAGE)

        assert not run(name for name in ["plan", "$email"]).is_complete
        assert committed(database) == {0, 1, 3}
        sim.clear_faults()
        again = run(name for name in ["plan", "$email"])
    assert again.is_complete
    assert again.resumed_pages == 3
