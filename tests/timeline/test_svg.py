"""The picture: well-formed whatever the names, small whatever the size, self-contained, and said in words."""

import re
from xml.etree import ElementTree

import duckdb
import pytest
from hypothesis import given

import mixpanel_duckdb as md
from helpers import fetch
from mixpanel_duckdb.simulator import Fault, Population, Simulator
from mixpanel_duckdb.store.journal.history import FetchHistory, PageHistory
from mixpanel_duckdb.timeline.layout import lay_out
from mixpanel_duckdb.timeline.svg import draw
from timeline.histories import HISTORIES, record, steady

LARGEST = 300_000


def words(svg):
    """All text of a picture."""
    return "\n".join(ElementTree.fromstring(svg).itertext())


@given(HISTORIES)
def test_the_picture_is_well_formed_whatever_is_in_it(history):
    root = ElementTree.fromstring(draw(lay_out(history)))
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    used = [each.get("href") for each in root.iter("{http://www.w3.org/2000/svg}use")]
    assert {name.removeprefix("#") for name in used} <= set(ids)


@pytest.mark.parametrize("name", ['<script>alert("1")</script>', "a & b", "\x00\x01\ud800\uffff", "x" * 500, "表"])
def test_a_name_is_text(name):
    svg = draw(lay_out(FetchHistory(record(1, table=name), (), (PageHistory(0, "missing", error=name),))))
    ElementTree.fromstring(svg)
    assert "<script" not in svg


@pytest.mark.parametrize("failing", [0, 1, 3])
@pytest.mark.parametrize("pages", [5_000, 25_000])
def test_a_picture_of_thousands_of_pages_is_a_small_file(pages, failing):
    assert len(draw(lay_out(steady(pages, failing=failing))).encode()) < LARGEST


def test_the_picture_needs_nothing_from_elsewhere():
    svg = draw(lay_out(steady(50, failing=4)))
    assert set(re.findall(r"https?://[^\"']+", svg)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|@import|url\(|\bon\w+=", svg)
    assert "prefers-color-scheme:dark" in svg


def test_two_pictures_in_one_page_do_not_share_ids():
    one, two = (draw(lay_out(FetchHistory(record(1, fetch_id=name)))) for name in ("aaaa", "bbbb"))
    assert not set(re.findall(r'id="([^"]+)"', one)) & set(re.findall(r'id="([^"]+)"', two))


def test_title_and_tooltips_say_what_happened():
    faults = [Fault("status", page=2, status=502), Fault("shedding", page=3, retry_after=0.3)]
    with duckdb.connect() as connection, Simulator(Population(120, seed=1), faults=faults) as sim:
        said = words(fetch(sim, connection, "people & <co>").timeline().svg)
    assert "people & <co>: 6 of 6 pages, 120 profiles in " in said
    assert "1 request failed · 1 answered with 429 · paused " in said
    assert re.search(r"\d in flight \d+ % of the time", said)
    assert re.search(r"page 2: request failed, .*502", said)
    assert re.search(r"page \d: page fetched, \d+ ms, 20 profiles", said)
    assert "the server is busy: all workers paused" in said
    for legend in ("page fetched", "until written", "request failed", "answered with 429", "all paused"):
        assert legend in said


def test_a_bar_of_several_pages_says_which():
    assert re.search(r"\d+ pages from \d+ to \d+ in .*: page fetched \d+ times, [\d,]+ profiles", words(draw(lay_out(
        steady(5_000)))))  # fmt: skip


def test_a_project_without_profiles_and_a_fetch_without_pages_have_pictures():
    with duckdb.connect() as connection, Simulator(Population(0)) as sim:
        assert "1 of 1 page, 0 profiles" in words(fetch(sim, connection).timeline().svg)
    none = words(draw(lay_out(FetchHistory(record(0)))))
    assert "The journal has no page of this fetch." in none
    assert "in flight" not in none


def test_missing_pages_are_said_and_marked():
    with duckdb.connect() as connection:
        gone = Fault("status", page=1, status=500, attempts=None)
        with Simulator(Population(60, seed=1), faults=[gone]) as sim:
            result = fetch(sim, connection, retry=md.RetryPolicy(attempts=1))
        said = words(result.timeline().svg)
    assert "incomplete · 1 page missing" in said
    assert "page 1: given up" in said


def test_every_mark_is_drawn_where_the_rules_of_the_picture_reach_it():
    """A rule that begins with the picture's id reaches nothing that is drawn by reference."""
    svg = draw(lay_out(steady(50, failing=4)))
    tags = {each.tag.rpartition("}")[2] for each in ElementTree.fromstring(svg).iter()}
    assert not tags & {"use", "defs", "symbol"}
    assert svg.count('class="mark"') > 1
    for name in re.findall(r'class="(\w+)"', svg):
        assert re.search(rf"#run-\w+ \.{name}\b[^{{]*{{", svg), name
