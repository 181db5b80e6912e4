"""Published tables: what one must be to take a fetch, what it holds already, and what changes in it.

Before anything is requested, a table's name and a fetch's spec come in, and a refusal or what has to be said goes out;
when a fetch is published, what it changes. Called by ``publish`` and ``fetching``.

===========  ================================================================================
``terms``    what a caller allows to happen to a table
``guards``   what a table must be to be replaced or merged into, and what replacing it loses
``marker``   what the comment on one that was published elsewhere says: which fetch, and what it holds
``holding``  what it holds beside what is asked for: the same, a part, or something else
``changes``  which rows come, change and go
``exchange`` the rows that are written for that, and no others
``versions`` the history of a table: a row for each version of a profile
===========  ================================================================================
"""

from .changes import DIFFERING, Changes, can_be_compared, count_changes, find_changes, rows_of
from .exchange import differing, exchange, rewrite, update
from .guards import EVENTS, PROFILES, Rows, check_target, has_keys, hindrance, losses, would_shrink
from .holding import check_holding, is_covered
from .marker import PREFIX, Marker, holdings_by_comment
from .terms import Allowed, IfExists, Terms
from .versions import (
    VERSION_COLUMNS,
    ProfileChange,
    check_history,
    history_table,
    keep_versions,
    versions_changed,
)

__all__ = [
    "DIFFERING",
    "EVENTS",
    "PREFIX",
    "PROFILES",
    "VERSION_COLUMNS",
    "Allowed",
    "Changes",
    "IfExists",
    "Marker",
    "ProfileChange",
    "Rows",
    "Terms",
    "can_be_compared",
    "check_history",
    "check_holding",
    "check_target",
    "count_changes",
    "differing",
    "exchange",
    "find_changes",
    "has_keys",
    "hindrance",
    "history_table",
    "holdings_by_comment",
    "is_covered",
    "keep_versions",
    "losses",
    "rewrite",
    "rows_of",
    "update",
    "versions_changed",
    "would_shrink",
]
