"""Draw the house anew: ``python tests/house/draw.py`` writes ``docs/_static/house.svg``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder off the path, where its modules would hide others; the tests' folder on it.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from house.picture import FILE, picture

    FILE.write_text(picture(), encoding="utf-8")
