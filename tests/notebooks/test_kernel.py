"""In a notebook: the stop button, a running event loop, one's own connection, the same cell twice."""

import pytest

pytest.importorskip("ipykernel")

from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator
from notebooks.kernels import running_kernel

IMPORTS = """
import asyncio, threading, time
import duckdb
import mixpanel_duckdb as md
"""
THREADS = "print(sorted(each.name for each in threading.enumerate() if each.name.startswith('mp-fetch')))"


@pytest.fixture(scope="module")
def sim():
    # No limits: to a server, a request that was cut is still one of the five.
    limits = Limits(quota=None, concurrency=None)
    with Simulator(Population(1000, seed=4), behaviour=Behaviour(page_size=20), limits=limits) as running:
        yield running


@pytest.fixture(scope="module")
def kernel(sim, tmp_path_factory):
    with running_kernel(tmp_path_factory.mktemp("kernel"), sim.environment()) as started:
        assert not started.run(IMPORTS).error
        yield started


@pytest.fixture
def slow(sim):
    """Ten pages, of which none comes at once, and silence."""
    sim.add_fault(Fault("delay", page=range(10), seconds=0.5, attempts=None))
    sim.add_fault(Fault("hang", page=range(10, 50), attempts=None))
    yield sim.clear_faults
    sim.clear_faults()


def stopped(kernel, cell):
    """Start a cell, press stop once a page is there, and hear how it ended."""
    sent = kernel.send(cell)
    kernel.wait(sent, until="a page")
    kernel.interrupt()
    return kernel.wait(sent)


def test_the_stop_button_stops_a_fetch_at_once_and_the_same_cell_goes_on(kernel, slow, at_most):
    cell = """
result = md.fetch_profiles("stopped.duckdb", on_batch_complete=lambda page: print("a page"))
print(result.is_complete, result.resumed_pages > 0, result.requests < result.total_pages)
"""
    said = stopped(kernel, cell)
    assert said.error.startswith("KeyboardInterrupt")
    assert said.seconds < at_most(2.0)
    assert kernel.run(THREADS).text == "[]\n"
    slow()
    assert kernel.run(cell).text.endswith("True True True\n")
    assert kernel.run(THREADS).text == "[]\n"


def test_a_bar_is_left_where_the_fetch_was_stopped_and_nothing_else_is_said(kernel, slow):
    cell = """
class FirstPage(md.SilentObserver):
    def page_done(self, progress):
        print("a page")
result = md.fetch_profiles("bar.duckdb", observer=FirstPage(), progress=True)
"""
    said = stopped(kernel, cell)
    assert said.error.startswith("KeyboardInterrupt")
    shown = said.errors + "".join(said.html)
    assert "arning" not in shown
    slow()


def test_a_fetch_works_inside_the_running_loop_and_leaves_it_free(kernel):
    said = kernel.run("""
async def fetched():
    ticks = 0
    task = asyncio.create_task(md.afetch_profiles("loop.duckdb"))
    while not task.done():
        await asyncio.sleep(0.001)
        ticks += 1
    return ticks, await task
ticks, result = await fetched()
print(asyncio.get_running_loop().is_running(), ticks > 5, result.is_complete, md.fetch_profiles(":memory:").is_complete)
""")
    assert (said.error, said.text) == ("", "True True True True\n")


def test_the_stop_button_stops_an_awaited_fetch_and_the_same_cell_goes_on(kernel, slow, at_most):
    cell = """
result = await md.afetch_profiles("awaited.duckdb", on_batch_complete=lambda page: print("a page"))
print(result.is_complete, result.resumed_pages > 0)
"""
    said = stopped(kernel, cell)
    assert said.error.startswith("CancelledError")
    assert said.seconds < at_most(2.0)
    assert kernel.run(THREADS).text == "[]\n"
    slow()
    assert kernel.run(cell).text.endswith("True True\n")


def test_ones_own_connection_twice_in_a_row(kernel):
    cell = """
connection = duckdb.connect("own.duckdb")
result = md.fetch_profiles(connection, if_exists="replace")
print(connection.execute("SELECT count(*) FROM profiles").fetchall())
result
"""
    for _ in range(2):
        said = kernel.run(cell)
        assert (said.error, said.text) == ("", "[(1000,)]\n")
        assert "1,000 of 1,000" in said.html[-1]
    refused = kernel.run(cell.replace(', if_exists="replace"', ""))
    assert refused.error.startswith("TableExistsError: ")
    assert "replace" in refused.error


def test_a_store_shows_its_tables(kernel):
    said = kernel.run("""
with md.ProfileStore("shown.duckdb") as store:
    md.fetch_profiles(store)
    display(store)
""")
    assert ">1,000</td>" in said.html[-1]
    assert said.error == ""
