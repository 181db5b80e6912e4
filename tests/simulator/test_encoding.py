import gzip
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.simulator.encoding import Segment, page_pieces
from simulator.calling import ACCOUNT, PATH, ask

profiles = st.lists(
    st.builds(
        lambda name, value: json.dumps({"$distinct_id": name, "$properties": {"v": value}}).encode(),
        st.text(max_size=20),
        st.one_of(st.text(), st.integers(), st.none()),
    ),
    max_size=30,
)


@given(rows=profiles, page=st.integers(0, 10**9), total=st.none() | st.integers(0), level=st.sampled_from([0, 1, 4, 9]))
def test_assembled_gzip_reads_as_the_plain_body(rows, page, total, level):
    fields = {"page": page, "page_size": 1000, "session_id": "1-AbCdEf", "total": total}
    plain = b"".join(page_pieces(Segment.of(rows, level=None), **fields))
    packed = b"".join(page_pieces(Segment.of(rows, level=level), **fields))
    assert gzip.decompress(packed) == plain
    assert json.loads(plain)["results"] == [json.loads(row) for row in rows]


def test_one_encoded_segment_serves_every_page_number_and_session():
    segment = Segment.of([b'{"$distinct_id": "a"}'] * 5000, level=4)
    for page, session in ((0, "1-a"), (123_456, "1795480468-qLUJyf")):
        body = gzip.decompress(
            b"".join(page_pieces(segment, page=page, page_size=None, session_id=session, total=None))
        )
        assert (json.loads(body)["page"], json.loads(body)["session_id"]) == (page, session)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_clients_read_equal_pages_with_and_without_gzip(encoding):
    population = Population(700, seed=3)
    with Simulator(population) as sim:
        headers = {**ACCOUNT, "Accept-Encoding": encoding}
        answer = httpx.get(sim.base_url + PATH, params={"project_id": 1}, headers=headers)
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.json()["results"] == list(population.profiles())


def test_a_page_of_fifty_thousand_rows_arrives_whole():
    with Simulator(Population.uniform(60_000, profile_bytes=300)) as sim:
        page = ask(sim, page=0, page_size=90_000).json()
    assert (page["page_size"], len(page["results"]), page["total"]) == (50_000, 50_000, 60_000)
