"""Many fetches in one call: the jobs of a TOML file, projects side by side, one report.

A file, or its content as a mapping, comes in; a ``SyncReport`` goes out. Called by scripts and by the command. It
stands on the one-call forms: a job is a call of ``fetch_profiles`` or ``fetch_events`` that is written down.

============  ===========================================================
``file``      what a file asks for, checked before anything is requested
``into``      where a job publishes, if not in its database
``projects``  the jobs of each project one after the other, in its thread
``report``    what became of each job, and the exit code of them all
============  ===========================================================
"""

from .file import Job, read_jobs
from .projects import run_jobs, sync
from .report import JobOutcome, SyncReport

__all__ = ["Job", "JobOutcome", "SyncReport", "read_jobs", "run_jobs", "sync"]
