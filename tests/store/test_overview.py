"""What a store shows of itself in a notebook."""

from html.parser import HTMLParser

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb.simulator import Behaviour, EventPopulation, Fault, Population, RawExport, Simulator


class Cells(HTMLParser):
    """The texts between the tags; every tag is closed, and none is a script or a style sheet."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "style", "link", "img"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


def test_tables_have_their_rows_and_fetches_their_state(connection):
    connection.execute('CREATE TABLE "<b>mine" AS FROM range(1234); CREATE VIEW seen AS SELECT 1')
    fault = Fault("status", page=2, status=500, attempts=None)
    with Simulator(Population(30, seed=3), behaviour=Behaviour(page_size=10), faults=[fault]) as sim:
        who = md.Credentials.from_env(sim.environment())
        policy = md.RetryPolicy(attempts=1, first_delay=0.01)
        client = md.MixpanelClient(who, base_url=sim.base_url, retry=policy)
        with client, md.ProfileStore(connection) as store:
            md.fetch_profiles(store, "broken", client=client)
            sim.clear_faults()
            md.fetch_profiles(store, "whole", client=client)
            texts = Cells(store._repr_html_()).texts
    assert texts[0] == "ProfileStore('a connection')"
    table = texts[1 : texts.index("fetch into")]
    assert table == ["table", "rows", "<b>mine", "1,234", "seen", "view", "whole", "30"]
    fetches = texts[texts.index("broken") :]
    assert fetches[:4] == ["broken", "incomplete", "2 of 3", "20 of 30"]
    assert fetches[5] == "missing pages: 2; the same fetch goes on from there"
    assert texts[texts.index("complete") + 1 :][:2] == ["3 of 3", "30 of 30"]


def test_a_list_of_fetches_fits_a_terminal_and_says_all_of_it(connection, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    fault = Fault("status", page=2, status=500, attempts=None)
    with Simulator(Population(30, seed=3), behaviour=Behaviour(page_size=10), faults=[fault]) as sim:
        who = md.Credentials.from_env(sim.environment())
        policy = md.RetryPolicy(attempts=1, first_delay=0.01)
        with md.MixpanelClient(who, base_url=sim.base_url, retry=policy) as client:
            md.fetch_profiles(connection, "broken", client=client)
    head, row, remark = str(md.list_fetches(connection)).splitlines()
    assert head.endswith("last change (UTC)")
    assert "..." not in row
    assert remark == "broken: missing pages: 2; the same fetch goes on from there"


def test_tables_of_events_show_themselves_as_a_table(connection):
    assert str(md.list_event_tables(connection)) == "no events yet"
    assert Cells(md.list_event_tables(connection)._repr_html_()).texts == ["no events yet"]
    with Simulator(events=RawExport(EventPopulation("2026-01-01", "2026-01-09", 500))) as sim:
        who = md.Credentials.from_env(sim.environment())
        for first, last in (("2026-01-01", "2026-01-03"), ("2026-01-07", "2026-01-07")):
            md.fetch_events(connection, first, last, credentials=who, base_url=sim.base_url)
    listed = md.list_event_tables(connection)
    shown = ["events", "2026-01-01", "2026-01-07", "4", "0", "1", "2,000"]
    assert Cells(listed._repr_html_()).texts[7:] == shown
    assert str(listed).splitlines()[1].split() == shown


def test_an_empty_store_says_so_and_makes_no_journal(connection):
    with md.ProfileStore(connection) as store:
        assert Cells(store._repr_html_()).texts[1:] == ["no tables yet"]
    assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]


def test_of_many_tables_some_are_shown(connection):
    for number in range(25):
        connection.execute(f"CREATE TABLE t{number:02} (x INTEGER)")
    with md.ProfileStore(connection) as store:
        texts = Cells(store._repr_html_()).texts
    assert "t19" in texts
    assert "t20" not in texts
    assert texts[-1] == "and 5 more tables"


def test_a_closed_store_can_still_be_shown(database):
    store = md.ProfileStore(database)
    store.close()
    (text,) = Cells(store._repr_html_()).texts
    assert text.startswith(f"ProfileStore({database!r}): Could not use the database; was it closed?")
