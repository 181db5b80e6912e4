"""Decoding and encoding: what json can do is done by json, and the slower way gives the same."""

import json
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from any_json import kept, values
from mixpanel_duckdb.fidelity.values import _slowly, _written, decoded, encoded
from store.storing import read

DIGITS = "12345678901234567890" * 500


def nested(levels: int, inner: str = "1") -> str:
    return "[" * levels + inner + "]" * levels


@given(value=values, ascii_only=st.booleans())
@example(value="\\\ude00", ascii_only=True)
@example(value="\\ud83d\ude00", ascii_only=True)
@example(value="\ud83d\\ude00", ascii_only=True)
def test_a_value_is_decoded_as_the_store_keeps_it(value, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    sent = json.loads(body.decode("utf-8", "surrogatepass"))
    assert read(json.dumps(decoded(body)[0])) == kept(sent)


@given(value=values)
def test_the_slower_ways_give_what_json_gives(value):
    text = json.dumps(value)
    assert repr(_slowly(text)) == repr(json.loads(text))
    assert "".join(_written(value)) == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [4000, 4001, 4300, 4301, 8001, 9999, 10_000])
def test_an_integer_has_all_its_digits(sign, digits):
    number = sign + DIGITS[:digits]
    value, damaged = decoded(f'{{"a":{number},"b":1.5}}'.encode())
    assert (value["b"], damaged) == (1.5, 0)
    assert encoded(value) == f'{{"a":{number},"b":1.5}}'.encode()


@pytest.mark.parametrize("levels", [1, 99, 100, 101, 250, 990, 1000, 1003])
def test_nesting_is_decoded_however_little_is_left_of_the_stack(levels):
    value, _ = decoded(nested(levels).encode())
    depth = 0
    while isinstance(value, list):
        (value,), depth = value, depth + 1
    assert (value, depth) == (1, levels)


@pytest.mark.parametrize("levels", [1004, 5000, 100_000])
@pytest.mark.parametrize("limit", [1000, 20_000])
def test_below_a_thousand_levels_of_a_profile_a_value_is_its_text_on_every_interpreter(levels, limit):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        value, _ = decoded(nested(levels, ' "\\u00e9" ').encode())
    finally:
        sys.setrecursionlimit(before)
    for _ in range(1003):
        (value,) = value
    assert value == nested(levels - 1003, '"é"')


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1 2]", b'{"a" 1}', b'{"a":1}]', b"[" * 5000, b"[1,,2]", b"\xff", b'["\x01]']
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(ValueError, match=r"\w"):
        decoded(body)


def test_a_value_within_itself_is_refused_and_no_json_is_a_type_error():
    circle: list[object] = []
    deep: list[object] = circle
    for _ in range(5000):
        deep = [deep]
    circle.append(deep)
    for value in (circle, [circle], {"a": circle}):
        with pytest.raises(ValueError, match="Circular"):
            encoded(value)
    with pytest.raises(TypeError):
        encoded({"a": {1, 2}})
