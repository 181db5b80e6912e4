"""
A stand-in for Mixpanel's Engage Query API on 127.0.0.1, standard library only.

Tests, the demo and the benchmarks talk to it over real HTTP. A request passes, in this order, `wire` (HTTP),
`auth`, `limits` (429), `faults` (scripted trouble), `query` and `selection` (which profiles), `sessions`
(which page), `encoding` (bytes made once) and `delivery` (bytes sent, or not).

Example:
    >>> with Simulator(Population(3, seed=7)) as sim:
    ...     sim.base_url.startswith("http://127.0.0.1:")
    True
"""

from mixpanel_duckdb.simulator.behaviour import Behaviour, Edit, Latency
from mixpanel_duckdb.simulator.faults import Fault, FaultKind
from mixpanel_duckdb.simulator.limits import Limits
from mixpanel_duckdb.simulator.population import Population
from mixpanel_duckdb.simulator.records import RequestRecord
from mixpanel_duckdb.simulator.server import Simulator

__all__ = [
    "Behaviour",
    "Edit",
    "Fault",
    "FaultKind",
    "Latency",
    "Limits",
    "Population",
    "RequestRecord",
    "Simulator",
]
