"""Lambda's Invoke API for one function, in front of a program that a Runtime API drives: one invocation at a time.

Source: "Invoke" in the Lambda API reference.
"""

import json
import threading
from urllib.parse import unquote

from loopback import QuietHandler, serve
from runtime_api import RuntimeApi


class LambdaApi:
    def __init__(self, function_arn: str, runtime: RuntimeApi):
        """`faults` decides by an event whether the invocation fails before the program hears of it: an error, or None.
        `events` keeps what the program was asked."""
        self.events, self.faults = [], lambda event: None
        lock, api = threading.Lock(), self

        class Handler(QuietHandler):
            def do_POST(self):
                assert unquote(self.path) == f"/2015-03-31/functions/{function_arn}/invocations", self.path
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    api.events.append(event := json.loads(body))
                    fault = api.faults(event)
                    kind, answer = ("error", fault) if fault else runtime.invoke(body.decode())
                content = json.dumps(answer).encode()
                self.send_response(200)
                if kind == "error":
                    self.send_header("x-amz-function-error", "Unhandled")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server, address = serve(Handler)
        self.url = f"http://{address}"

    def close(self):
        self._server.shutdown()
