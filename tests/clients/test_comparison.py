"""What docs/every-night.md says of mixpanel-utils is what that does, with the same things going wrong."""

import re

import pytest

from mixpanel_duckdb.simulator import Simulator
from test_every_night import COMPARED, PEOPLE, SMALL, TEXT

ENGAGE = ("query_engage", {})


def said(what: str) -> str:
    """The words of the page in the column of mixpanel-utils."""
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| {what} |"))
    return row.split("|")[4].strip()


@pytest.mark.parametrize("what", COMPARED)
def test_what_the_comparison_says_of_mixpanel_utils(what, utils):
    with Simulator(PEOPLE, behaviour=SMALL, faults=[COMPARED[what][0]]) as sim:
        (outcome,) = utils.outcomes(sim, ENGAGE)
    words = said(what)
    if "error" in outcome:
        kind = re.search(r"`(\w+)`", words)
        assert words.startswith("ends with a")
        assert kind is None or kind[1] == outcome["kind"]
        return
    counted = re.match(r"(\d+) profiles, success", words)
    assert counted or words == "tries again, complete"
    assert len(outcome["profiles"]) == int(counted[1] if counted else len(PEOPLE))
