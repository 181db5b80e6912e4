"""Everything side by side: ``python tests/benchmarks/run.py [SCENARIO ...]``; see README.md beside this file."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder off the path, where its modules would hide others; the tests' folder on it.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.command import main

    main()
