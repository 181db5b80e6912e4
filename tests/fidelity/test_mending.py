"""JSON by the letter: what is mended, what is told apart, and what is never touched."""

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_json import kept, values
from mixpanel_duckdb.fidelity import MARK, Mended, decoded, flatten, mend
from store.storing import read


def numbers_that_are_none(value):
    found = []
    json.loads(json.dumps(value), parse_constant=found.append)
    return found


@given(value=values, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_mending_what_python_reads_changes_only_lone_surrogates_and_numbers_that_are_none(value, ascii_only, indent):
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    done = mend(body)
    sent = json.loads(body.decode("utf-8", "surrogatepass"))
    assert read(done.text.decode()) == kept(sent)
    lone = json.dumps(sent, ensure_ascii=False)
    assert done.replaced == sum("\ud800" <= char <= "\udfff" for char in lone)
    assert done.mended == len(numbers_that_are_none(sent))
    assert mend(done.text) == Mended(done.text)
    assert read(json.dumps(decoded(body)[0])) == kept(sent)


@given(body=st.binary(max_size=60))
def test_mending_any_bytes_gives_utf8_and_counts_what_it_replaced(body):
    done = mend(body)
    text = done.text.decode()
    assert (done.replaced == 0) == (text.count("\ufffd") == body.count("\ufffd".encode()))
    assert mend(done.text).replaced == 0


@given(value=values, limit=st.integers(0, 4))
def test_flattening_keeps_every_value_and_no_level_below_the_limit(value, limit):
    text = json.dumps(value, ensure_ascii=False)
    flat, count = flatten(text, limit)
    assert depth(json.loads(flat)) <= limit
    assert (count == 0) == (depth(value) <= limit)
    assert same(json.loads(flat), json.loads(text), limit)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def same(flat, value, limit):
    """Whether a flattened value is the value, its deep parts read from their texts."""
    if isinstance(value, (list, dict)) and limit == 0:
        return same(json.loads(flat), value, math.inf)
    if isinstance(value, dict):
        return list(flat) == list(value) and all(same(flat[name], value[name], limit - 1) for name in value)
    if isinstance(value, list):
        return len(flat) == len(value) and all(same(a, b, limit - 1) for a, b in zip(flat, value, strict=True))
    return repr(flat) == repr(value)  # "not a number" does not equal itself


# What becomes of JSON that is none by the letter: (as sent, as text, mended, of these perhaps damaged on the way).
MENDED = {
    "numbers that are none": (b"[NaN,Infinity,-Infinity]", b'["NaN","Infinity","-Infinity"]', 3, 0),
    "as C writes them": (b"[nan, -nan ,inf,\n-inf]", b'["NaN", "NaN" ,"Infinity",\n"-Infinity"]', 4, 0),
    "in capitals": (b'{"a":NAN,"b":INFINITY,"c":-INF}', b'{"a":"NaN","b":"Infinity","c":"-Infinity"}', 3, 0),
    "within texts": (b'{"nan":"NaN, nan,","inf":[",]",",}"]}', b'{"nan":"NaN, nan,","inf":[",]",",}"]}', 0, 0),
    "behind escaped quotes": (rb'["\",NaN,\"",NaN]', rb'["\",NaN,\"","NaN"]', 1, 0),
    "commas too many": (b'{"a":[1,2,],"b":{"c":1, },}', b'{"a":[1,2],"b":{"c":1 }}', 3, 0),
    "control characters": (b'["\x00\t","\\\\\n"]', rb'["\u0000\u0009","\\\u000a"]', 3, 3),
    "control characters around": (b"[\n1,\t2]", b"[\n1,\t2]", 0, 0),
    "words that are no numbers": (b"[nano,infinite,Nan_1,null]", b"[nano,infinite,Nan_1,null]", 0, 0),
}


@pytest.mark.parametrize(("sent", "text", "mended", "damaged"), MENDED.values(), ids=MENDED)
def test_what_is_no_json_is_mended_and_counted(sent, text, mended, damaged):
    assert mend(sent) == Mended(text, mended=mended, damaged=damaged)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rb'"\ud800"', rb'"\ud801"'),
        (rb'"\ud800"', rb'"\udc00"'),
        (rb'"\ud800"', '"\ufffd"'.encode()),
        (rb'"\ud800"', rb'"\\ud800"'),
        (b'"\xff"', b'"\xfe"'),
        (b'"\xff"', rb'"\ud800"'),
        (b'"\xff"', '"\ufffd"'.encode()),
        (b'"\xed\xa0\x80"', b'"\xed\xa0\x81"'),
    ],
)
def test_what_a_replacement_makes_one_can_still_be_told_apart(one, other):
    first, second = mend(one, marked=True), mend(other, marked=True)
    assert first.text != second.text


@pytest.mark.parametrize("same", [(rb'"\ud800"', rb'"\uD800"'), (rb'"\ud800"', b'"\xed\xa0\x80"')])
def test_two_spellings_of_half_a_pair_are_the_same(same):
    one, other = (mend(each, marked=True) for each in same)
    assert one.text == other.text == f'"\ufffd{MARK}d800"'.encode()


@pytest.mark.timed
@pytest.mark.parametrize(
    "body", [b'["' + rb"\"" * 300_000, b'"a' * 300_001, b"[" * 500_000, b"-n," * 200_000, b',"' * 200_000]
)
def test_garbage_takes_no_longer_than_json(body):
    began = time.process_time()
    mend(body)
    assert time.process_time() - began < 3
