"""What a run leaves behind: raw figures as JSON, and from them a page with pictures for the docs."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.charts import bars, line
from benchmarks.tables import headline, markdown

Report = dict[str, Any]


def machine() -> dict[str, Any]:
    """What the figures depend on, as far as it may be told: nothing names the machine itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def opened(path: Path | None) -> Report:
    """The report of earlier runs, to be completed; scenarios of another machine are left out."""
    fresh = {"machine": machine(), "scenarios": {}}
    if path is None or not path.exists():
        return fresh
    earlier = json.loads(path.read_text())
    return earlier if earlier["machine"] == fresh["machine"] else fresh


def keep(report: Report, path: Path) -> None:
    """Write the raw figures."""
    path.write_text(json.dumps(report, indent=1) + "\n")


def publish(report: Report, folder: Path) -> None:
    """Write ``results.md`` and one picture a scenario."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, outcome in report["scenarios"].items():
        draw = line if name.startswith("growth") else bars
        (folder / f"{name}.svg").write_text(draw(outcome))
        pictures[f"{name}.svg"] = headline(outcome)
    (folder / "results.md").write_text(markdown(report, pictures))
