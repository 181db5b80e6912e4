"""The notebooks of the docs: run one as a reader would, and make what is stored of it the same on every machine.

``python tests/notebooks/refresh.py`` runs them and stores their outputs.
"""

import os
import re
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

from helpers import LONGEST
from notebooks.kernels import environment, manager

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
_WIDGET = "application/vnd.jupyter.widget-view+json"
_STORED = ("text/plain", "text/html", "image/svg+xml")


def stored(name: str, folder: Path = FOLDER) -> Any:
    """A notebook as it is in the docs, or in another folder."""
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


def executed(name: str, folder: Path) -> Any:
    """Run every cell in an empty folder; a cell that fails raises."""
    notebook, kernel = stored(name), manager()
    with chdir(folder), patch.dict(os.environ, environment(folder, {}), clear=True):
        try:
            NotebookClient(notebook, km=kernel, timeout=LONGEST).execute()
        finally:
            kernel.shutdown_kernel(now=True)
            kernel.cleanup_resources()
    return notebook


def kinds(notebook: Any) -> list[list[str]]:
    """For each cell of code, what kinds of outputs it has, but for the bar, which depends on what is installed."""
    return [
        [
            kind
            for output in cell.outputs
            if output.get("name") != "stderr" and not _is_widget(output)
            for kind in sorted(output.get("data", {output.get("name", "error"): None}))
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def tidied(notebook: Any) -> Any:
    """Without times of cells, without what was drawn over, with streams in one piece."""
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    kept: list[Any] = []
    streams: dict[str, Any] = {}
    for output in outputs:
        if output.output_type == "stream":
            if output.name in streams:
                streams[output.name].text += output.text
                continue
            streams[output.name] = output
        elif "data" in output and not _is_widget(output):
            output.data = {kind: value for kind, value in output.data.items() if kind in _STORED}
            output.metadata = {}
        if not _is_widget(output):
            kept.append(output)
    for output in streams.values():
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text).strip("\n") + "\n"
    return [output for output in kept if output.get("text", "some").strip()]


def _is_widget(output: Any) -> bool:
    """Whether it is a picture of something that only lives in the kernel."""
    return _WIDGET in output.get("data", {})
