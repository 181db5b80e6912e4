"""A real kernel of the running interpreter, and what a cell sent to it says."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from helpers import LONGEST


@dataclass
class Said:
    """What came of a cell."""

    text: str = ""
    errors: str = ""
    html: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    error: str = ""
    seconds: float = 0.0


def manager() -> KernelManager:
    """A manager that knows no kernel but this interpreter's own, whatever is installed for the user."""
    return KernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """This process's, with a project, and with a home of its own for whatever Jupyter and IPython write."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
    homes = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    return {**kept, **homes, "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", **more}


class Kernel:
    """Runs cells, one at a time."""

    def __init__(self, process: KernelManager, client: BlockingKernelClient) -> None:
        self._process = process
        self._client = client

    def run(self, code: str) -> Said:
        """Run a cell to its end."""
        return self.wait(self.send(code))

    def send(self, code: str) -> str:
        """Start a cell."""
        return self._client.execute(code)

    def interrupt(self) -> None:
        """What the stop button does."""
        self._process.interrupt_kernel()

    def wait(self, cell: str, *, until: str | None = None) -> Said:
        """Listen to a cell until it ends, or until it has printed a word."""
        said, started = Said(), time.monotonic()
        while time.monotonic() - started < LONGEST:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            self._hear(message, said)
            idle = message["header"]["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            if idle or (until is not None and until in said.text):
                said.seconds = time.monotonic() - started
                return said
        raise TimeoutError(f"the cell does not end: {said}")

    @staticmethod
    def _hear(message: Mapping[str, Any], said: Said) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream" and content["name"] == "stdout":
            said.text += content["text"]
        elif kind == "stream":
            said.errors += content["text"]
        elif kind in {"execute_result", "display_data"}:
            said.html.append(content["data"].get("text/html", ""))
            said.kinds.update(content["data"])
        elif kind == "error":
            said.error = f"{content['ename']}: {content['evalue']}"


@contextmanager
def running_kernel(folder: Path, variables: Mapping[str, str]) -> Iterator[Kernel]:
    """A kernel that works in a folder, gone when the block ends."""
    process = manager()
    process.start_kernel(cwd=str(folder), env=environment(folder, variables))
    client = process.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LONGEST)
        yield Kernel(process, client)
    finally:
        client.stop_channels()
        process.shutdown_kernel(now=True)
        process.cleanup_resources()
