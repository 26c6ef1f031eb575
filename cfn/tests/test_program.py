"""The program and the templates fit: the real `bootstrap`, configured as the deployed function and invoked as the
deployed rule does, makes a tick, and asks AWS for nothing that the deployed roles don't allow."""

import json
import re
import subprocess

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN, ROOT
from program import POLICY, STAGING_SYNC, Program, allows, lab_of, role
from recorder import Recorder
from runtime_api import RuntimeApi

RULE = "aws-drs-orchestration-staging-account-sync-test"


def fleet(table: str, bucket: str) -> dict:
    """DEMO_TARGET gains 777788889999 and loses 444455556666; the journal's bucket can't be listed."""
    target = "111122223333"
    entry = {"accountId": "444455556666", "roleArn": role("444455556666"), "externalId": "x"}
    return {
        "hub": {"account": "999988887777", "region": "us-east-1", "table": table, "bucket": bucket, "mayList": False},
        "regions": ["us-east-1", "eu-west-1"],
        "targets": [
            {
                "accountId": target,
                "accountName": "DEMO_TARGET",
                "roleArn": role(target),
                "externalId": f"drs-orchestration-{target}",
                "stagingAccounts": [entry],
            }
        ],
        "accounts": {
            target: {
                "roles": {"DRSOrchestrationRole": {"externalId": f"drs-orchestration-{target}"}},
                "regions": {"us-east-1": {"stagingAccounts": ["777788889999"]}},
            }
        },
    }


@pytest.fixture
def lab(cloud, tmp_path):
    """The environment of a lab that has the deployed table and the journal's bucket."""
    variables = cloud.function()["Environment"]["Variables"]
    bucket = re.fullmatch(r"s3://([^/]+)/journal/", variables["JOURNAL"])[1]
    with lab_of(fleet(variables["TARGET_ACCOUNTS_TABLE"], bucket), tmp_path) as env:
        yield env


def test_the_deployed_configuration_drives_the_program(cloud, lab, tmp_path):
    function = cloud.function()
    assert function["Runtime"] == "provided.al2023"
    recorder, api = Recorder(lab["AWS_ENDPOINT_URL"]), RuntimeApi(function["Timeout"])
    with Program(function, lab | {"AWS_ENDPOINT_URL": recorder.url}, api, tmp_path) as program:
        [target] = cloud.client("events").list_targets_by_rule(Rule=RULE)["Targets"]
        first = api.invoke(target["Input"])
        second = api.invoke(target["Input"])
    recorder.close()

    kind, summary = first
    assert kind == "response", summary
    [detail] = summary["details"]
    assert detail == {
        "accountId": "111122223333",
        "accountName": "DEMO_TARGET",
        "status": "updated",
        "added": ["777788889999"],
        "removed": ["444455556666"],
        "totalStaging": 1,
    }
    assert second[1]["details"][0]["status"] == "unchanged"
    messages = [json.loads(line)["message"] for line in program.log.read_text().splitlines()]
    # What the saved queries and the README's filter look for.
    for message in ("started", "completed"):
        assert f"staging account sync {message}" in messages
    assert "staging account sync: account updated" in messages

    host = cloud.statements(function["Role"].rpartition("/")[2])
    asked = {call.action for call in recorder.calls}
    journal = {"s3:GetObject", "s3:PutObject"}
    assert asked == {"dynamodb:Scan", "dynamodb:UpdateItem", "sts:AssumeRole", "drs:ListStagingAccounts"} | journal
    for call in recorder.calls:
        if not call.action.startswith("drs:"):
            assert any(allows(statement, call) for statement in host), (call.action, call.resource, call.context)


def test_the_roles_allow_what_the_packaged_policy_needs_and_no_more(cloud):
    done = subprocess.run([STAGING_SYNC, "policy", "inspect", "--iam", POLICY], text=True, capture_output=True)
    needed = json.loads(done.stdout)

    def actions(found: list[dict], services: tuple[str, ...]) -> set[str]:
        listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in found]
        return {action for actions in listed for action in actions if action.startswith(services)}

    services = ("dynamodb:", "sts:")
    host = cloud.statements("aws-drs-orchestration-staging-account-sync-test")
    assert actions(host, services) == actions(needed["hostRole"]["Statement"], services)
    target = load(str(CFN / "target-account-role.yaml"))["Resources"]["TargetAccountRole"]["Properties"]
    [statement] = target["Policies"][0]["PolicyDocument"]["Statement"]
    always = {action for action in statement["Action"] if isinstance(action, str)}
    assert always == actions(needed["targetAccountRole"]["Statement"], ("drs:",))


def host_config() -> str:
    return (ROOT / "host/runtime/src/config.rs").read_text().split("#[cfg(test)]")[0]


def test_every_variable_of_the_host_is_a_parameter_and_no_other():
    resources = load(str(CFN / "lambda-stack.yaml"))["Resources"]
    deployed = resources["Function"]["Properties"]["Environment"]["Variables"]
    known = set(re.findall(r'\.(?:get|flag|number)\(\s*"([A-Z_]+)"', host_config())) - {"AWS_REGION"} | {"RUST_LOG"}
    assert len(known) > 8
    assert set(deployed) == known
    table = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", (ROOT / "host/cli/README.md").read_text(), re.MULTILINE)
    assert {name for row in table for name in re.findall(r"`([A-Z_]+)`", row)} == known


def test_numbers_have_the_default_and_the_limits_of_the_host():
    template = load(str(CFN / "lambda-stack.yaml"))
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    numbers = re.findall(r'number\(\s*"([A-Z_]+)",\s*(.+?),\s*([\d_]+),\s*([\d_]+),?\s*\)', host_config())
    assert len(numbers) >= 5
    for name, *expected in numbers:
        parameter = template["Parameters"][variables[name]["Ref"]]
        found = [str(parameter[key]) for key in ("Default", "MinValue", "MaxValue")]
        expected = [value.replace("_", "") for value in expected]
        if not expected[0].isdigit():  # a constant of the sandbox; the README's table has its value
            assert re.search(rf"`{name}`.*\b{found[0]}\b", (ROOT / "host/cli/README.md").read_text()), name
            expected[0] = found[0]
        assert found == expected, name
