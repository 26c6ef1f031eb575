"""The real `bootstrap`, configured as a deployed function, in front of a lab; and what IAM would say of its calls."""

import contextlib
import fnmatch
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT
from runtime_api import RuntimeApi

# Where `make` says that cargo built it.
STAGING_SYNC = ROOT / os.environ.get("STAGING_SYNC", "target/debug/staging-sync")
POLICY = ROOT / "target/policy.wasm"


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/DRSOrchestrationRole"


@contextlib.contextmanager
def lab_of(fleet: dict, folder: Path) -> Iterator[dict[str, str]]:
    """A lab that serves a fleet; the environment that makes a client use it."""
    path = folder / "fleet.json"
    path.write_text(json.dumps(fleet))
    process = subprocess.Popen(
        [STAGING_SYNC, "lab", "--port", "0", "--fleet", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        env = {}
        while "DRS_REGIONS" not in env:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                env[name] = value
        yield env
    finally:
        process.kill()
        process.wait()


class Program:
    """`bootstrap` while it runs; `log` is the file of its lines."""

    def __init__(self, function: dict, lab: dict[str, str], api: RuntimeApi, folder: Path):
        # The package beside each other, as in /var/task.
        for source, name in [
            (STAGING_SYNC.parent / function["Handler"], function["Handler"]),
            (POLICY, "policy.wasm"),
        ]:
            try:
                os.link(source, folder / name)
            except OSError:
                shutil.copy(source, folder / name)
        env = {
            **{name: value for name, value in lab.items() if name.startswith("AWS_")},
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": function["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
            **{name: str(value) for name, value in function["Environment"]["Variables"].items()},
        }
        self.log, self._api = folder / "log", api
        with open(self.log, "w") as log:
            self._process = subprocess.Popen([folder / function["Handler"]], env=env, cwd=folder, stdout=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._api.close()


def allows(statement: dict, call) -> bool:
    """As IAM decides, as far as these templates use it."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    if call.action not in actions or not fnmatch.fnmatchcase(call.resource, statement["Resource"]):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        assert operator in ("ForAllValues:StringEquals", "StringEqualsIfExists"), operator
        for key, allowed in keys.items():
            if not call.context.get(key, set()) <= set(allowed):
                return False
    return True
