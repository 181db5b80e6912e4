"""G6: `properties` holds what the server sent, value for value as Python's json reads it, whatever it is."""

import json
import re
from datetime import datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import any_json
import mixpanel_duckdb as md
from any_json import texts, values
from mixpanel_duckdb.fidelity import decoded, encoded
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator
from store.storing import QUICK, Row, body_of, fetch_rows, read, rows_of, store_body

REPLACED = "\N{REPLACEMENT CHARACTER}"
DIGITS = "9" * 5000

# Readable by DuckDB, and so taken apart by it at full speed.
PLAIN = {
    "no properties at all": "{}",
    "an escaped pair": r'{"a":"\ud83d\ude00"}',
    "an escaped backslash before ud800": r'{"a":"\\ud800","b":"\\\\ud800"}',
    "escapes of every kind": r'{"a":"\"\\\/\b\f\n\r\té\u2028\u007f"}',
    "NUL in a value": r'{"a":"\u0000","b":"x\u0000y"}',
    "NUL in a key": r'{"a\u0000b":1,"\u0000":2}',
    "control characters, escaped": r'{"a":"\u0001\u001f"}',
    "2^53 + 1": '{"a":9007199254740993,"b":-9007199254740993}',
    "2^64 and beyond": '{"a":18446744073709551616,"b":-9223372036854775809,"c":123456789012345678901234567890}',
    "five thousand digits": f'{{"a":{DIGITS},"b":-{DIGITS}}}',
    "too large for a double": '{"a":1e400,"b":-1e400}',
    "too small for a double": '{"a":1e-400,"b":5e-324,"c":2.2250738585072014e-308}',
    "minus zero": '{"a":-0.0,"b":-0,"c":0.0}',
    "seventeen digits": '{"a":0.10000000000000001,"b":1.7976931348623157e308,"c":123456.78901234567}',
    "more digits than a double holds": '{"a":0.1000000000000000055511151231257827,"b":123456789012345678.123456789}',
    "numbers written oddly": '{"a":1.10,"b":1E5,"c":1e+05,"d":100e-2}',
    "a key twice": '{"a":1,"a":2,"b":{"c":1,"c":[2],"c":null}}',
    "names that differ in case only": '{"Plan":1,"plan":2,"PLAN":3,"$Last_Seen":"x","$LAST_SEEN":"y"}',
    "empty keys": '{"":1,"a":{"":{"":2}}}',
    "names like paths": r'{"a.b":1,"$":2,"$.a":3,"a[0]":4,"*":5,"a\"b":6,"/a":7,"results":[1],"$properties":{"b":1}}',
    "key order": '{"b":1,"a":2,"c":{"z":1,"y":2}}',
    "white space": ' {\n\t"a" : [ 1 ,\r\n 2 ] , "b" : { } } ',
    "text of many scripts": json.dumps({"é": "שלום", "e\u0301": "日本語 😀 \u202e"}, ensure_ascii=False),
    "nulls, truths, empties": '{"a":null,"b":true,"c":false,"d":[],"e":{},"f":""}',
    "text that looks like another type": '{"a":"1","b":"true","c":"null","d":"{}","e":"2020-01-01","f":"NaN"}',
    "128 levels": '{"a":' + "[" * 127 + "]" * 127 + "}",
    "129 levels": '{"a":' + "[" * 128 + "]" * 128 + "}",
    "200 levels": '{"a":' * 200 + "1" + "}" * 200,
    "900 levels": '{"a":' * 900 + "1" + "}" * 900,
    "1000 levels": '{"a":' * 1000 + "1" + "}" * 1000,
    "a text of 300 kB": json.dumps({"a": "x" * 300_000}),
    "text that looks like no number": '{"NaN":"NaN, nan,","inf":[",]",",}","Infinity]"],"b":"-inf}"}',
}

# Against the letter of JSON, which strict readers refuse: (as sent, as kept, values mended).
ODD_NUMBERS = {
    "not a number": ('{"a":NaN,"b":Infinity,"c":-Infinity}', {"a": "NaN", "b": "Infinity", "c": "-Infinity"}, 3),
    "deep inside": ('{"a":[1,{"b":[NaN, null]}],"c":"NaN,"}', {"a": [1, {"b": ["NaN", None]}], "c": "NaN,"}, 1),
    "as C writes them": (
        '{"a":[nan,-nan,inf, -inf ],"b":nan}',
        {"a": ["NaN", "NaN", "Infinity", "-Infinity"], "b": "NaN"},
        5,
    ),
    "in any other letters": (
        '{"a":[nAn,NaN,naN,iNf,InF,-INFinity, iNFINITY]}',
        {"a": [*["NaN"] * 3, "Infinity", "Infinity", "-Infinity", "Infinity"]},
        7,
    ),
    "in capitals": ('{"a":[NAN,INF,-INFINITY]}', {"a": ["NaN", "Infinity", "-Infinity"]}, 3),
}
COMMAS = {
    "a comma too many": ('{"a":[1,2,],"b":{"c":1, },}', {"a": [1, 2], "b": {"c": 1}}),
    "only that": ('{"a":1 , }', {"a": 1}),
}

# What no UTF-8 database can hold: (as sent, as read back, characters replaced).
REPLACING = {
    "a high surrogate": (rb'{"a":"x\ud800y"}', {"a": f"x{REPLACED}y"}, 1),
    "a low surrogate": (rb'{"a":"x\udc00y"}', {"a": f"x{REPLACED}y"}, 1),
    "a pair the wrong way round": (rb'{"a":"\ude00\ud83d"}', {"a": REPLACED * 2}, 2),
    "two high ones and a low one": (rb'{"a":"\ud83d\ud83d\ude00"}', {"a": f"{REPLACED}\U0001f600"}, 1),
    "at the end of a text": (rb'{"a":"x\ud83d"}', {"a": f"x{REPLACED}"}, 1),
    "in capitals": (rb'{"a":"\uD83D\uDBFF"}', {"a": REPLACED * 2}, 2),
    "in a key": (rb'{"\ud800":1,"b":{"x\udfff":2}}', {REPLACED: 1, "b": {f"x{REPLACED}": 2}}, 2),
    "after an escaped backslash": (rb'{"a":"\\\ud800"}', {"a": f"\\{REPLACED}"}, 1),
    "before another escape": (rb'{"a":"\ud800\n\ud800\u0041"}', {"a": f"{REPLACED}\n{REPLACED}A"}, 2),
    "before half an escape that is text": (rb'{"a":"\ud800\\udc00"}', {"a": f"{REPLACED}\\udc00"}, 1),
    "stray bytes": (b'{"a":"x\xff\x80y"}', {"a": f"x{REPLACED * 2}y"}, 2),
    "a character cut short": (b'{"a":"x\xe2\x82"}', {"a": f"x{REPLACED * 2}"}, 2),
    "a surrogate in three bytes": (b'{"a":"\xed\xa0\x80"}', {"a": REPLACED}, 1),
    "a pair in six bytes": (b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}', {"a": REPLACED * 2}, 2),
    "an overlong slash": (b'{"a":"\xc0\xaf"}', {"a": REPLACED * 2}, 2),
    "beyond U+10FFFF": (b'{"a":"\xf4\x90\x80\x80"}', {"a": REPLACED * 4}, 4),
    "Latin-1": ('{"a":"Zoë"}'.encode("latin-1"), {"a": f"Zo{REPLACED}"}, 1),
    "a bad byte in a key": (b'{"\xe9":1}', {REPLACED: 1}, 1),
}

# Against the letter of JSON as well, and perhaps damaged on the way; nothing is lost.
MENDED = {
    "a raw tab and line feed": (b'{"a":"x\ty\nz"}', {"a": "x\ty\nz"}),
    "a raw NUL": (b'{"a":"x\x00y"}', {"a": "x\x00y"}),
    "every raw control character": (
        b'{"a":"' + bytes(range(32)) + b'"}',
        {"a": "".join(map(chr, range(32)))},
    ),
    "raw control characters after a backslash": (b'{"a":"\\\\\x01"}', {"a": "\\\x01"}),
}


def profile(properties: str | bytes, distinct_id: str = '"someone"') -> bytes:
    text = properties if isinstance(properties, bytes) else properties.encode()
    return b'{"$distinct_id":' + distinct_id.encode() + b',"$properties":' + text + b"}"


@pytest.mark.parametrize("properties", PLAIN.values(), ids=PLAIN)
def test_properties_are_stored_value_for_value(properties):
    receipt, rows, odd = store_body(body_of([profile(properties)]))
    assert receipt.problem is None
    assert [row.properties for row in rows] == [read(properties)]
    assert (odd.replaced_characters, odd.flattened_values, odd.without_properties) == (0, 0, 0)


@pytest.mark.parametrize(("sent", "kept", "replaced"), REPLACING.values(), ids=REPLACING)
def test_what_utf8_cannot_hold_becomes_a_replacement_character_and_is_counted(sent, kept, replaced):
    good = profile('{"a":"\U0001f600","n":18446744073709551616}')
    receipt, rows, odd = store_body(body_of([good, profile(sent), good]), last_try=True)
    assert (receipt.problem, receipt.rows) == (None, 3)
    assert json.loads(rows[1].text) == kept
    assert rows[0] == rows[2] == Row("someone", '{"a":"\U0001f600","n":18446744073709551616}')
    assert odd.replaced_characters == replaced


@pytest.mark.parametrize(("sent", "kept"), MENDED.values(), ids=MENDED)
def test_raw_control_characters_are_kept_and_counted(sent, kept):
    receipt, rows, odd = store_body(body_of([profile(sent)]), last_try=True)
    assert receipt.problem is None
    assert json.loads(rows[0].text) == kept
    assert (odd.replaced_characters, odd.mended_values) == (0, sum(byte < 32 for byte in sent))


@pytest.mark.parametrize("sent", [*(case[0] for case in MENDED.values()), b'{"a":"x\xff"}', b'{"a":"\xed\xa0\x80"}'])
def test_what_may_have_been_damaged_on_the_way_is_asked_for_again_first(sent):
    receipt, rows, odd = store_body(body_of([profile(b'{"a":1}'), profile(sent)]))
    assert (receipt.rows, rows, odd) == (2, [], type(odd)())
    assert "damaged on the way" in receipt.problem


@pytest.mark.parametrize("sent", [rb'{"a":"\ud800"}', b'{"a":NaN}', b'{"a":[1,]}', b'{"a":"\xef\xbf\xbd"}'])
def test_what_the_server_wrote_itself_is_not_asked_for_again(sent):
    assert store_body(body_of([profile(sent)]))[0].problem is None


@pytest.mark.parametrize(("sent", "kept", "mended"), ODD_NUMBERS.values(), ids=ODD_NUMBERS)
def test_numbers_that_are_none_are_kept_as_texts_and_counted(sent, kept, mended):
    good = profile('{"a":"NaN","n":18446744073709551616}')
    receipt, rows, odd = store_body(body_of([good, profile(sent)]))
    assert receipt.problem is None
    assert [read(row.text) for row in rows] == [read('{"a":"NaN","n":18446744073709551616}'), read(json.dumps(kept))]
    assert (odd.mended_values, odd.replaced_characters) == (mended, 0)


@pytest.mark.parametrize(("sent", "kept"), COMMAS.values(), ids=COMMAS)
def test_a_comma_too_many_is_read_over(sent, kept):
    receipt, rows, odd = store_body(body_of([profile(sent)]))
    assert receipt.problem is None
    assert [read(row.text) for row in rows] == [read(json.dumps(kept))]
    assert odd == type(odd)()


@pytest.mark.parametrize("length", [1, 7, 4000])
def test_a_number_that_is_none_is_found_wherever_a_large_page_has_it(length):
    rows = [profile(json.dumps({"a": "NaN" * length, "b": index}), str(index)) for index in range(700)]
    rows[500] = profile('{"a":[1.5,NaN]}', "500")
    receipt, stored, odd = store_body(body_of(rows))
    assert (receipt.rows, odd.mended_values) == (700, 1)
    assert stored[500] == Row("500", '{"a":[1.5,"NaN"]}')


@pytest.mark.parametrize(
    ("distinct_id", "kept"),
    [
        ('"x"', "x"),
        ('""', ""),
        ('" "', " "),
        (r'"$device:a\u0000b"', "$device:a\0b"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"x\ud83d"', f"x{REPLACED}"),
        ("4", "4"),
        ("-4", "-4"),
        ("1234567890123456789", "1234567890123456789"),
        ("18446744073709551616", "18446744073709551616"),
        (DIGITS, DIGITS),
        ("1.5", "1.5"),
        ("true", "true"),
        ('{"a":[1]}', '{"a":[1]}'),
        ('["a", 1]', '["a",1]'),
        ("null", None),
    ],
)
def test_an_id_of_any_type_is_stored_as_text(distinct_id, kept):
    receipt, rows, odd = store_body(body_of([profile('{"a":1}', distinct_id)]))
    assert receipt.problem is None
    assert rows == [Row(kept, '{"a":1}')]
    assert odd.without_distinct_id == (kept is None)


@pytest.mark.parametrize(
    ("entry", "row", "counted"),
    [
        ('{"$distinct_id":"a"}', Row("a", "{}"), (0, 1, 0)),
        ('{"$distinct_id":"a","$properties":null}', Row("a", "{}"), (0, 1, 0)),
        ('{"$distinct_id":"a","$properties":{}}', Row("a", "{}"), (0, 0, 0)),
        ('{"$distinct_id":"a","$properties":[1,{"b":2}]}', Row("a", '[1,{"b":2}]'), (0, 0, 0)),
        ('{"$distinct_id":"a","$properties":"text"}', Row("a", '"text"'), (0, 0, 0)),
        ('{"$distinct_id":"a","$properties":7}', Row("a", "7"), (0, 0, 0)),
        ('{"$distinct_id":"a","$properties":false}', Row("a", "false"), (0, 0, 0)),
        ('{"$properties":{"b":1}}', Row(None, '{"b":1}'), (1, 0, 0)),
        (r'{"\u0024distinct_id":"a","\u0024properties":{"b":1}}', Row("a", '{"b":1}'), (0, 0, 0)),
        ("{}", Row(None, "{}"), (1, 1, 0)),
        ("null", Row(None, "{}"), (1, 1, 0)),
        ('"x"', Row(None, '"x"'), (1, 0, 0)),
        ("1", Row(None, "1"), (1, 0, 0)),
        ("[1]", Row(None, "[1]"), (1, 0, 0)),
        ("true", Row(None, "true"), (1, 0, 0)),
        # What stands beside the two is kept behind the properties.
        ('{"$properties":{"b":1},"extra":[1],"$distinct_id":"a"}', Row("a", '{"b":1,"extra":[1]}'), (0, 0, 1)),
        (
            '{"$Distinct_Id":"z","$distinct_id":"a","$PROPERTIES":{},"$properties":{"b":1}}',
            Row("a", '{"b":1,"$Distinct_Id":"z","$PROPERTIES":{}}'),
            (0, 0, 1),
        ),
        (
            '{"distinct_id":"a","properties":{"plan":"pro"}}',
            Row(None, '{"distinct_id":"a","properties":{"plan":"pro"}}'),
            (1, 0, 1),
        ),
        (
            '{"$group_key":"company","$distinct_id":"a","group_id":-7,"$properties":{}}',
            Row("a", '{"$group_key":"company","group_id":-7}'),
            (0, 0, 1),
        ),
        ('{"$distinct_id":"a","extra":null}', Row("a", '{"extra":null}'), (0, 0, 1)),
        ('{"$distinct_id":null,"$properties":null,"extra":1}', Row(None, '{"extra":1}'), (1, 0, 1)),
        ('{"$distinct_id":"a","$properties":"x","extra":1}', Row("a", '{"$properties":"x","extra":1}'), (0, 0, 1)),
        ('{"$distinct_id":"a","$properties":{"b":"é"},"ü":1}', Row("a", '{"b":"é","ü":1}'), (0, 0, 1)),
        (r'{"$distinct_id":"a","$properties":{"b":1},"b":2,"":3}', Row("a", '{"b":1,"b":2,"":3}'), (0, 0, 1)),
        (
            r'{"$distinct_id":"a","$properties":{},"x\"\u0000\\":{"$distinct_id":"b"}}',
            Row("a", r'{"x\"\u0000\\":{"$distinct_id":"b"}}'),
            (0, 0, 1),
        ),
        (
            '{"$distinct_id":"a","$properties":{},"$last_seen":"2026-01-02T03:04:05"}',
            Row("a", '{"$last_seen":"2026-01-02T03:04:05"}', datetime(2026, 1, 2, 3, 4, 5)),
            (0, 0, 1),
        ),
        # An entry that names something twice is taken more carefully, and kept in the same way.
        (
            '{"$distinct_id":"a","x":1,"x":2,"$properties":{"b":1},"$distinct_id":"c"}',
            Row("a", '{"b":1,"x":1,"x":2}'),
            (0, 0, 1),
        ),
    ],
)
def test_an_entry_of_any_shape_ends_in_a_row_and_is_counted(entry, row, counted):
    good = b'{"$distinct_id":"good","$properties":{"n":1}}'
    receipt, rows, odd = store_body(body_of([good, entry.encode(), good]))
    assert (receipt.problem, receipt.rows) == (None, 3)
    assert [row for row in rows if row.distinct_id != "good"] == [row]
    assert [row for row in rows if row.distinct_id == "good"] == [Row("good", '{"n":1}')] * 2
    assert (odd.without_distinct_id, odd.without_properties, odd.with_other_fields) == counted


OWN = ["$distinct_id", "$properties", "distinct_id", "$Properties", "$group_key"]


@settings(max_examples=40, deadline=None)
@given(entries=st.lists(values | st.dictionaries(st.sampled_from(OWN) | texts, values, max_size=4), max_size=6))
def test_nothing_of_any_entry_is_lost(entries):
    rows = store_body(body_of(json.dumps(entry).encode() for entry in entries), last_try=True)[1]
    assert [together(entry) for entry in entries] == [row.properties for row in rows]


def together(entry):
    """What `properties` is for an entry of any shape, by the rules of docs/storage.md."""
    entry = any_json.kept(entry)
    if not (isinstance(entry, tuple) and entry[0] == "object"):
        return ("object", []) if entry is None else entry
    own = dict(reversed(entry[1]))
    beside = [pair for pair in entry[1] if pair[0] not in ("$distinct_id", "$properties")]
    properties = own.get("$properties")
    if properties is None:
        return ("object", beside)
    if isinstance(properties, tuple) and properties[0] == "object":
        return ("object", properties[1] + beside)
    return ("object", [("$properties", properties), *beside]) if beside else properties


def test_where_a_profile_repeats_its_own_two_names_the_first_counts():
    # JSON leaves it open, readers differ (Python's takes the last), and no server has been seen to do it.
    entry = b'{"$distinct_id":"a","$distinct_id":"b","$properties":{"n":1},"$properties":{"n":2}}'
    assert store_body(body_of([entry]))[1] == [Row("a", '{"n":1}')]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ('"2026-09-01T13:44:10"', datetime(2026, 9, 1, 13, 44, 10)),
        ('"2026-09-01 13:44:10.123456"', datetime(2026, 9, 1, 13, 44, 10, 123456)),
        ('"2026-09-01"', datetime(2026, 9, 1)),
        ('"2026-09-01T13:44:10Z"', datetime(2026, 9, 1, 13, 44, 10)),
        ('"2026-09-01T13:44:10+00:00"', datetime(2026, 9, 1, 13, 44, 10)),
        ('"2026-09-01T13:44:10+05:30"', datetime(2026, 9, 1, 8, 14, 10)),
        ('"2026-09-01T13:44:10-0800"', datetime(2026, 9, 1, 21, 44, 10)),
        ('"2026-09-01T13:44:10.5-00:30"', datetime(2026, 9, 1, 14, 14, 10, 500000)),
        ('"2026-09-01T13:44:10+09"', datetime(2026, 9, 1, 4, 44, 10)),
        ('"2026-09-01T13:44+09"', datetime(2026, 9, 1, 4, 44)),
        ('"2026-09-01T13:44:10.123456789Z"', datetime(2026, 9, 1, 13, 44, 10, 123456)),
    ],
)
def test_last_seen_is_read_as_utc(text, moment):
    _, rows, odd = store_body(body_of([profile('{"$last_seen":' + text + "}")]))
    assert rows == [Row("someone", '{"$last_seen":' + text + "}", moment)]
    assert odd.unreadable_last_seen == 0


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
SEEN = MOMENTS.map(datetime.isoformat)
# Whatever may stand beside the one that counts, and look like it.
DECOYS = st.one_of(
    st.text(max_size=8), SEEN, st.none(), st.lists(SEEN | st.text(max_size=3), max_size=2),
    SEEN.map(lambda seen: {"$last_seen": seen}), SEEN.map(lambda seen: [{"a": 1, "$last_seen": seen}]),
    SEEN.map(lambda seen: f',"$last_seen":"{seen}"'), SEEN.map(lambda seen: f'{{"$last_seen":"{seen}"'),
)  # fmt: skip
NAMES = st.sampled_from(["a", "é", "{", '"$last_seen', 'x"$last_seen', ',"$last_seen', "$last_seen ", "last_seen", ""])
VALUES = st.one_of(
    SEEN,
    SEEN.map(lambda seen: seen[:18] + '"'),
    SEEN.map(lambda seen: seen + "x"),
    st.text('{}",\\é T-:', max_size=21),
    st.none(),
    st.just({}),
)


ASIDE = st.dictionaries(NAMES, DECOYS, max_size=3).map(lambda pairs: list(pairs.items()))
TOLD = st.lists(VALUES, max_size=2).map(lambda values: [("$last_seen", value) for value in values])


@settings(max_examples=30)
@given(profiles=st.lists(st.tuples(ASIDE, TOLD, ASIDE), min_size=1, max_size=20), ascii_only=st.booleans())
def test_last_seen_is_the_first_of_that_name_wherever_it_stands(profiles, ascii_only):
    texts, moments = [], []
    for before, told, after in profiles:
        pairs = [f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=ascii_only)}"
                 for name, value in (*before, *told, *after)]  # fmt: skip
        texts.append(profile("{" + ",".join(pairs) + "}"))
        first = str(told[0][1]) if told else ""
        plain = re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", first)
        moments.append(datetime.fromisoformat(first) if plain else None)
    assert [row.last_seen for row in store_body(body_of(texts))[1]] == moments


@pytest.mark.parametrize(
    "text",
    [
        '"yesterday"',
        '""',
        "{}",
        "[1]",
        "true",
        "1788270250",
        '"2026-13-01T00:00:00"',
        '"2026-09-01T13:44:10+99:99"',
        '"2026-09-01T13:44:10+01:00:30"',
        '"2026-09-01T13:44:10 Europe/Paris"',
        '"infinity"',
        '"epoch"',
        '"0000-01-01T00:00:00"',
        '"0044-03-15 (BC)"',
        '"10000-01-01T00:00:00"',
        '"0001-01-01T00:00:00+01:00"',
        '"0001-01-01T00:00:00.5+0001"',
        '"9999-12-31T23:59:59-01:00"',
        '"9999-12-31T24:00:00"',
        '"9999-12-31 24:00"',
        r'"\u0000"',
    ],
)
def test_an_unreadable_last_seen_is_kept_in_properties_and_counted(text):
    _, rows, odd = store_body(body_of([profile('{"$last_seen":' + text + "}"), profile('{"$last_seen":null}')]))
    assert [row.last_seen for row in rows] == [None, None]
    assert rows[0].properties == read('{"$last_seen":' + text + "}")
    assert odd.unreadable_last_seen == 1


EDGES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["0000-12-31", "0001-01-01", "2026-02-29", "9999-12-31", "10000-01-01"]), st.sampled_from("T "),
    st.sampled_from(["00:00", "12:30", "23:59", "24:00", "25:00"]),
    st.sampled_from(["", ":00", ":59", ":60", ":59.9999999"]),
    st.sampled_from(["", "Z", " UTC", "+00:00", "+14:00", "-12", "+23:59", "-2359", "+24:00"]),
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(seen=st.lists(EDGES | SEEN | st.text(max_size=25), max_size=20))
def test_a_last_seen_of_any_text_is_a_moment_that_every_reader_can_hold_or_counted(seen):
    rows, odd = store_body(body_of(profile(json.dumps({"$last_seen": text})) for text in seen))[1:]
    assert odd.unreadable_last_seen == sum(row.last_seen is None for row in rows)
    assert all(row.last_seen is None or isinstance(row.last_seen, datetime) for row in rows)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"ok","total":1,"session_id":"s","results":[%s],"page_size":1000,"page":0}',
        b' \n{ "results" :\t[ %s\n] , "total" : 1 }\n ',
        b'\xef\xbb\xbf{"results":[%s],"total":1}',
        b'{"results":[%s],"total":1,"tags":[],"more":{"results":[]}}',
        b'{"request":"x]","page":0,"total":1,"computed_at":"[","results":[%s]}',
        rb'{"total":1,"result\u0073":[%s]}',
    ],
    ids=["other order", "white space", "byte order mark", "more lists", "brackets in texts", "escaped name"],
)
def test_a_body_is_read_in_any_order_and_with_any_white_space(body):
    receipt, rows, _ = store_body(body.replace(b"%s", profile('{"a":[1]}')))
    assert receipt.problem is None
    assert rows == [Row("someone", '{"a":[1]}')]


@pytest.mark.parametrize("levels", [1001, 1500, 20_000])
def test_a_value_nested_deeper_than_a_thousand_levels_is_kept_as_its_text(levels):
    deep = "[" * levels + "1" + "]" * levels
    receipt, rows, odd = store_body(body_of([profile('{"a":' + deep + ',"b":[1]}')]))
    assert receipt.problem is None
    assert odd.flattened_values == 1
    kept = "[" * 999 + json.dumps("[" * (levels - 999) + "1" + "]" * (levels - 999)) + "]" * 999
    assert rows[0].text == '{"a":' + kept + ',"b":[1]}'


@pytest.mark.parametrize("start", range(4))
def test_a_reason_that_python_cannot_read_is_only_a_reason(start):
    distinct_id = "x" * start + "\U0001f600" * 100  # DuckDB's message ends somewhere within these
    receipt, rows, _ = store_body(body_of([profile(rb'{"a":"\ud800"}', f'"{distinct_id}"')]))
    assert receipt.problem is None
    assert rows == [Row(distinct_id, f'{{"a":"{REPLACED}"}}')]
    receipt, rows, odd = store_body(body_of([profile(b'{"a":tru}', f'"{distinct_id}"')]))
    assert (receipt.rows, rows, odd) == (0, [], type(odd)())
    assert receipt.problem.startswith("the rows are not valid JSON")
    assert "\U0001f600" not in receipt.problem


def test_every_case_together_comes_over_the_wire(tmp_path):
    changed = (REPLACING, MENDED, ODD_NUMBERS, COMMAS)
    texts = [*PLAIN.values(), *(case[0] for cases in changed for case in cases.values())]
    rows = [profile(text, f'"{index:03}"') for index, text in enumerate(texts)]
    result = fetch_rows(rows, str(tmp_path / "all.duckdb"), page_size=7)
    assert result.is_complete
    assert result.replaced_characters == sum(case[2] for case in REPLACING.values())
    assert result.mended_values >= sum(case[2] for case in ODD_NUMBERS.values())
    with duckdb.connect(str(tmp_path / "all.duckdb")) as connection:
        found = {row.distinct_id: row.properties for row in rows_of(connection)}
    expected: list[Any] = [read(text) for text in PLAIN.values()]
    expected += [read(json.dumps(case[1])) for cases in changed for case in cases.values()]
    assert found == {f"{index:03}": value for index, value in enumerate(expected)}


ONE_RULE = {
    **{name: text.encode() for name, text in PLAIN.items()},
    **{name: case[0] for cases in (REPLACING, MENDED) for name, case in cases.items()},
    **{name: case[0].encode() for cases in (ODD_NUMBERS, COMMAS) for name, case in cases.items()},
}


def test_every_way_out_gives_the_same_values_and_json_that_strict_readers_take(tmp_path):
    rows = [profile(text, f'"{index:03}"') for index, text in enumerate(ONE_RULE.values())]
    with Simulator(Population.raw(rows), behaviour=Behaviour(page_size=7, order="fixed")) as sim:
        who = md.Credentials.from_env(sim.environment())
        with md.MixpanelClient(who, base_url=sim.base_url, retry=QUICK) as client:
            result = md.fetch_profiles(str(tmp_path / "all.duckdb"), client=client)
            exported = list(client.export_profiles())
            asked = client.query_engage_page(0)
    stored = result.relation().order("distinct_id").project("distinct_id, properties::VARCHAR").fetchall()
    md.export_table(str(tmp_path / "all.duckdb"), "profiles", tmp_path / "all.ndjson")
    written = sorted((tmp_path / "all.ndjson").read_text("utf-8").strip().split("\n"), key=lambda line: line[:30])
    for (name, text), line, one in zip(stored, written, exported, strict=True):
        read(line)  # as a strict reader does
        values = {"$distinct_id": name, "$properties": decoded(text.encode())[0]}
        assert encoded(values) == encoded(one) == encoded(decoded(line.encode())[0])
    assert encoded(asked["results"]) == encoded(exported[:7])


def test_a_callers_client_that_brings_no_numbers_is_read_by_the_same_rule():
    class Client:
        def query_engage_page(self, page, **_):
            people = [{"$distinct_id": "a", "$properties": {"a": [float("nan"), -float("inf")], "b": "\ud800"}}]
            return {"page": page, "page_size": 1, "session_id": "s", "results": people, "total": 1}

    result = md.fetch_profiles(":memory:", client=Client())
    assert result.relation().project("properties::VARCHAR").fetchall() == [('{"a":["NaN","-Infinity"],"b":"\ufffd"}',)]
    assert (result.mended_values, result.replaced_characters) == (2, 1)


class Passing:
    """A caller's client that asks ours."""

    def __init__(self, client):
        self.query_engage_page = client.query_engage_page


def test_what_query_engage_page_gives_can_be_passed_on_to_a_fetch():
    # But for a number that Python's floats cannot hold, which is infinite there.
    odd = [text for name, text in PLAIN.items() if name != "too large for a double"]
    rows = [profile(text, f'"{index:03}"') for index, text in enumerate([*odd, f'{{"a":{"[" * 5000}1{"]" * 5000}}}'])]
    kept = []
    with Simulator(Population.raw(rows), behaviour=Behaviour(page_size=20, order="fixed")) as sim:
        who = md.Credentials.from_env(sim.environment())
        with md.MixpanelClient(who, base_url=sim.base_url, retry=QUICK) as client:
            for source in (client, Passing(client)):
                relation = md.fetch_profiles(":memory:", client=source).relation()
                texts = relation.order("distinct_id").project("properties::VARCHAR").fetchall()
                kept.append([encoded(decoded(text.encode())[0]) for (text,) in texts])
    assert kept[0] == kept[1]
    assert len(kept[0]) == len(rows)
