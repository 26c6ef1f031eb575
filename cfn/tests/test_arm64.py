"""arm64 from a machine that isn't: the policy compiled for it, and a tick of its function under qemu-user."""

import json
import shutil
import struct
import subprocess

import pytest
from conftest import ROOT
from program import POLICY, STAGING_SYNC, lab_of
from runtime_api import RuntimeApi
from test_program import fleet

ARM64 = 183  # as ELF numbers machines
BOOTSTRAP = ROOT / "target/aarch64-unknown-linux-gnu/release/bootstrap"
QEMU = shutil.which("qemu-aarch64")


def compiled(folder):
    place = folder / "policy.cwasm"
    command = [STAGING_SYNC, "policy", "precompile", POLICY, "--target", "aarch64", "--out", place]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return place


def test_the_policy_is_compiled_for_arm64(tmp_path):
    code = compiled(tmp_path).read_bytes()
    [machine] = struct.unpack_from("<H", code, code.index(b"\x7fELF") + 18)
    assert machine == ARM64


@pytest.mark.skipif(
    not (QEMU and BOOTSTRAP.exists()),
    reason="needs `make package ARCH=arm64 ZIG=1` and Debian's qemu-user, libc6-arm64-cross, libgcc-s1-arm64-cross",
)
def test_a_tick_of_the_arm64_function(tmp_path):
    compiled(tmp_path)
    shutil.copy(BOOTSTRAP, tmp_path / "bootstrap")
    shutil.copy(POLICY, tmp_path / "policy.wasm")
    api = RuntimeApi(120)
    with lab_of(fleet("targets", "journal"), tmp_path) as lab:
        env = lab | {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "arm64",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        }
        command = [QEMU, "-L", "/usr/aarch64-linux-gnu", tmp_path / "bootstrap"]
        with subprocess.Popen(command, env=env, cwd=tmp_path, text=True, stdout=subprocess.PIPE) as function:
            try:
                kind, summary = api.invoke(json.dumps({"operation": "sync_staging_accounts"}))
            finally:
                function.kill()
                api.close()
    assert kind == "response", summary
    assert (summary["accountsUpdated"], summary["accountsFailed"]) == (1, 0), summary
