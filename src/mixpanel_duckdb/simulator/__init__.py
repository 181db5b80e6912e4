"""A stand-in for Mixpanel's Engage Query API on 127.0.0.1, standard library only.

Tests, the demo and the benchmarks talk to it over real HTTP; it knows nothing of the rest of the package. A request
passes the modules in this order; what the server's real behaviour is not known for is a switch of ``Behaviour``.

================================  ====================================================================
``server``, ``listener``          ``Simulator``: a thread that accepts connections, and its state
``wire``                          HTTP as bytes
``auth``                          who may ask
``limits``                        the quota, and 429
``faults``, ``alterations``       scripted trouble, and what it does to an answer
``engage``                        one call of the API
``query``, ``where``              parameters and filters
``selection``                     which profiles match
``sessions``, ``pages``           which page of which result
``encoding``, ``delivery``        bytes made once, and sent, or not
``population``                    the profiles, made by ``realistic``, ``uniform`` or ``shaped``
``behaviour``, ``records``        the switches, and what was asked
``raw_export``, ``endings``       the raw event export: a stream, and how it ends
``events``, ``oddities``          the events of that project, by day
``event_switches``                switches and scripted trouble of the export
================================  ====================================================================

Example:
    >>> with Simulator(Population(3, seed=7)) as sim:
    ...     sim.base_url.startswith("http://127.0.0.1:")
    True
"""

from .behaviour import Behaviour, Edit, Latency
from .event_switches import EventBehaviour, EventFault
from .events import EventPopulation
from .faults import Fault, FaultKind
from .limits import Limits
from .population import Population
from .raw_export import RawExport
from .records import RequestRecord
from .server import Simulator
from .shaped import Shape

__all__ = [
    "Behaviour",
    "Edit",
    "EventBehaviour",
    "EventFault",
    "EventPopulation",
    "Fault",
    "FaultKind",
    "Latency",
    "Limits",
    "Population",
    "RawExport",
    "RequestRecord",
    "Shape",
    "Simulator",
]
