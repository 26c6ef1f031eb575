"""The function in the emulator that people run functions in: `cargo lambda watch`, whose deadlines are of 1970."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from conftest import ROOT
from program import POLICY, STAGING_SYNC, lab_of
from test_program import fleet

EMULATOR = Path(sys.executable).parent / "cargo-lambda"


@pytest.fixture
def emulator():
    """Its address. The function is started apart: what it would build is built already."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [EMULATOR, "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(port)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert any("starting Runtime server" in line for line in process.stdout)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def test_a_tick_in_the_emulator_of_cargo_lambda(emulator, tmp_path):
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(lab_of(fleet("targets", "journal"), tmp_path))
        env = lab | {
            "AWS_LAMBDA_RUNTIME_API": f"{emulator}/.rt",
            "AWS_LAMBDA_FUNCTION_NAME": "_",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "POLICY": str(POLICY),
        }
        log = stack.enter_context(open(tmp_path / "log", "w"))
        function = stack.enter_context(
            subprocess.Popen([STAGING_SYNC.parent / "bootstrap"], env=env, cwd=tmp_path, stdout=log)
        )
        stack.callback(function.kill)
        config = Config(read_timeout=60, retries={"max_attempts": 0})
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        client = boto3.client("lambda", endpoint_url=emulator, region_name="us-east-1", config=config, **keys)
        for expected in (1, 0):
            answer = client.invoke(FunctionName="_", Payload=json.dumps({"operation": "sync_staging_accounts"}))
            summary = json.load(answer["Payload"])
            assert (summary["accountsUpdated"], summary["accountsFailed"]) == (expected, 0), summary
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    warnings = [line["message"] for line in lines if line["level"] == "WARN"]
    assert len(warnings) == 1 and "after its deadline" in warnings[0], "once for all invocations"


def test_outside_of_lambda_the_function_says_what_to_use(tmp_path):
    for api in ({}, {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001/a path"}):
        env = api | {"PATH": os.environ["PATH"]}
        done = subprocess.run([STAGING_SYNC.parent / "bootstrap"], env=env, cwd=tmp_path, text=True, capture_output=True)
        assert done.returncode == 2, done.stderr
        assert "AWS_LAMBDA_RUNTIME_API" in done.stderr and "staging-sync tick" in done.stderr, done.stderr
        assert "panicked" not in done.stderr
