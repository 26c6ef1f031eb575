"""Lambda's Runtime API for one function: hands out one event at a time and takes what becomes of it.

Source: "Using the Lambda runtime API" in the Lambda developer guide.
"""

import json
import queue
import time

from loopback import QuietHandler, serve


class RuntimeApi:
    def __init__(self, timeout: int):
        """`timeout`: seconds for every invocation."""
        events = self._events = queue.Queue()
        answers = self._answers = queue.Queue()

        class Handler(QuietHandler):
            def do_GET(self):
                event = events.get()
                if event is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("lambda-runtime-deadline-ms", str(int((time.time() + timeout) * 1000)))
                arn = "arn:aws:lambda:us-east-1:999988887777:function:sync"
                self.send_header("lambda-runtime-invoked-function-arn", arn)
                self.send_header("content-length", str(len(event)))
                self.end_headers()
                self.wfile.write(event)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answers.put((self.path.rsplit("/", 1)[1], body))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

        self._server, self.address = serve(Handler)

    def invoke(self, event: str) -> tuple[str, dict]:
        """`response` or `error`, and its body."""
        self._events.put(event.encode())
        return self._answers.get(timeout=120)

    def close(self):
        self._events.put(None)
        self._server.shutdown()
