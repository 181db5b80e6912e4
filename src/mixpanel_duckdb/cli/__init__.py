"""The command ``mp-fetch``: the library for people and scripts that speak in flags and exit codes.

Words of a shell come in; one answer on standard output, talk on standard error and an exit code go out. What needs
DuckDB, httpx or pydantic is imported inside a command, so that ``--help`` answers at once.

============  =================================================================
``profiles``  the command that fetches
``events``    the same for events
``inspect``   ``plan`` and ``status``
``changes``   which profiles of a table came, changed and went
``publish``   an unfinished fetch, taken as it is
``sync``      the jobs of a file
``forget``    unfinished fetches that nobody goes on with
``typed``     typed columns of a table
``sql``       a query, answered
``export``    a table as a file
``demo``      the whole job against the simulator
``simulate``  the simulator alone
``options``   the flags that commands share
``into``      the flags for a table that is published past its database
``picture``   ``--timeline``: where the picture of a run goes
``render``    which progress of the room ``display`` is drawn
``talk``      what is said, and how loudly
``text``      the wording of results
``ending``    errors and signals become exit codes here, and nowhere else
============  =================================================================
"""

from __future__ import annotations

import click

from .._version import __version__
from .changes import changes
from .demo import demo
from .ending import EXIT_CODES, Commands
from .events import events
from .export import export
from .forget import forget
from .inspect import plan, status
from .profiles import profiles
from .publish import publish
from .simulate import simulate
from .sql import sql
from .sync import sync
from .typed import typed

__all__ = ["EXIT_CODES", "main"]

_EPILOG = "\n".join(
    [
        "\b",
        "Examples:",
        "  mp-fetch demo",
        '  mp-fetch plan --where \'properties["plan"] == "pro"\'',
        "  mp-fetch profiles --database mixpanel.duckdb --replace",
        '  mp-fetch sql "FROM profiles LIMIT 5"',
        "",
        "\b",
        "Credentials come from the environment:",
        "  MP_USERNAME and MP_SECRET (a service account), or MP_OAUTH_TOKEN",
        "  MP_PROJECT_ID, and optionally MP_REGION (us, eu, in) and MP_WORKSPACE_ID",
        "or from an account of mixpanel-headless: --account, --project, --target",
        "",
        "\b",
        "Exit codes:",
        *(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()),
    ]
)


@click.group(
    cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(__version__, "-V", "--version", prog_name="mp-fetch")
def main() -> None:
    """Fetch every profile of a Mixpanel project into a DuckDB table: in parallel, resumable, proven complete."""


for _command in (profiles, events, sync, plan, status, changes, publish, forget, typed, sql, export, demo, simulate):
    main.add_command(_command)
