"""Object storage for a test run: a stand-in for S3, in a process of its own, on a port that the system chooses."""

import subprocess
import sys
import urllib.request

KEY_ID, SECRET = "key-of-the-bucket", "hush-of-the-bucket-9"
_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


class ObjectStorage:
    """A server with a bucket ``lake``."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = int(self._server.stdout.readline())
        bucket = urllib.request.Request(f"http://127.0.0.1:{self.port}/lake", method="PUT")
        urllib.request.urlopen(bucket).close()

    @property
    def secret(self) -> str:
        """The statement that a user writes into a setup file."""
        return (
            f"CREATE SECRET (TYPE s3, KEY_ID '{KEY_ID}', SECRET '{SECRET}', ENDPOINT '127.0.0.1:{self.port}', "
            "URL_STYLE 'path', USE_SSL false, REGION 'us-east-1');\n"
        )

    def close(self) -> None:
        """Stop it."""
        self._server.communicate()
