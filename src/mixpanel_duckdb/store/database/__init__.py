"""One DuckDB database: opening it, speaking of its faults in our words, and what its catalog has.

The ground of the storage room. A path, ``":memory:"`` or somebody's connection comes in; cursors go out. Called by the
rest of ``store`` only.

==============  ========================================================================
``opening``     ``Database``: whose it is, its cursors, what is given back at its end
``paths``       which file a path means
``files``       database files: made whole or not at all, opened as what they are
``inherited``   files that a forked process must not write
``tuning``      settings of ours on an instance that nobody else had open
``packing``     small tables that many runs have added to, written anew
``statements``  pieces of SQL, transactions, DuckDB's errors in our words
``catalog``     which table or view has a name, and its columns
==============  ========================================================================
"""

from .catalog import (
    COLUMNS,
    EVENT_COLUMNS,
    Existing,
    columns_of,
    create_table,
    existing,
    folded,
    is_named,
    must_be_duckdb,
    unusable,
)
from .files import usable_file
from .inherited import refuse_inherited
from .opening import Database, connecting
from .packing import ROWS_OF_A_GROUP, pack
from .paths import IN_MEMORY, must_exist, path_of
from .statements import atomic, guard_log, hush, is_nested, literal, only_row, quote, readable, storage_errors
from .tuning import Tuning

__all__ = [
    "COLUMNS",
    "EVENT_COLUMNS",
    "IN_MEMORY",
    "ROWS_OF_A_GROUP",
    "Database",
    "Existing",
    "Tuning",
    "atomic",
    "columns_of",
    "connecting",
    "create_table",
    "existing",
    "folded",
    "guard_log",
    "hush",
    "is_named",
    "is_nested",
    "literal",
    "must_be_duckdb",
    "must_exist",
    "only_row",
    "pack",
    "path_of",
    "quote",
    "readable",
    "refuse_inherited",
    "storage_errors",
    "unusable",
    "usable_file",
]
