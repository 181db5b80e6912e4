import signal

import pytest

from cli.command import MpFetch
from mixpanel_duckdb.simulator import Behaviour, Population, Simulator

PEOPLE = 1030


@pytest.fixture(scope="session", autouse=True)
def heeded_interrupts():
    """A test run that was itself started in the background would hand down an ignored SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def simulator():
    """Eleven pages of a hundred profiles."""
    with Simulator(Population(PEOPLE, seed=3), behaviour=Behaviour(page_size=100)) as running:
        yield running


@pytest.fixture
def mp_fetch(simulator, tmp_path):
    return MpFetch(tmp_path, simulator.environment())
