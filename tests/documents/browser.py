"""A browser without a window and without a network, told over a pipe what to open, to measure and to photograph."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import monotonic

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
]
# Chromium reads its orders from descriptor 3 and answers to 4.
_ON_3_AND_4 = 'exec "$@" 3<&"$ORDERS" 4>&"$ANSWERS"'


class Browser:
    """One page of Chromium, over its debugging protocol; messages are JSON that ends with a NUL."""

    def __init__(self, within=60):
        self._within = within
        self._folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self._count, self._rest, self._session = 0, b"", None

    def __enter__(self):
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (orders, answers)]
        command = ["bash", "-c", _ON_3_AND_4, "bash", PROGRAM, *_FLAGS, "--host-resolver-rules=MAP * ~NOTFOUND"]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._folder.name}", "about:blank"],
            env={**os.environ, "ORDERS": str(theirs[0]), "ANSWERS": str(theirs[1])},
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (orders, answers, *theirs):
            os.close(end)
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable")
        return self

    def __exit__(self, *_):
        self._session = None
        try:
            self._ask("Browser.close")
            self._process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for end in (self._orders, self._answers):
            os.close(end)
        self._folder.cleanup()

    def open(self, page: Path) -> None:
        """Load a file and wait until its pictures and scripts are there."""
        self._ask("Page.navigate", url=page.as_uri())
        self._until("Page.loadEventFired")

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window as wide as a reader's."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """What the reader's system says: ``light`` or ``dark``."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, script: str):
        """The value of an expression, awaited if it is a promise."""
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(told["exceptionDetails"]["exception"]["description"])
        return told["result"].get("value")

    def photograph(self, area=None) -> bytes:
        """The whole page, or an area of it (x, y, width, height), as PNG."""
        if area is None:
            size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
            area = (0, 0, size["width"], size["height"])
        clip = dict(zip(("x", "y", "width", "height"), area, strict=True), scale=1)
        shot = self._ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def _ask(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        answer = self._read(lambda told: told.get("id") == message["id"])
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _until(self, event):
        self._read(lambda told: told.get("method") == event)

    def _read(self, wanted):
        end = monotonic() + self._within
        while monotonic() < end:
            while b"\0" in self._rest:
                message, self._rest = self._rest.split(b"\0", 1)
                told = json.loads(message)
                if wanted(told):
                    return told
            if select.select([self._answers], [], [], 1)[0]:
                more = os.read(self._answers, 1 << 20)
                if not more:
                    raise OSError("the browser has ended")
                self._rest += more
        raise OSError("the browser does not answer")
