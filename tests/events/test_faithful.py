"""Whatever an event holds is in the table, and what could not be kept as it came is counted."""

import json
import os

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from events.exporting import client_for, exporting
from events.test_fetch import FIRST, fetched
from mixpanel_duckdb.fidelity import decoded, encoded
from mixpanel_duckdb.simulator import EventPopulation
from mixpanel_duckdb.store.events.spool import Spool

NOON = 1767268800000  # of the first day


def stored(lines, database=":memory:"):
    """What a table has of a day of these lines: events, properties, and the result."""
    with exporting(EventPopulation.raw({FIRST: lines})) as sim, md.ProfileStore(database) as store:
        result = fetched(sim, store, FIRST, FIRST)
        with store.reader()() as connection:
            rows = connection.execute("SELECT event, properties FROM events ORDER BY properties").fetchall()
    return rows, result


def line(properties, *, before="", behind="", event='"a"'):
    return f'{{{before}"event":{event},"properties":{{"time":{NOON}{properties}}}{behind}}}'.encode()


def test_values_deeper_than_functions_of_duckdb_bear_are_texts_and_counted():
    deep = "[" * 1500 + "]" * 1500
    rows, result = stored([line(f',"v":{deep}'), line(',"v":[[1]]')])
    assert result.flattened_values == 1
    kept = f'{{"time":{NOON},"v":' + "[" * 999 + '"' + "[" * 501 + "]" * 501 + '"' + "]" * 999 + "}"
    assert {text for _, text in rows} == {kept, f'{{"time":{NOON},"v":[[1]]}}'}


@pytest.mark.parametrize(
    ("value", "kept", "count"),
    [
        (r'"\ud83d"', "\ufffd", "replaced_characters"),
        (r'"\ud83d\ud83d"', "\ufffd\ufffd", "replaced_characters"),
        ("NaN", "NaN", "mended_values"),
        ("nAn", "NaN", "mended_values"),
        ("-iNF", "-Infinity", "mended_values"),
        ("-Infinity", "-Infinity", "mended_values"),
        ('"a\tb"', "a\tb", "mended_values"),
        ("[1,]", [1], "mended_values"),
    ],
)
def test_what_is_not_json_is_mended_and_counted_and_what_is_beside_it_stays(value, kept, count):
    plain = [line(f',"n":{number}') for number in range(3)]
    rows, result = stored([*plain, line(f',"v":{value}'), *plain])
    assert result.total_rows == 7
    assert [json.loads(text).get("v") for _, text in rows].count(kept) == 1
    assert sorted(json.loads(text)["n"] for _, text in rows if "n" in json.loads(text)) == [0, 0, 1, 1, 2, 2]
    if value != "[1,]":
        assert getattr(result, count) == (len(kept) if count == "replaced_characters" else 1)


DEEP = ["[" * levels + "]" * levels for levels in (1000, 1500, 20_000)]


@pytest.mark.parametrize(
    "value",
    [r'"\ud83d"', '"BAD"', "NaN", "nan", "-Infinity", '"a\tb"', "[1,]", "1" * 5000, *DEEP],
    ids=lambda value: f"{value[:10]} {len(value)}",
)
@pytest.mark.parametrize("last", [False, True])
def test_the_stream_gives_each_event_as_the_table_keeps_it_also_at_its_end(value, last):
    lines = [line(f',"v":{value}').replace(b"BAD", b"\xff"), line("")][:: -1 if last else 1]
    with exporting(EventPopulation.raw({FIRST: lines})) as sim, client_for(sim) as client:
        streamed = [encoded(event["properties"]) for event in client.export_events(FIRST, FIRST)]
    rows, result = stored(lines)
    assert result.is_complete
    assert sorted(streamed) == sorted(encoded(decoded(text.encode())[0]) for _, text in rows)


@pytest.mark.parametrize(
    "other",
    [
        b'{"name":"ana","properties":{"time":1}}',
        b'{"properties":{"who":"ana"}}',
        b'{"event":"ana"}',
        b'{"event":"a","properties":["ana"]}',
        b'["ana"]',
        b'{"event":"ana","properties":null}',
        b'{"event":"ana","properties":null,"n":1e5}',
    ],
    ids=str,
)
@pytest.mark.parametrize("last", [False, True])
def test_a_line_without_event_or_properties_is_none_and_no_error_tells_what_it_holds(other, last):
    lines = [line(""), other, *[line("")] * (not last)]
    refusal = pytest.raises(md.UnreadableAnswerError, match=r"is no (whole )?event")
    with exporting(EventPopulation.raw({FIRST: lines})) as sim, client_for(sim) as client, refusal as refused:
        list(client.export_events(FIRST, FIRST))
    assert "ana" not in str(refused.value.to_dict())
    rows, result = stored(lines)
    assert not rows
    assert result.failed_date_ranges == ((FIRST, FIRST),)
    assert "ana" not in str(result.errors)


def test_an_event_without_a_name_is_kept():
    rows, result = stored([line("", event="null"), line("")])
    assert {name for name, _ in rows} == {"a", None}
    assert result.rows_with_other_fields == 0


@pytest.mark.parametrize("blank", [b"", b" ", b"\t ", b"\r", b"\x0b\x0c"], ids=str)
@pytest.mark.parametrize("may_read_files", [True, False])
def test_a_line_of_white_space_is_no_line(blank, may_read_files):
    lines = [blank, line(',"n":1'), blank, blank, line(',"n":2'), blank]
    with duckdb.connect() as connection, exporting(EventPopulation.raw({FIRST: lines})) as sim:
        if not may_read_files:
            connection.execute("SET enable_external_access = false")
        assert fetched(sim, connection, FIRST, FIRST).total_rows == 2
        with client_for(sim) as client:
            assert len(list(client.export_events(FIRST, FIRST))) == 2


def test_a_text_that_only_looks_like_a_number_that_is_none_stays():
    rows, result = stored([line(',"v":"NaN","w":"x NaN, Infinity]"')])
    assert json.loads(rows[0][1])["w"] == "x NaN, Infinity]"
    assert result.mended_values == 0


@pytest.mark.parametrize(
    ("before", "behind", "more"),
    [
        ("", ',"other":{"a":[1]},"n":1.50', {"other": {"a": [1]}, "n": 1.5}),
        ('"id":12345678901234567890123,', "", {"id": 12345678901234567890123}),
        ('"a\u2028b":"\u2029",', ',"c":null', {"a\u2028b": "\u2029", "c": None}),
    ],
)
def test_fields_beside_the_properties_are_kept_in_them_and_counted(before, behind, more):
    rows, result = stored([line(',"p":1', before=before, behind=behind), line(',"p":2')])
    assert json.loads(rows[0][1]) == {"time": NOON, "p": 1, **more}
    assert rows[0][1].startswith(f'{{"time":{NOON},"p":1,')
    assert (result.rows_with_other_fields, result.total_rows) == (1, 2)


@pytest.mark.parametrize(
    "beside",
    [
        [line("", event="5")] * 3,
        [line("", event="true")] * 3,
        [line("", event="1E5"), line("", event="1")],
        [line(',"v":1E5'), line("")],
        [line(',"v": 1e5 '), *[line("", event="5")] * 2],
        [line(',"v":[1E5]'), line("", event='{"a":1e20}')],
    ],
    ids=str,
)
def test_no_length_of_another_event_hides_a_field_beside_the_properties(beside):
    rows, result = stored([*beside, line("", behind=',"k":1')])
    assert result.rows_with_other_fields == 1
    assert [json.loads(text)["k"] for _, text in rows if "k" in json.loads(text)] == [1]
    assert result.total_rows == len(beside) + 1


@pytest.mark.parametrize(("value", "name"), [("1E5", ""), ("[1E5,2]", ""), ("1e20", "k" * 13), (" 1e20", "k" * 12)])
def test_no_number_that_is_written_in_more_letters_hides_a_field_of_its_own_event(value, name):
    rows, result = stored([line(f',"v":{value}', behind=f',"{name}":1')])
    assert (result.rows_with_other_fields, json.loads(rows[0][1])[name]) == (1, 1)


def test_of_a_field_that_comes_twice_nothing_is_dropped():
    rows, result = stored([line("", before='"event":"first",'), line("", behind=',"properties":{"q":9}')])
    named, beside = sorted(rows, key=lambda each: "properties" in each[1])
    assert {named[0], json.loads(named[1])["event"]} == {"first", "a"}
    assert json.loads(beside[1])["properties"] == {"q": 9}
    assert result.rows_with_other_fields == 2


def test_lines_of_a_server_that_writes_spaces_are_kept_as_they_are():
    spaced = [json.dumps({"event": "a", "properties": {"time": NOON, "n": number}}).encode() for number in range(9)]
    fields = line("", behind=',"k":1')
    rows, result = stored([*spaced, fields])
    assert [json.loads(text).get("n") for _, text in rows].count(None) == 1
    assert (result.total_rows, result.rows_with_other_fields) == (10, 1)
    rows, result = stored(spaced)
    assert sorted(json.loads(text)["n"] for _, text in rows) == list(range(9))
    assert (result.total_rows, result.rows_with_other_fields) == (9, 0)


TEXTS = st.text(alphabet='ab"\\/é🦆\u2028\x00\t\n{}[],:', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.lists(
    st.tuples(TEXTS, st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans(), st.booleans()), min_size=1, max_size=8
)


@settings(max_examples=25)
@given(events=EVENTS)
def test_any_event_comes_out_as_it_went_in(events):
    lines = [
        json.dumps(
            {"event": name, "properties": {**more, "time": NOON}},
            ensure_ascii=plain,
            separators=(",", ":") if tight else None,
        ).encode()
        for name, more, plain, tight in events
    ]
    rows, result = stored(lines)
    expected = sorted(json.dumps([name, {**more, "time": NOON}], sort_keys=True) for name, more, _, _ in events)
    assert sorted(json.dumps([name, json.loads(text)], sort_keys=True) for name, text in rows) == expected
    odd = (result.rows_with_other_fields, result.replaced_characters, result.mended_values, result.flattened_values)
    assert odd == (0, 0, 0, 0)


def test_every_stored_row_can_be_read_by_functions_of_duckdb(tmp_path):
    database = str(tmp_path / "events.duckdb")
    deep = "[" * 60_000 + "]" * 60_000
    stored([line(f',"v":{deep}'), line(r',"v":"\udfff"'), line(',"v":NaN')], database)
    with duckdb.connect(database) as connection:
        valid = connection.execute("SELECT count(*) FILTER (json_valid(properties)), count(*) FROM events").fetchone()
        connection.execute("SELECT json_structure(properties), json_keys(properties) FROM events").fetchall()
    assert valid == (3, 3)


def test_where_files_may_not_be_read_the_rows_are_the_same():
    lines = [line(f',"n":{number}') for number in range(50)]
    with duckdb.connect() as connection, exporting(EventPopulation.raw({FIRST: lines})) as sim:
        connection.execute("SET enable_external_access = false")
        assert fetched(sim, connection, FIRST, FIRST).total_rows == 50
        rows = connection.execute("SELECT properties FROM events").fetchall()
    assert sorted(json.loads(text)["n"] for (text,) in rows) == list(range(50))


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["another", "the same"])
def test_nothing_but_the_database_is_left_beside_it_nor_what_a_kill_has_left(tmp_path, pid):
    for number in ("1", "0123456789ab"):
        left = tmp_path / f"events.duckdb.{pid}-{number}.pieces"
        left.mkdir()
        (left / "1.json").write_bytes(line(""))
    for _ in range(2):  # in a container each run has the same process id
        stored([line("")], str(tmp_path / "events.duckdb"))
        assert [each.name for each in tmp_path.iterdir()] == ["events.duckdb"]


def test_what_another_database_or_another_run_of_this_process_has_beside_it_stays(tmp_path):
    database = str(tmp_path / "events.duckdb")
    others = [f"{database}.old.99999-1.pieces", f"{database}.99999-1.pieces.pieces", f"{database}.mine.pieces"]
    for other in others:
        os.mkdir(other)
    with duckdb.connect() as connection:
        running = Spool(connection, database)
        file = running.put(line(""), 1)
        stored([line("")], database)
        assert file is not None
        assert os.path.exists(file.path)
        running.close()
    assert sorted(map(str, tmp_path.iterdir())) == sorted([database, *others])
