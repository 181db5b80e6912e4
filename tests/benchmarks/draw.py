"""Draw all charts and figures of the documents from the results file: ``python tests/benchmarks/draw.py``."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder off the path, where its modules would hide others; the tests' folder on it.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.reports import RESULTS, documents, publish

    report = json.loads(RESULTS.read_text())
    publish(report, RESULTS.parent)
    for path, text in documents(report).items():
        path.write_text(text)
