"""``page_size="auto"``: what page 0 shows decides, and nothing is asked for that is not known to work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb.engage import Announcement, page_count, page_sizing

KB = 1000


@pytest.mark.parametrize(
    ("total", "own", "body_bytes", "seconds", "size", "pages"),
    [
        (60_000, 1000, 1000 * KB, 0.5, 1000, 60),
        (60_001, 1000, 1000 * KB, 0.5, 1001, 60),
        (3_000_000, 1000, 1000 * KB, 0.5, 50_000, 60),
        (100_000_000, 1000, 1000 * KB, 0.5, 50_000, 2000),  # 50,000 is the most that is known to work
        (3_000_000, 1000, 4000 * KB, 0.5, 16_000, 188),  # 64 MB a page
        (3_000_000, 1000, 1000 * KB, 4.0, 15_000, 200),  # 60 s a page
        (3_000_000, 1000, 1000 * KB, 90.0, 1000, 3000),  # not even these
        (3_000_000, 1000, 64_001 * KB, 0.5, 1000, 3000),
        (6_000_000, 100_000, 1000 * KB, 0.5, 100_000, 60),
        (9_000_000, 100_000, 1000 * KB, 0.5, 100_000, 90),  # a server whose own size is larger still
        (0, 1000, 100, 0.5, 1000, 1),
    ],
)
def test_the_smallest_size_that_makes_sixty_pages_within_what_is_sensible(
    total: int, own: int, body_bytes: int, seconds: float, size: int, pages: int
) -> None:
    sizing = page_sizing(Announcement("s", total, own), body_bytes, seconds)
    assert (sizing.page_size, sizing.pages, sizing.larger) == (size, pages, size != own)
    assert bool(sizing.reason) == (page_count(total, own) > 60)


@given(
    total=st.integers(0, 10**9),
    own=st.integers(1, 10**5),
    body_bytes=st.integers(0, 10**9),
    seconds=st.floats(0, 10**4),
)
def test_a_size_is_never_beyond_its_bounds_nor_larger_than_needed(
    total: int, own: int, body_bytes: int, seconds: float
) -> None:
    sizing = page_sizing(Announcement("s", total, own), body_bytes, seconds)
    assert sizing.pages == page_count(total, sizing.page_size) <= page_count(total, own)
    if sizing.larger:
        assert own < sizing.page_size <= 50_000
        assert body_bytes * sizing.page_size / min(own, total) <= 64 * KB * KB
        assert seconds * sizing.page_size / min(own, total) <= 60.001
        assert page_count(total, sizing.page_size - 1) > 60
    else:
        assert sizing.page_size == own


@pytest.mark.parametrize(("given_size", "sent"), [("auto", None), (None, None), (7, 7), ("7", 7), (7.0, 7)], ids=repr)
def test_only_a_number_is_sent(given_size: object, sent: int | None) -> None:
    query = md.ProfileQuery(page_size=given_size)  # type: ignore[arg-type]
    assert query.params().get("page_size") == sent
    assert md.ProfileQuery(**query.given()) == query


def test_without_a_size_it_is_auto_and_the_same_fetch_as_before() -> None:
    assert md.ProfileQuery() == md.ProfileQuery(page_size="auto")
    assert md.ProfileQuery().canonical() == md.ProfileQuery(page_size=None).canonical() == "{}"
    assert md.ProfileQuery(where="auto").given() == {"where": "auto"}


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "many", "", [5]], ids=repr)
def test_anything_else_is_refused_in_one_sentence(wrong: object) -> None:
    with pytest.raises(md.QueryError, match=r'^page_size: must be "auto" or a whole number, 1 or more\.$'):
        md.ProfileQuery(page_size=wrong)  # type: ignore[arg-type]
