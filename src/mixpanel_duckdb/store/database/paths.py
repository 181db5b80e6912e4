"""Which file a path means, told before DuckDB sees it.

DuckDB reads more into a path than the name of a file: memory of several kinds, other systems (``md:``, ``s3:``), and
files of other programs, whose tables it shows from memory. Here a path is a file's, or ``":memory:"``; what is neither
is refused in one sentence, and nothing is made.
"""

from __future__ import annotations

import os
import re
from typing import cast

from ...arguments import PATH, refusal
from ...errors import StorageError

__all__ = ["IN_MEMORY", "absolute", "file_of", "must_exist", "path_of"]

IN_MEMORY = ":memory:"
# What DuckDB takes for the name of an extension, or for memory; not the letter of a drive.
_NO_FILE = re.compile(r"(?:[A-Za-z]\w+)?:")
# What the command `export` writes.
_EXPORTED = re.compile(r"(\.(?:parquet|csv|json|ndjson|jsonl))(?:\.gz|\.zst)?$", re.IGNORECASE)


def path_of(source: object) -> str:
    """Give the path that somebody named a database by, with the user's home for a leading ``~``.

    Raises:
        QueryError: It is none.
    """
    if not PATH.fits(source):
        raise refusal("database", source, "a path, as text or os.PathLike, ':memory:' or a DuckDB connection")
    return os.path.expanduser(cast("str", source))


def must_exist(path: str | os.PathLike[str]) -> None:
    """Refuse the path of a file that is not there, rather than make it.

    Raises:
        StorageError: There is no such file.
    """
    name = path_of(path)
    if name != IN_MEMORY and not os.path.exists(name):  # unlike Path, it knows no file without a name
        raise StorageError(f"There is no database {name!r}; check its path, or --database.")


def file_of(path: str) -> str:
    """Give the absolute path of the file that a path means.

    Args:
        path: Not ``":memory:"``.

    Raises:
        StorageError: It means no file, or a new one that would pass for something else than a database.
    """
    if not path.strip():
        raise StorageError("A database needs a name: the path of a file, or ':memory:'.")
    if not _is_utf8(path):
        raise StorageError(f"Could not open {path!a}: DuckDB takes no path that is not UTF-8.")
    if os.path.exists(path):
        if not os.path.isfile(path):
            raise StorageError(f"Could not open {path}: it is a folder or a device, not a file.")
    elif _NO_FILE.match(path):
        raise StorageError(
            f"Could not open {path}: that is not the path of a file. Give one, ':memory:', or a connection of your "
            "own; ./ in front makes it the name of a file."
        )
    elif kind := _EXPORTED.search(path):
        raise StorageError(
            f"Could not open {path}: a new database needs another ending than {kind[1]}. Fetch into one, and write its "
            f"table to {os.path.basename(path)} with `mp-fetch export`."
        )
    return absolute(path)


def absolute(path: str) -> str:
    """Give the path from the root, which stays the same file wherever the process goes, and is no memory to DuckDB.

    Behind a link, ``..`` is the folder that the system takes it for; DuckDB would strike out the link.
    """
    folder, name = os.path.split(path)
    if os.pardir not in folder.split(os.sep):
        return os.path.abspath(path)
    if os.path.isdir(folder):
        return os.path.join(os.path.realpath(folder), name)
    return os.path.join(os.getcwd(), path)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
