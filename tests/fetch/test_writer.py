"""Which pages share a group, and which groups a transaction."""

import threading

from helpers import LONGEST
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.fetch.writer import Writer
from mixpanel_duckdb.store import PageReceipt, PageWrite, StagedGroup
from mixpanel_duckdb.store.pages.stage import Counted


class Sink:
    """Notes what it is given; the first group is not parsed before ``go`` is set."""

    def __init__(self):
        self.go = threading.Event()
        self.commits = []

    def stage(self, pages):
        assert self.go.wait(LONGEST)
        receipts = tuple(PageReceipt(each.page.index, 1) for each in pages)
        counted = {each.page.index: Counted(1, size=len(each.page.body)) for each in pages}
        return StagedGroup("t", tuple(pages), receipts, counted)

    def commit(self, groups):
        self.commits.append([[each.page.index for each in group.pages] for group in groups])
        return [receipt for group in groups for receipt in group.receipts]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def large(index):
    return PageWrite(EngagePage(index, bytes(4_000_000)))


def test_large_pages_that_wait_are_parsed_one_by_one_and_committed_together_up_to_19_mb():
    sink, errors = Sink(), []
    writer = Writer(sink, 10, on_written=lambda *_: None, on_end=errors.append)
    writer.start()
    for index in range(10):
        assert writer.put(large(index))
    sink.go.set()
    writer.finish()
    assert writer.join(LONGEST)
    assert errors == [None]
    assert sink.commits == [[[0], [1], [2], [3], [4]], [[5], [6], [7], [8], [9]]]


def test_small_pages_that_wait_share_one_group():
    sink, errors = Sink(), []
    writer = Writer(sink, 10, on_written=lambda *_: None, on_end=errors.append)
    assert all(writer.put(PageWrite(EngagePage(index, b"{}"))) for index in range(8))
    sink.go.set()
    writer.start()
    writer.finish()
    assert writer.join(LONGEST)
    assert (errors, sink.commits) == ([None], [[list(range(8))]])


def test_a_page_that_nobody_follows_is_committed_at_once():
    sink, errors, written = Sink(), [], threading.Semaphore(0)
    writer = Writer(sink, 10, on_written=lambda *_: written.release(), on_end=errors.append)
    sink.go.set()
    writer.start()
    for index in range(5):
        assert writer.put(large(index))
        assert written.acquire(timeout=LONGEST)
    writer.finish()
    assert writer.join(LONGEST)
    assert (errors, sink.commits) == ([None], [[[index]] for index in range(5)])
