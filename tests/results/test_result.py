"""The result: every number of the contract, in plain values, and the way to the rows."""

import copy
import dataclasses
import gc
import json
import pickle
from contextlib import nullcontext
from datetime import datetime, timedelta

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb import IncompleteFetchError, MixpanelError
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

CONTRACT = {
    "table", "total_rows", "successful_pages", "failed_pages", "failed_page_indices", "duration_seconds", "fetched_at",
    "expected_rows", "duplicate_rows", "resumed_pages", "requests", "retries", "waited_seconds", "published",
}  # fmt: skip


def fetched(database=":memory:", *faults, **options):
    with Simulator(Population(30, seed=3), behaviour=Behaviour(page_size=10)) as sim:
        for fault in faults:
            sim.add_fault(fault)
        who = md.Credentials.from_env(sim.environment())
        policy = md.RetryPolicy(attempts=1, first_delay=0.01)
        with md.MixpanelClient(who, base_url=sim.base_url, retry=policy) as client:
            return md.fetch_profiles(database, client=client, **options)


def broken(database=":memory:", **options):
    return fetched(database, Fault("status", page=2, status=500, attempts=None), **options)


@pytest.fixture(scope="module")
def result():
    return fetched()


def rows(relation):
    return len(relation.fetchall())


def test_it_has_the_contracts_fields_and_tells_them_in_plain_values(result):
    told = json.loads(json.dumps(result.to_dict()))
    assert set(told) >= CONTRACT | {"has_failures", "is_complete"}
    assert {field.name for field in dataclasses.fields(result) if not field.name.startswith("_")} <= set(told)
    assert (told["table"], told["total_rows"], told["expected_rows"], told["published"]) == ("profiles", 30, 30, True)
    assert (told["successful_pages"], told["failed_pages"], told["failed_page_indices"]) == (3, 0, [])
    assert datetime.fromisoformat(told["fetched_at"]).utcoffset() == timedelta(0)


def test_it_cannot_be_changed_and_shows_no_connection(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.total_rows = 1
    assert "_connect" not in repr(result)
    assert repr(result).startswith("ParallelProfileFetchResult(table='profiles', total_rows=30")


def test_an_incomplete_fetch_says_what_is_missing_and_how_to_go_on():
    result = broken()
    assert (result.has_failures, result.is_complete, result.published) == (True, False, False)
    assert (result.failed_pages, result.failed_page_indices, result.successful_pages) == (1, (2,), 2)
    told = json.loads(json.dumps(result.to_dict()))
    assert [each["page_index"] for each in told["errors"]] == [2]
    assert "500" in told["errors"][0]["error"]
    with pytest.raises(IncompleteFetchError, match=r"1 of 3 pages are missing.*run the same fetch again") as caught:
        result.raise_for_failures()
    assert caught.value.exit_code == 4
    assert rows(result.relation()) == 20


def test_a_complete_fetch_raises_nothing_and_says_so(result):
    result.raise_for_failures()
    assert result.summary().startswith("30 of 30 profiles in table 'profiles'")


def test_a_notebook_shows_it_and_escapes_what_is_not_ours(result):
    shown = dataclasses.replace(result, table="<script>alert('x')</script>&")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "30 of 30" in shown
    assert "3 of 3 pages" in shown
    assert "</span> complete</div>" in shown


def test_a_notebook_shows_what_is_missing_and_how_to_go_on():
    server_text = "<b>no</b>"
    result = dataclasses.replace(broken(), errors=((2, server_text),), notices=("started <over>",), duplicate_rows=4)
    shown = result._repr_html_()
    assert "</span> incomplete</div>" in shown
    assert "2 of 3 pages" in shown
    assert ">page 2: &lt;b&gt;no&lt;/b&gt;</td>" in shown
    assert "started &lt;over&gt;" in shown
    assert "4 rows of profiles that came on more than one page" in shown
    assert "run the same fetch again to go on" in shown


def test_of_many_missing_pages_a_notebook_shows_some_errors_and_all_indices():
    errors = tuple((index, "no such luck") for index in range(100, 200))
    result = dataclasses.replace(broken(), failed_pages=100, failed_page_indices=tuple(range(100, 200)), errors=errors)
    shown = result._repr_html_()
    assert ">100-199<" in shown
    assert shown.count("no such luck") == 5


@pytest.mark.parametrize("kind", ["path", "memory", "connection", "store"])
def test_rows_are_readable_after_everything_is_closed(tmp_path, kind):
    connection = duckdb.connect()
    path = str(tmp_path / "profiles.duckdb")
    if kind == "store":
        with md.ProfileStore(path) as store:
            result = fetched(store)
            assert rows(result.relation()) == 30
    else:
        result = fetched({"path": path, "memory": ":memory:", "connection": connection}[kind])
    gc.collect()
    for _ in range(2):
        assert rows(result.relation()) == 30
    relation = result.relation()
    gc.collect()
    assert rows(relation.filter("distinct_id IS NOT NULL")) > 0
    connection.close()


def test_a_relative_path_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = fetched("here.duckdb")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert rows(result.relation()) == 30


@pytest.mark.parametrize("gone", ["file", "table"])
def test_rows_that_are_gone_are_told_in_one_sentence_and_nothing_is_made(tmp_path, gone):
    path = tmp_path / "gone.duckdb"
    result = fetched(str(path))
    if gone == "file":
        path.rename(tmp_path / "elsewhere.duckdb")
    else:
        with duckdb.connect(str(path)) as connection:
            connection.execute("DROP TABLE profiles")
    with pytest.raises(
        md.StorageError, match="There is no database" if gone == "file" else "Could not read 'profiles'"
    ):
        result.relation()
    assert path.exists() == (gone == "table")


def test_a_connection_that_is_open_in_another_way_is_named_as_the_reason(tmp_path):
    path = str(tmp_path / "reading.duckdb")
    result = fetched(path)
    with duckdb.connect(path, read_only=True), pytest.raises(md.StorageError, match="has it open in another way"):
        result.relation()


def test_arrow_consumers_read_it_without_pyarrow(result):
    capsule = result.__arrow_c_stream__()
    assert "arrow_array_stream" in repr(capsule)
    del capsule
    # DuckDB is such a consumer itself.
    with duckdb.connect() as other:
        assert other.sql("SELECT count(*), count(distinct_id) FROM result").fetchall()[0][0] == 30


@pytest.mark.parametrize(
    ("method", "module", "extra"),
    [
        ("df", "pandas", "pandas"),
        ("pl", "polars", "polars"),
        ("pl", "pyarrow", "polars"),
        ("arrow", "pyarrow", "arrow"),
    ],
)
def test_a_missing_extra_is_named(result, monkeypatch, method, module, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == module else name)
    with pytest.raises(MixpanelError, match=rf'{module} is not installed; pip install "mixpanel-duckdb\[{extra}\]"'):
        getattr(result, method)()


@pytest.mark.parametrize(("method", "module"), [("df", "pandas"), ("pl", "polars"), ("arrow", "pyarrow")])
def test_frames_have_every_row(result, method, module):
    pytest.importorskip(module)
    frame = getattr(result, method)()
    assert len(frame) == 30


def test_a_result_without_a_database_says_so(result):
    alone = dataclasses.replace(result, _connect=None)
    with pytest.raises(MixpanelError, match="no database behind it"):
        alone.relation()
    assert pickle.loads(pickle.dumps(alone)) == alone == result


@pytest.mark.parametrize("database", [":memory:", "a connection"])
def test_a_result_of_memory_is_pickled_without_its_database(database):
    with duckdb.connect() if database != ":memory:" else nullcontext(database) as place:
        result = fetched(place)
        again = pickle.loads(pickle.dumps(result))
        assert again == result
        assert again.to_dict() == result.to_dict()
        for read in (again.relation, again.typed, again.timeline, again.__arrow_c_stream__):
            with pytest.raises(MixpanelError, match="no database behind it"):
                read()
        for kept in (copy.copy(result), copy.deepcopy(result), dataclasses.replace(result)):
            assert rows(kept.relation()) == 30
        assert pickle.loads(pickle.dumps(result.typed())).columns == result.typed().columns


def test_a_result_of_a_file_can_be_pickled(tmp_path):
    result = fetched(str(tmp_path / "profiles.duckdb"))
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert rows(again.relation()) == 30
