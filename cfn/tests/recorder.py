"""A proxy before the lab that keeps what the program asked of AWS, as IAM would see it."""

import http.client
import json
import re
from urllib.parse import parse_qs

from loopback import QuietHandler, serve


class Call:
    """One request: its action, its resource and the condition keys that the templates use."""

    def __init__(self, method: str, path: str, headers, body: bytes):
        self.credentials = re.search(r"Credential=([^/]+)", headers["authorization"])[1]
        self.resource, self.context = "*", {}
        if target := headers.get("x-amz-target"):
            request = json.loads(body)
            self.action = "dynamodb:" + target.rpartition(".")[2]
            self.resource = f"arn:aws:dynamodb:us-east-1:123456789012:table/{request['TableName']}"
            named = " ".join(request.get(part, "") for part in ("UpdateExpression", "ConditionExpression"))
            words = re.findall(r"[:#]?\w+", re.sub(r"\b(SET|AND|attribute_(not_)?exists)\b", " ", named))
            assert not any(word.startswith("#") for word in words), "a name behind a placeholder"
            names = {word for word in words if not word.startswith(":")}
            self.context = {"dynamodb:Attributes": names | set(request.get("Key", {}))}
            if "ReturnValues" in request:
                self.context["dynamodb:ReturnValues"] = {request["ReturnValues"]}
        elif "/s3/" in headers["authorization"]:
            self.action = {"GET": "s3:GetObject", "PUT": "s3:PutObject"}[method]
            self.resource = "arn:aws:s3:::" + path.lstrip("/").split("?")[0]
        elif b"Action=" in body:
            form = {name: value for name, [value] in parse_qs(body.decode()).items()}
            self.action, self.resource = "sts:" + form["Action"], form.get("RoleArn", "*")
        else:
            self.action = "drs:" + path.strip("/").split("?")[0]


class Recorder:
    def __init__(self, lab: str):
        """`lab`: its URL."""
        calls = self.calls = []
        upstream = lab.removeprefix("http://")

        class Handler(QuietHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                calls.append(Call(self.command, self.path, self.headers, body))
                connection = http.client.HTTPConnection(upstream, timeout=60)
                # The host is signed, so it stays the one that the program asked.
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                connection.close()

            do_GET = do_PUT = do_POST

        self._server, address = serve(Handler)
        self.url = f"http://{address}"

    def close(self):
        self._server.shutdown()
