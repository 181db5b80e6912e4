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
``population``                    the profiles, made by ``realistic`` or ``uniform``
``behaviour``, ``records``        the switches, and what was asked
================================  ====================================================================

Example:
    >>> with Simulator(Population(3, seed=7)) as sim:
    ...     sim.base_url.startswith("http://127.0.0.1:")
    True
"""

from .behaviour import Behaviour, Edit, Latency
from .faults import Fault, FaultKind
from .limits import Limits
from .population import Population
from .records import RequestRecord
from .server import Simulator

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
