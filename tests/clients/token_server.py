"""Mixpanel's token endpoint on 127.0.0.1: each refresh token is good for one access token and another refresh token."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

REFRESH_TOKEN = "refresh-t0k3n"
_SECONDS = 0.3


class TokenServer:
    """Answers refreshes with one access token; slow enough for others to come meanwhile."""

    def __init__(self, access_token: str) -> None:
        self.access_token = access_token
        self.asked: list[dict[str, str]] = []
        self.good = REFRESH_TOKEN
        self.status: int | None = None
        self._lock = threading.Lock()

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # for who connects and says nothing, such as a client of the server that had this port before

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, answer = outer.answer({name: values[0] for name, values in parse_qs(body).items()}, body)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/oauth/"
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, form, body):
        with self._lock:
            self.asked.append(form)
            good, self.good = self.good, f"{REFRESH_TOKEN}-{len(self.asked)}"
        time.sleep(_SECONDS)
        if self.status is not None:
            return self.status, {"echo": body}
        if form.get("refresh_token") != good:
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": self.access_token,
            "refresh_token": self.good,
            "expires_in": 3600,
            "scope": "read",
            "token_type": "Bearer",
        }
