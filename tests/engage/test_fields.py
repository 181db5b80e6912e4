"""The fields around the rows: seen wherever they stand, in every form that counts, or the body is refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixpanel_duckdb import ServerError, UnreadableAnswerError
from mixpanel_duckdb.engage.announcement import Announcement
from mixpanel_duckdb.engage.fields import FORMS, NotWholeError, read_fields
from mixpanel_duckdb.engage.page import EngagePage

NAMES = list(FORMS)
texts = st.text(st.sampled_from('ab"\\}{][,: \n\u2028é😀'), max_size=8) | st.sampled_from(["$distinct_id", *NAMES])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.floats(0, 9) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts, inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"$distinct_id": inner, "x": inner}), max_size=3)
    ),
    max_leaves=8,
)
profiles = st.fixed_dictionaries({"$distinct_id": texts}, optional={"$properties": st.dictionaries(texts, values)})
spaces = st.sampled_from(["", " ", "\n  "])


def meant(answer: dict[str, object]) -> dict[str, object]:
    """What an answer's fields mean, told from the decoded whole."""
    found = {name: FORMS[name](answer[name]) for name in NAMES if name in answer}
    return {name: value for name, value in found.items() if value is not None}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(profiles, max_size=4) | st.lists(values, max_size=3) | values,
    before=st.dictionaries(st.sampled_from(NAMES) | texts, values, max_size=4),
    behind=st.dictionaries(st.sampled_from(NAMES) | texts, values, max_size=4),
    space=spaces,
    ascii_only=st.booleans(),
    first=st.booleans(),
    usual=st.dictionaries(st.sampled_from(["session_id", "status", "total"]), st.just("ok"), min_size=2),
)
@example([{"$distinct_id": 1}], {}, {"error": "x", "failed": [3]}, "", True, False, {})
@example([{"$distinct_id": 1}], {}, {"total": 9, "a": [{"$distinct_id": 2}, {"$distinct_id": 3}]}, "", True, False, {})
def test_any_type_and_position_of_each_field_is_read_as_a_whole_decode_would(
    rows, before, behind, space, ascii_only, first, usual
):
    behind = {name: value for name, value in (behind | usual).items() if name != "results"}
    answer = {**{name: value for name, value in before.items() if name not in behind}, "results": rows, **behind}
    separators = (f"{space},{space}", f"{space}:{space}")
    body = (space + json.dumps(answer, ensure_ascii=ascii_only, separators=separators) + space).encode()
    found = read_fields(body, first=first)
    if found.rows and not is_json(body[slice(*found.rows)]):
        # The only doubt that is left, and the parser of the rows has it: it refuses them, and the body is read whole.
        assert not found.whole
        found = read_fields(body, first=first, whole=True)
    assert found.values == meant(answer)
    assert found.unread.keys() == (answer.keys() & set(NAMES)) - found.values.keys()
    if isinstance(rows, list):
        assert json.loads(body[slice(*found.rows)]) == rows
    else:
        assert found.rows is None


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


ROW = '{"$distinct_id":"a","$properties":{"results":[1],"error":"e","total":7,"t":[{"$distinct_id":"b"}]}}'


@pytest.mark.parametrize(
    "body",
    [
        '{"results":[R],"page":7,"total":99,"error":"shard timeout","failed":[3]}',
        '{"results":[R,R],"page":7,"total":99,"error":"shard timeout","failed":[]}',
        '{"failed":[3],"error":"shard timeout","results":[R],"total":99,"page":7}',
        '{"results":[R],"page":7,"failed":[{"shard":3}],"error":"shard timeout","total":99}',
        '{"results":[R],"error":"shard timeout","page":7,"failed":{"shards":[3]},"total":99}',
        '{"results":[R],"error":"shard timeout","page":7,"total":99,"gone":[{"$distinct_id":"z"}]}',
        '{"results":[],"error":"shard timeout","page":7,"total":99,"failed":[[3]]}',
        '{"x":{"results":[{"$distinct_id":1}]},"results":[R],"error":"shard timeout","page":7,"total":99}',
        '{"note":"\\"results\\":[{","results":[R],"error":"shard timeout","note2":"],","page":7,"total":99}',
        '{"re\\u0073ults":[R],"err\\u006fr":"shard timeout","page":7,"total":99}',
    ],
)
@pytest.mark.parametrize("space", ["", " "])
def test_an_error_is_seen_wherever_it_stands_and_whatever_follows_it(body, space):
    text = body.replace("R", ROW).replace("],", f"]{space},{space}").replace(":[", f":{space}[{space}")
    with pytest.raises(ServerError, match="Page 7: the server reports: shard timeout"):
        EngagePage.from_body(7, text.encode())
    harmless = text.replace("shard timeout", "").encode()
    page = EngagePage.from_body(7, harmless)
    assert (page.page, page.total) == (7, 99)
    assert json.loads(bytes(page.rows)) == json.loads(harmless)["results"]


def test_a_list_of_profiles_behind_the_profiles_never_passes_for_their_end():
    gone = b'"gone":[{"$distinct_id":2},{"$distinct_id":3}]'
    body = b'{"results":[{"$distinct_id":1}],"page":9,' + gone + b',"session_id":"s","status":"ok"}'
    page = EngagePage.from_body(4, body)
    with pytest.raises(json.JSONDecodeError):  # and so does DuckDB, which is given the same text
        json.loads(bytes(page.rows))
    with pytest.raises(UnreadableAnswerError, match="hid that it is page 9"):
        page.reread()
    with pytest.raises(ServerError, match="reports: x"):
        EngagePage.from_body(4, body.replace(b'"page":9', b'"error":"x"')).reread()
    assert bytes(EngagePage.from_body(4, body.replace(b'"page":9', b'"b":0')).reread().rows) == b'[{"$distinct_id":1}]'


NONE = "as if it were not there"
FIELDS = {
    "total": [
        (2, 2), (2.0, 2), ("2", 2), (" 2 ", 2), ("2.0", 2), (0, 0), ("0", 0), (10**18, 10**18), (-0.0, 0),
        (None, NONE), (True, NONE), (-1, NONE), (2.5, NONE), ("", NONE), ("two", NONE), ("1_0", NONE), ("-1", NONE),
        ("\u0662", NONE), ([2], NONE), ({"value": 2}, NONE),
    ],
    "page_size": [(1000, 1000), ("1000", 1000), (1e3, 1000), (0, NONE), ("0", NONE), (2**31, NONE), (None, NONE)],
    "page": [(0, 0), ("3", 3), (3.0, 3), ("x", NONE), (None, NONE)],
    "session_id": [("1-a", "1-a"), (12, "12"), ("", NONE), (None, NONE), (True, NONE), ([], NONE), ("\ud800", NONE)],
    "status": [
        ("ok", NONE), ("OK", NONE), (" ok ", NONE), ("", NONE), (None, NONE), ("error", '"error"'), (False, "false"),
        (500, "500"), ({}, "{}"), (["ok"], '["ok"]'), ("x" * 99, '"' + "x" * 36 + "..."),
    ],
    "error": [
        ("", NONE), (None, NONE), (False, NONE), (0, NONE), (0.0, NONE), ([], NONE), ({}, NONE), (" \n", NONE),
        ("boom", "boom"), (True, "true"), (7, "7"), ({"code": 7}, '{"code": 7}'), (["a", "b"], '["a", "b"]'),
    ],
    "results": [([], True), ([1], True), (None, NONE), ({}, NONE), ("[]", NONE), (0, NONE)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "means"),
    [(name, value, means) for name, forms in FIELDS.items() for value, means in forms],
    ids=lambda each: repr(each)[:30],
)
def test_each_form_of_a_field_counts_or_is_as_if_it_were_not_there(name, value, means):
    found = read_fields(json.dumps({name: value}).encode(), first=True)
    assert found.values == ({} if means is NONE else {name: means})
    assert (name in found.unread) == (means is NONE)


@pytest.mark.parametrize("name", NAMES)
@given(value=values)
def test_a_field_of_any_type_is_read_or_told_and_nothing_else_is_raised(name, value):
    body = {"results": [], "page": 0, "page_size": 2, "session_id": "s", "status": "ok", "total": 0, name: value}
    with suppress(ServerError, UnreadableAnswerError):
        page = EngagePage.from_body(0, json.dumps(body).encode())
        assert Announcement.opened_by(page).pages >= 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "the answer has no total, so"),
        ({"total": None}, "the answer has no total, so"),
        ({"total": "about 5"}, 'the answer\'s total is "about 5", no whole number, so'),
        ({"total": {"value": 2}}, r'the answer\'s total is {"value": 2}, no whole number, so'),
        (
            {"total": 10**18},
            "total is 1,000,000,000,000,000,000, or 1,000,000,000,000,000 pages of 1,000, which cannot be",
        ),
        ({"total": float(10**300)}, "which cannot be"),
    ],
)
def test_a_total_that_is_none_or_cannot_be_is_told_with_what_was_seen(fields, said):
    body = json.dumps({"page_size": 1000, "results": [], "session_id": "s", **fields}).encode()
    with pytest.raises(UnreadableAnswerError, match=r"Page 0: .*nothing was kept") as caught:
        Announcement.opened_by(EngagePage.from_body(0, body))
    assert said.replace("\\", "") in str(caught.value)
    assert str(caught.value).count(".") == 1


def test_no_list_at_all_is_an_empty_one_only_where_the_total_says_so():
    page = EngagePage.from_body(0, b'{"results":null,"total":0,"session_id":"s"}')
    assert (bytes(page.rows), page.row_count()) == (b"[]", 0)
    for body, seen in ((b'{"results":null,"total":3}', ": results is null"), (b'{"results":{},"total":0}', "is {}"),
                       (b'{"total":0}', "list of results.")):  # fmt: skip
        with pytest.raises(UnreadableAnswerError, match="no list of results") as caught:
            EngagePage.from_body(0, body)
        assert seen in str(caught.value)


@pytest.mark.parametrize("status", ["error", "ERROR", "partial", 500, False, {"code": 1}])
def test_a_status_that_is_not_ok_is_a_failed_request(status):
    body = {"page": 0, "page_size": 1000, "results": [], "session_id": "s", "status": status, "total": 0}
    with pytest.raises(ServerError, match='not "ok"') as caught:
        EngagePage.from_body(0, json.dumps(body).encode())
    assert caught.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        b'{"page":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"results":[]}',
        b'{"page":1,"results":[],"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"page":1,"results":[],"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
    ],
    ids=["before", "behind", "error", "all"],
)
def test_any_depth_is_an_answer_that_cannot_be_read_and_no_more(body):
    with pytest.raises(UnreadableAnswerError) as caught:
        EngagePage.from_body(1, body)
    assert caught.value.retryable


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_stands_there_twice_is_taken_only_if_it_says_the_same(name):
    twice = f'{{"results":[],"{name}":[1],"{name}":[1],"x":0}}'.encode()
    other = f'{{"results":[],"{name}":[1],"x":0,"{name}":[2]}}'.encode()
    with pytest.raises(NotWholeError, match=f"names its {name} twice"):
        read_fields(other, first=False)
    if name != "results":
        read_fields(twice, first=False)


@given(st.binary(max_size=40) | st.text('{}[]":,\\ abresults01', max_size=40).map(str.encode), st.booleans())
def test_any_bytes_are_read_or_refused(body, first):
    with suppress(NotWholeError):
        assert read_fields(b'{"results":[],' + body, first=first).values["results"]
