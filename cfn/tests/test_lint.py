"""The templates as cfn-lint and checkov see them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN, ROOT

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


# How long names may be, by the type of resource and the property: from each service's quotas page.
LIMITS = {
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::DynamoDB::Table", "TableName"): 255,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::IAM::Role", "RoleName"): 64,
    ("AWS::Lambda::Function", "FunctionName"): 64,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::Logs::QueryDefinition", "Name"): 255,
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
}
# The longest values that the parameters' patterns allow.
LONGEST = {"ProjectName": "p" * 30, "Environment": "e" * 12}
# What schedules.py leaves for the operation at the longest values: the rule's name decides.
OPERATION = {"OperationName": "o" * (64 - 30 - 12 - 2), "Operation": "o" * 20}


def names(value):
    """The names that a property may have: each text of a condition, with the longest parameters in it."""
    if isinstance(value, dict):
        [(function, inner)] = value.items()
        if function == "Ref":
            return []  # another parameter is the whole name, and its pattern its limit
        if function == "Fn::If":
            return [name for branch in inner[1:] for name in names(branch)]
        if isinstance(inner, list):  # Fn::Sub with values of its own
            text, values = inner
            for key, own in values.items():
                text = text.replace("${%s}" % key, max(names(own), key=len))
            return names({function: text})
        for key, longest in (LONGEST | OPERATION).items():
            inner = inner.replace("${%s}" % key, longest)
        assert "${" not in inner, inner
        return [inner]
    return [value]


def test_names_fit_their_services_at_the_longest_parameters():
    found = 0
    for path in TEMPLATES:
        template = load(str(path))
        for name, longest in LONGEST.items():
            if parameter := template.get("Parameters", {}).get(name):
                assert re.fullmatch(parameter["AllowedPattern"], longest) and not re.fullmatch(
                    parameter["AllowedPattern"], longest + longest[0]
                ), f"{path.name}: {name} isn't limited to {len(longest)} characters"
        for resource in template["Resources"].values():
            for (kind, key), limit in LIMITS.items():
                if resource["Type"] == kind and key in resource.get("Properties", {}):
                    for text in names(resource["Properties"][key]):
                        assert len(text) <= limit, f"{path.name}: {text} has {len(text)} characters of {limit}"
                        found += 1
    assert found > 20, "the names of all resources that have one"


def test_every_alarm_is_in_the_troubleshooting_by_its_name():
    alarms = re.findall(r"AlarmName: .*-staging-account-sync-(.*)-\$", (CFN / "monitoring-stack.yaml").read_text())
    readme = (ROOT / "cfn/README.md").read_text()
    section = readme[readme.index("## Troubleshooting") : readme.index("## Permissions")]
    assert alarms and [name for name in alarms if f"alarm `{name}`" not in section] == []


def section(title: str, end: str) -> str:
    readme = (ROOT / "cfn/README.md").read_text()
    return readme[readme.index(f"\n{title}\n") : readme.index(f"\n{end}\n")]


def test_whoever_deploys_may_make_every_kind_of_resource():
    table = section("### Whoever deploys", "### Whoever publishes policies")
    prefixes = {"StepFunctions": "states"}
    resources = [(path, one) for path in TEMPLATES for one in load(str(path))["Resources"].values()]
    services = {one["Type"].split("::")[1] for path, one in resources if path.name != "target-account-role.yaml"}
    assert len(services) > 8
    for service in services:
        assert f"`{prefixes.get(service, service.lower())}:" in table, service


def test_uninstalling_tells_what_remains():
    remaining = {"Table": "the table", "PolicyBucket": "policy bucket", "JournalBucket": "the journal's bucket", "OutcomesBucket": "bucket of outcomes", "Bucket": "-artifacts`"}
    kept = [
        name
        for path in TEMPLATES
        for name, resource in load(str(path))["Resources"].items()
        if resource.get("DeletionPolicy") == "Retain"
    ]
    assert sorted(kept) == sorted(remaining)
    text = section("## Uninstall", "## Verify")
    assert [name for name in kept if remaining[name] not in text] == []
    assert text.index("--disable") < text.index("delete-stack ")
