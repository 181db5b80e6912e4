"""Run the notebooks of the docs and store what they show: ``python tests/notebooks/refresh.py [NAME FOLDER]``.

With a name and a folder, that notebook goes there and those of the docs stay as they are; the test does that.
"""

import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    # This folder off the path, where its modules would hide others; the tests' folder on it.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    import nbformat

    from notebooks.notebooks import FOLDER, NAMES, executed, tidied

    names, goal = (sys.argv[1:2], Path(sys.argv[2])) if len(sys.argv) > 2 else (NAMES, FOLDER)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(tidied(executed(name, Path(folder))), goal / f"{name}.ipynb")
