"""make finds what cargo built, wherever cargo was told to build."""

import os
import subprocess

import pytest
from conftest import ROOT


@pytest.mark.parametrize("variable", ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"])
def test_make_runs_what_cargo_builds(variable, tmp_path):
    place = tmp_path / "elsewhere"
    without = {name: value for name, value in os.environ.items() if not name.startswith("CARGO")}
    env = without | {variable: str(place)}
    done = subprocess.run(["make", "-n", "demo", "test", "package"], cwd=ROOT, env=env, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert f"{place}/debug/staging-sync demo" in done.stdout, done.stdout
    assert "target/debug" not in done.stdout.replace(str(place), ""), done.stdout
