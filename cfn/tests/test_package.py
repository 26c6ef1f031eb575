"""The package: the same bytes for the same contents, and nothing that Lambda can't start."""

import struct
import subprocess
import sys
import zipfile

import pytest
from conftest import CFN


def binary(machine: int = 62, *strings: bytes) -> bytes:
    """As much of a Linux binary as is looked at."""
    return b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + b"\0".join([b"", *strings, b""])


def package(folder, bootstrap: bytes, arch: str = "x86_64") -> subprocess.CompletedProcess:
    folder.mkdir(exist_ok=True)
    (folder / "bootstrap").write_bytes(bootstrap)
    (folder / "another-name.wasm").write_bytes(b"\0asm")
    return subprocess.run(
        [
            *(sys.executable, CFN / "package.py", "--arch", arch, "--glibc", "2.34", "--out", folder / "package.zip"),
            *(f"{folder}/bootstrap=bootstrap", f"{folder}/another-name.wasm=policy.wasm"),
        ],
        text=True,
        capture_output=True,
    )


def test_two_packages_of_the_same_contents_are_the_same(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "other"):
        done = package(folder, binary(62, b"GLIBC_2.2.5", b"GLIBC_2.34"))
        assert done.returncode == 0, done.stderr
        assert "sha256" in done.stderr
    assert (tmp_path / "one/package.zip").read_bytes() == (tmp_path / "other/package.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one/package.zip") as archive:
        assert archive.namelist() == ["bootstrap", "policy.wasm"]
        assert archive.getinfo("bootstrap").external_attr >> 16 == 0o100755


@pytest.mark.parametrize(
    ("bootstrap", "arch", "says"),
    [
        (binary(62, b"GLIBC_2.34", b"GLIBC_2.38"), "x86_64", "needs glibc 2.38"),
        (binary(62, b".symtab"), "x86_64", "isn't stripped"),
        (binary(62), "arm64", "isn't a Linux binary for arm64"),
        (b"#!/bin/sh", "x86_64", "isn't a Linux binary for x86_64"),
    ],
)
def test_what_lambda_cannot_start_is_refused(tmp_path, bootstrap, arch, says):
    done = package(tmp_path, bootstrap, arch)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "package.zip").exists()
