"""Short processes that find their imports done: a helper has imported them, and is forked for each.

Imports are most of what a short process takes. The helper has one thread and runs nothing itself; what it forks has
the folder, environment, words, pipes and end of any process. It lacks only what an interpreter does first: that one
heeds variables ``PYTHON...``. Tests of this, of imports, signals and terminals start a process of the usual kind.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess

_LARGEST = 1 << 17  # bytes of a request
# numpy and pyarrow would start some as they are imported.
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


class Preloaded:
    """Runs Python as ``subprocess.run`` does, in forks of a helper that the first run starts."""

    def __init__(
        self, *modules: str, python: str | Path = sys.executable, env: Mapping[str, str] | None = None
    ) -> None:
        self._env = {**(os.environ if env is None else env), **_NO_THREADS}
        self._command = [str(python), __file__, *modules]
        self._helper: subprocess.Popen[bytes] | None = None

    def run(
        self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, input: str = ""
    ) -> CompletedProcess[str]:
        """Run ``python words...`` to its end."""
        if sys.platform != "linux":  # other systems have no such sockets, and fork with less
            command = [self._command[0], *words]
            return subprocess.run(
                command, cwd=cwd, env=env, input=input, timeout=timeout, capture_output=True, text=True, check=False
            )
        if self._helper is None:
            self._start()
        self._channel.settimeout(timeout)
        request = json.dumps([*words, str(cwd), dict(env)]).encode()
        (stdin, writer), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
        try:
            with open(stdin, "rb"), open(stdout, "wb"), open(stderr, "wb"), open(writer, "wb") as given:
                given.write(input.encode())  # as much as a pipe holds
                socket.send_fds(self._channel, [request], [stdin, stdout, stderr])
            with open(out, "rb") as said, open(err, "rb") as told:
                texts = [_lines(text) for text in _read(said, told, timeout=timeout)]
            return CompletedProcess(words, int(self._channel.recv(64)), *texts)
        except BaseException as error:
            error.add_note(self._stop())
            raise

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._helper = subprocess.Popen(
                [*self._command[:2], str(theirs.fileno()), *self._command[2:]],
                stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self._env, pass_fds=[theirs.fileno()], process_group=0,
            )  # fmt: skip
        atexit.register(self._stop)

    def _stop(self) -> str:
        """End the helper and what it forked; give what it said of itself."""
        atexit.unregister(self._stop)
        helper, self._helper = self._helper, None
        assert helper is not None
        self._channel.close()
        os.killpg(helper.pid, signal.SIGKILL)
        return helper.communicate()[1].decode()


def _read(*pipes, timeout):
    """What comes from each until its end."""
    parts = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout)
            if not ready:
                raise TimeoutError(f"nothing came for {timeout:g} s")
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                parts[key.fileobj] += part
                if not part:
                    selector.unregister(key.fileobj)
    return parts.values()


def _lines(text):
    """As ``text=True`` has it."""
    return text.decode().replace("\r\n", "\n").replace("\r", "\n")


def _forked(channel):
    """Wait for a request; only a fork returns, as the process that was asked for, with its words."""
    alone = len(os.listdir("/proc/self/task")) == 1
    while True:
        request, streams, *_ = socket.recv_fds(channel, _LARGEST, 3)
        if not request:
            os._exit(0)
        pid = os.fork()
        if not pid:
            channel.close()
            *words, folder, environment = json.loads(request)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            os.chdir(folder)
            if not alone:  # DuckDB 1.5 starts a thread, which a fork would lose
                os.execve(sys.executable, [sys.executable, *words], environment)
            os.environ.clear()
            os.environ.update(environment)
            return words
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(pid, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    for _module in sys.argv[2:]:
        import_module(_module)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as _channel:
        _words = _forked(_channel)
    if _words[0] == "-m":
        sys.path[0], sys.argv = os.getcwd(), ["", *_words[2:]]
        runpy.run_module(_words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0], sys.argv = os.path.dirname(_words[0]), _words
        runpy.run_path(_words[0], run_name="__main__")
