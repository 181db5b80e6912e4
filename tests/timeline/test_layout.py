"""Where things go: inside the axes, in lanes that do not overlap, in order, and few enough."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb.http.trace import Step
from mixpanel_duckdb.store.journal.history import FetchHistory, PageHistory, RunHistory
from mixpanel_duckdb.timeline.activity import Activity, activities, in_flight_share, segments
from mixpanel_duckdb.timeline.layout import LEFT, RIGHT, WIDTH, lay_out
from mixpanel_duckdb.timeline.scale import TimeScale
from timeline.histories import HISTORIES, START, at, record, steady

EDGES = (LEFT - 1e-6, WIDTH - RIGHT + 1e-6)
SEGMENTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 100_000)), min_size=1, max_size=40).map(
    lambda pairs: [
        (START + timedelta(milliseconds=start), START + timedelta(milliseconds=end))
        for start, end in _apart(sorted(tuple(sorted(pair)) for pair in pairs))
    ]
)


def _apart(pairs):
    edge = -1
    for start, end in pairs:
        if start > edge:
            edge = end
            yield start, end


@given(HISTORIES)
def test_nothing_is_outside_the_axes_and_bars_of_a_lane_do_not_overlap(history):
    layout = lay_out(history)
    places = [(bar.left, bar.right) for lane in layout.lanes for bar in lane.bars]
    places += [tail for lane in layout.lanes for tail in lane.tails]
    places += [(each.left, each.right) for each in (*layout.pauses, *layout.cuts)]
    places += [(mark, mark) for lane in layout.lanes for mark, _ in lane.marks]
    places += [(tick.x, tick.x) for tick in layout.ticks]
    for left, right in places:
        assert EDGES[0] <= left <= right <= EDGES[1]
    for lane in layout.lanes:
        for row in ([(bar.left, bar.right) for bar in lane.bars], lane.tails):
            assert all(one[1] <= two[0] + 1e-6 for one, two in pairwise(row))
    assert 0 <= layout.share <= 1


@given(HISTORIES)
def test_everything_that_was_done_is_in_a_bar_once(history):
    done = [each for each in activities(history) if each.kind != "commit"]
    drawn = [each for lane in lay_out(history).lanes for bar in lane.bars for each in bar.of]
    assert sorted(map(id_of, drawn)) == sorted(map(id_of, done))


def id_of(each: Activity):
    return (each.worker, each.start, each.end, each.page, each.kind, each.why, each.rows)


@given(HISTORIES)
def test_every_moment_of_work_is_in_a_segment(history):
    done = activities(history)
    found = segments(history, done)
    assert all(one[1] <= two[0] for one, two in pairwise(found))
    for each in done:
        assert any(start <= each.start <= end for start, end in found)


@given(SEGMENTS, st.lists(st.integers(0, 100_000), min_size=2))
def test_later_moments_are_never_further_left(found, moments):
    scale = TimeScale(found, 100.0, 500.0)
    places = [scale.x(START + timedelta(milliseconds=moment)) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(100.0 <= place <= 600.0 for place in places)
    assert scale.x(found[0][0]) == 100.0
    assert scale.x(found[-1][1]) == pytest.approx(600.0) or scale.seconds == 0


@given(SEGMENTS)
def test_ticks_are_few_and_evenly_spaced_seconds(found):
    ticks = TimeScale(found, 100.0, 500.0).ticks()
    assert 1 <= len(ticks) <= 11
    numbers = [float(tick.text.replace(",", "")) for tick in ticks]
    assert all(two - one == pytest.approx(numbers[1]) for one, two in pairwise(numbers))


@pytest.mark.parametrize("pages", [1, 13, 5_000, 25_000])
@pytest.mark.parametrize("failing", [0, 2])
def test_bars_are_few_however_many_pages_there_are(pages, failing):
    layout = lay_out(steady(pages, failing=failing))
    assert sum(len(lane.bars) for lane in layout.lanes) <= 800
    assert len(layout.lanes) == min(5, pages)


def test_wide_bars_are_one_page_each_and_last_as_long():
    layout = lay_out(steady(13))
    bars = [bar for lane in layout.lanes for bar in lane.bars]
    assert sorted(bar.of[0].page for bar in bars) == list(range(13))
    pixels = (WIDTH - LEFT - RIGHT) / layout.seconds
    assert all(bar.right - bar.left == pytest.approx(0.3 * pixels) for bar in bars)


def test_every_failure_is_marked_where_marks_have_room():
    layout = lay_out(steady(30, failing=3))
    assert sum(len(lane.marks) for lane in layout.lanes) == 10
    assert layout.counts["failed"] == 10


def test_time_between_runs_is_cut_out_and_everything_else_is_kept():
    pages = (
        PageHistory(0, requested_at=at(0), received_at=at(2), committed_at=at(2), worker="w"),
        PageHistory(1, requested_at=at(7202), received_at=at(7210), committed_at=at(7210), worker="w"),
    )
    runs = (RunHistory(at(0), at(4), "stopped"), RunHistory(at(7201), at(7210)))
    layout = lay_out(FetchHistory(record(2), runs, pages))
    assert layout.seconds == 13
    (cut,) = layout.cuts
    assert cut.seconds == 7197
    (first, second) = layout.lanes[0].bars
    assert first.right < cut.left < cut.right < second.left


def test_a_run_that_was_killed_ends_with_the_last_that_is_known_of_it():
    page = PageHistory(0, requested_at=at(0), received_at=at(2), committed_at=at(3), worker="w")
    again = PageHistory(1, requested_at=at(101), received_at=at(102), committed_at=at(103), worker="w")
    runs = (RunHistory(at(0)), RunHistory(at(100), at(103)))
    history = FetchHistory(record(2), runs, (page, again))
    assert segments(history, activities(history)) == [(at(0), at(3)), (at(100), at(103))]


def test_a_journal_without_runs_is_cut_where_it_is_silent():
    pages = tuple(
        PageHistory(index, requested_at=at(start), received_at=at(start + 2), committed_at=at(start + 2), worker="w")
        for index, start in enumerate([0, 6, 100])
    )
    layout = lay_out(FetchHistory(record(3), (), pages))
    assert [cut.seconds for cut in layout.cuts] == [92]


def test_a_page_of_an_old_journal_that_does_not_know_when_it_was_asked_for_begins_with_the_fetch():
    history = FetchHistory(record(1), (), (PageHistory(0, received_at=at(2), committed_at=at(3)),))
    (page, commit) = activities(history)
    assert (page.kind, page.start, page.end, commit.kind) == ("page", START, at(2), "commit")


def test_only_the_last_request_of_a_missing_page_gives_it_up():
    steps = (Step("failed", at(0), at(1), "w", "502"), Step("backoff", at(1), at(2), "w"),
             Step("failed", at(2), at(3), "w", "502"))  # fmt: skip
    for state, steps_there, expected in [
        ("missing", steps, ["failed", "backoff", "lost"]),
        ("missing", steps[:2], ["failed", "backoff"]),
        ("left", steps, ["failed", "backoff", "failed"]),
    ]:
        history = FetchHistory(record(1), (), (PageHistory(0, state, steps=steps_there),))
        assert [each.kind for each in activities(history)] == expected


def test_a_page_is_fetched_from_the_end_of_its_last_wait():
    page = PageHistory(
        0, requested_at=at(0), received_at=at(9), worker="w", steps=(Step("limit", at(0), at(5), "w", "quota"),)
    )
    assert [(each.kind, each.seconds) for each in activities(FetchHistory(record(1), (), (page,)))] == [
        ("limit", 5), ("page", 4),
    ]  # fmt: skip


def test_waits_of_several_workers_are_one_pause():
    pages = tuple(
        PageHistory(number, requested_at=at(number), received_at=at(9), worker=f"w{number}",
                    steps=(Step("limit", at(number), at(8), f"w{number}", "quota"),))
        for number in range(3)
    )  # fmt: skip
    (pause,) = lay_out(FetchHistory(record(3), (), pages)).pauses
    assert (pause.seconds, pause.why) == (8, "quota")


def test_the_share_in_flight_counts_requests_only():
    def work(worker, kind, start, end):
        return Activity(worker, kind, at(start), at(end), 0)

    done = [work("a", "page", 0, 10), work("b", "failed", 0, 4), work("b", "backoff", 4, 8), work("c", "commit", 0, 10)]
    assert in_flight_share(done, 2, 10) == pytest.approx(0.4)
    assert in_flight_share(done, 1, 10) == pytest.approx(1.0)
    assert in_flight_share([], 1, 0) == 0
