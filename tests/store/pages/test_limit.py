"""A page with more rows than the query's limit leaves for it: what is beyond is not stored, whatever shape it has."""

import duckdb
import pytest

from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.store import PageWrite, ProfileStore
from store.storing import body_of, opened, put, rows_of

PLAIN = [b'{"$distinct_id":"%d","$properties":{}}' % number for number in range(6)]


@pytest.mark.parametrize("odd", [{}, {1: b"7"}, {4: b"null"}, {0: b'"x"', 5: b"[]"}], ids=str)
@pytest.mark.parametrize("limit", [0, 1, 4, 6, 9])
def test_the_rows_of_a_page_are_cut_in_its_own_order(odd: dict[int, bytes], limit: int) -> None:
    body = body_of([odd.get(index, row) for index, row in enumerate(PLAIN)])
    stored = []
    for cut in (False, True):
        write = PageWrite(EngagePage.from_body(0, body), expected_rows=limit, last_try=True, cut=cut)
        with duckdb.connect() as connection, ProfileStore(connection) as store, opened(store) as (fetch, writer):
            (receipt,) = put(writer, [write])
            stored.append(rows_of(connection, fetch.staging))
        assert (receipt.rows, receipt.problem) == (len(stored[-1]), None)
    assert stored[1] == stored[0][:limit]
