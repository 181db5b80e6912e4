"""A list behind the profiles that looks like their end: DuckDB, which is given one list, refuses more than that."""

import json

import pytest

from store.storing import store_body

PROFILES = [{"$distinct_id": "a", "$properties": {"n": 1}}, {"$distinct_id": "b", "$properties": {"n": 2}}]
GONE = [{"$distinct_id": "x"}, {"$distinct_id": "y"}]
USUAL = {"session_id": "s", "status": "ok", "total": 2}


def body(**fields: object) -> bytes:
    return json.dumps({"page_size": 10, "results": PROFILES, **fields, "gone": GONE, **USUAL}).encode()


def test_its_entries_are_not_taken_for_profiles() -> None:
    receipt, rows, _ = store_body(body())
    assert (receipt.rows, receipt.problem) == (2, None)
    assert [(row.distinct_id, row.text) for row in rows] == [("a", '{"n":1}'), ("b", '{"n":2}')]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [({"error": "shard timeout"}, "the server reports: shard timeout"), ({"page": 7}, "hid that it is page 7")],
)
def test_what_it_hid_is_seen_before_anything_is_stored(fields: dict[str, object], problem: str) -> None:
    receipt, rows, _ = store_body(body(**fields))
    assert problem in (receipt.problem or "")
    assert rows == []
