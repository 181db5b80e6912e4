"""The one-call forms: what a script says in one line.

A database and credentials come in, or a client; results, records and pictures go out. Called by scripts, by the command
and by the loaders of ``integrations``.

============  ====================================================================
``awaited``   fetch beside an event loop
``events``    fetch events, or ask what that would be
``fetching``  fetch profiles, or ask what that would be
``journal``   what a database knows of its fetches: list them, draw, publish or forget one
============  ====================================================================
"""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .awaited import afetch_events, afetch_profiles
    from .events import EventEstimate, fetch_events, plan_events
    from .fetching import FetchEstimate, fetch_profiles, plan_fetch
    from .journal import (
        changes,
        fetch_since,
        fetch_timeline,
        forget_fetches,
        list_event_tables,
        list_fetches,
        publish_fetch,
    )
else:  # whoever fetches profiles waits for no event loop, and for no events
    _MODULES = {
        ".awaited": "afetch_events afetch_profiles",
        ".events": "EventEstimate fetch_events plan_events",
        ".fetching": "FetchEstimate fetch_profiles plan_fetch",
        ".journal": "changes fetch_since fetch_timeline forget_fetches list_event_tables list_fetches publish_fetch",
    }
    __getattr__ = lazily(__name__, _MODULES)

__all__ = [
    "EventEstimate",
    "FetchEstimate",
    "afetch_events",
    "afetch_profiles",
    "changes",
    "fetch_events",
    "fetch_profiles",
    "fetch_since",
    "fetch_timeline",
    "forget_fetches",
    "list_event_tables",
    "list_fetches",
    "plan_events",
    "plan_fetch",
    "publish_fetch",
]
