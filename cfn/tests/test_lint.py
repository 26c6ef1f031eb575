"""The templates as cfn-lint and checkov see them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN

TEMPLATES = sorted(CFN.glob("*.yaml"))
BIN = Path(sys.executable).parent


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=CFN, text=True, capture_output=True)


def test_cfn_lint_has_no_warning():
    done = run(str(BIN / "cfn-lint"), "--", *map(str, TEMPLATES))
    assert done.returncode == 0, done.stdout


def test_checkov_finds_nothing_but_what_the_templates_give_reasons_for():
    done = run(
        *(sys.executable, str(BIN / "checkov"), "--framework", "cloudformation", "--skip-download"),
        *("--compact", "--output", "json", "--directory", str(CFN)),
    )
    report = json.loads(done.stdout)
    failed = [(one["check_id"], one["resource"], one["check_name"]) for one in report["results"]["failed_checks"]]
    assert failed == [] and report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 20
    for skipped in report["results"]["skipped_checks"]:
        assert len(skipped["check_result"]["suppress_comment"]) > 20, skipped["check_id"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_parameter_is_described(path):
    for name, parameter in load(str(path))["Parameters"].items():
        assert parameter.get("Description"), name


def test_nested_stacks_get_every_parameter_and_agree_with_the_master_on_its_values():
    master = load(str(CFN / "master-template.yaml"))
    for resource in master["Resources"].values():
        if resource["Type"] != "AWS::CloudFormation::Stack":
            continue
        nested = load(str(CFN / resource["Properties"]["TemplateURL"]["Fn::Sub"].rpartition("/")[2]))["Parameters"]
        assert set(resource["Properties"]["Parameters"]) == set(nested)
        passed = resource["Properties"]["Parameters"]
        # CodeKey may be empty in the master, which deploy.sh fills in.
        for name in [name for name in nested if passed[name] == {"Ref": name} and name != "CodeKey"]:
            told = {"Description": ""}
            assert nested[name] | told == master["Parameters"][name] | told, name


def test_every_parameter_of_the_master_has_a_default():
    # Or the update of one parameter alone, as the README has it, would be refused.
    for name, parameter in load(str(CFN / "master-template.yaml"))["Parameters"].items():
        assert "Default" in parameter, name
