"""One DuckDB database: opening it, speaking of its faults in our words, and what its catalog has.

The ground of the storage room. A path, ``":memory:"`` or somebody's connection comes in; cursors go out. Called by the
rest of ``store`` only.

=============  ======================================================================
``opening``    ``Database``: whose it is, cursors, transactions, DuckDB's errors
``inherited``  files that a forked process must not write
``tuning``     settings of ours on an instance that nobody else had open
``catalog``    which table or view has a name, and its columns
=============  ======================================================================
"""

from .catalog import COLUMNS, Existing, columns_of, existing
from .inherited import refuse_inherited
from .opening import (
    IN_MEMORY,
    Database,
    atomic,
    connecting,
    hush,
    literal,
    must_exist,
    only_row,
    path_of,
    quote,
    storage_errors,
)
from .tuning import Tuning

__all__ = [
    "COLUMNS",
    "IN_MEMORY",
    "Database",
    "Existing",
    "Tuning",
    "atomic",
    "columns_of",
    "connecting",
    "existing",
    "hush",
    "literal",
    "must_exist",
    "only_row",
    "path_of",
    "quote",
    "refuse_inherited",
    "storage_errors",
]
