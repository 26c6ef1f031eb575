"""The state machine, deployed by the templates: valid, and executed by an interpreter with the real `bootstrap` behind
its Lambda calls."""

import json
import re
import subprocess
import time
from pathlib import Path

import boto3
import pytest
from conftest import CFN, ROOT
from lambda_api import LambdaApi
from moto.core.models import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from program import Program, allows, lab_of, role
from recorder import Recorder
from runtime_api import RuntimeApi

FAN_OUT = "aws-drs-orchestration-fan"
MACHINE = "aws-drs-orchestration-staging-account-sync-fan"
SEGMENTS = 4
VALIDATOR = ROOT / "target/asl-validator"


@pytest.fixture(scope="module")
def fan_out(cloud) -> dict[str, str]:
    """A second environment, whose schedule starts the state machine; the outputs of its stack."""
    deployed = cloud.parameters()
    parameters = {name: deployed[name] for name in ("ArtifactBucket", "TemplatePrefix", "CodeKey")} | {
        "Environment": "fan",
        "ScheduleTarget": "state-machine",
        "Segments": str(SEGMENTS),
        "ReservedConcurrency": "10",
    }
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName=FAN_OUT,
        TemplateBody=(CFN / "master-template.yaml").read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    [stack] = client.describe_stacks(StackName=FAN_OUT)["Stacks"]
    yield {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    client.delete_stack(StackName=FAN_OUT)


@pytest.fixture(scope="module")
def definition(cloud, fan_out) -> str:
    machine = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=fan_out["StateMachineArn"])
    return machine["definition"]


def test_the_schedule_starts_the_state_machine_and_nothing_else(cloud, fan_out):
    [target] = cloud.client("events").list_targets_by_rule(Rule=MACHINE)["Targets"]
    assert target["Arn"] == fan_out["StateMachineArn"]
    assert target["Input"] == '{"operation": "sync_staging_accounts"}'
    assert target["RoleArn"].endswith(":role/aws-drs-orchestration-sync-start-fan")
    [statement] = cloud.statements("aws-drs-orchestration-sync-start-fan")
    assert (statement["Action"], statement["Resource"]) == ("states:StartExecution", fan_out["StateMachineArn"])


def test_the_state_machine_may_invoke_the_function_and_nothing_else(cloud, fan_out):
    statements = {one["Sid"]: one for one in cloud.statements("aws-drs-orchestration-sync-fan-out-fan")}
    assert set(statements) == {"InvokeTheFunction", "DeliverLogLines"}
    invoke = statements["InvokeTheFunction"]
    assert (invoke["Action"], invoke["Resource"]) == ("lambda:InvokeFunction", fan_out["FunctionArn"])


def test_the_definition_is_valid(definition, tmp_path):
    tool = VALIDATOR / "node_modules/.bin/asl-validator"
    if not tool.exists():
        pytest.skip("asl-validator isn't installed: npm is missing")
    for mode in ({"Mode": "INLINE"}, {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}):
        machine = json.loads(definition)
        machine["States"]["SyncSegments"]["ItemProcessor"]["ProcessorConfig"] = mode
        path = tmp_path / "definition.json"
        path.write_text(json.dumps(machine))
        done = subprocess.run([tool, "--json-path", path], text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
    # It finds what is wrong.
    machine["States"]["MergeSummaries"]["Next"] = "Nowhere"
    path.write_text(json.dumps(machine))
    assert subprocess.run([tool, "--json-path", path], capture_output=True).returncode != 0


def fleet(table: str, bucket: str) -> dict:
    """Twelve target accounts, each of which gains a staging account; one has no role."""
    ids = [f"1111222233{number:02}" for number in range(12)]
    return {
        "hub": {"account": "999988887777", "region": "us-east-1", "table": table, "bucket": bucket},
        "regions": ["us-east-1"],
        "targets": [
            {"accountId": one, "stagingAccounts": []} | ({} if one == ids[0] else {"roleArn": role(one)}) for one in ids
        ],
        "accounts": {
            one: {
                "roles": {"DRSOrchestrationRole": {}},
                "regions": {"us-east-1": {"stagingAccounts": ["777788889999"]}},
            }
            for one in ids
        },
    }


class Machine:
    """The deployed state machine, executed; the program it invokes, in front of a lab."""

    def __init__(self, cloud, arn: str, function: LambdaApi, lab: dict[str, str], bucket: str, log: Path):
        self.cloud, self.arn, self.function, self.lab, self.bucket, self._log = cloud, arn, function, lab, bucket, log

    def execute(self, name: str, event: dict) -> dict:
        client = self.cloud.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(event))["executionArn"]
        give_up = time.monotonic() + 120
        while (execution := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < give_up, client.get_execution_history(executionArn=arn)["events"][-3:]
            time.sleep(0.05)  # the interpreter can't be waited for
        return execution

    def object(self, key: str) -> dict:
        s3 = boto3.client(
            "s3",
            endpoint_url=self.lab["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=self.lab["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.lab["AWS_SECRET_ACCESS_KEY"],
            config=boto3.session.Config(s3={"addressing_style": "path"}),
        )
        return json.loads(s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def log(self) -> list[dict]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def machine(cloud, fan_out, definition, monkeypatch, tmp_path):
    function = cloud.client("lambda").get_function_configuration(FunctionName=fan_out["FunctionName"])
    variables = function["Environment"]["Variables"]
    bucket = re.fullmatch(r"s3://([^/]+)/fan-out/", variables["OUTCOMES_PREFIX"])[1]
    # The lab has one bucket: the journal is in that of the outcomes.
    journal_bucket = re.fullmatch(r"s3://([^/]+)/journal/", variables["JOURNAL"])[1]
    variables["JOURNAL"] = f"s3://{bucket}/journal/"
    runtime = RuntimeApi(function["Timeout"])
    api = LambdaApi(fan_out["FunctionArn"], runtime)
    client = boto3.client(
        "lambda",
        endpoint_url=api.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    monkeypatch.setattr(lambda_eval_utils, "boto_client_for", lambda **_: client)
    # moto keeps the machines that it executes apart from those that it only keeps.
    monkeypatch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
    stepfunctions = cloud.client("stepfunctions")
    arn = stepfunctions.create_state_machine(
        name=MACHINE, definition=definition, roleArn="arn:aws:iam::123456789012:role/fan-out"
    )["stateMachineArn"]
    with lab_of(fleet(variables["TARGET_ACCOUNTS_TABLE"], bucket), tmp_path) as lab:
        recorder = Recorder(lab["AWS_ENDPOINT_URL"])
        with Program(function, lab | {"AWS_ENDPOINT_URL": recorder.url}, runtime, tmp_path) as program:
            machine = Machine(cloud, arn, api, lab, bucket, program.log)
            machine.calls = recorder.calls
            machine.journal_bucket = journal_bucket
            yield machine
        recorder.close()
    api.close()
    stepfunctions.delete_state_machine(stateMachineArn=arn)


def test_segments_are_synchronised_and_merged_into_one_summary(cloud, machine):
    execution = machine.execute("first", {"operation": "sync_staging_accounts"})
    assert execution["status"] == "SUCCEEDED", execution["cause"]
    summary = json.loads(execution["output"])
    counts = ("totalAccounts", "accountsProcessed", "accountsUpdated", "accountsSkipped", "accountsFailed")
    assert [summary[name] for name in counts] == [12, 11, 11, 1, 0]
    assert [one["accountId"] for one in summary["details"]] == [f"1111222233{number:02}" for number in range(12)]
    assert machine.object("fan-out/first/summary.json") == summary
    *segments, merge = machine.function.events
    assert sorted(event["segment"] for event in segments) == list(range(SEGMENTS))
    assert {event["totalSegments"] for event in segments} == {SEGMENTS}
    assert len(merge["segments"]) == SEGMENTS
    [merged] = [line for line in machine.log() if line["message"] == "staging account sync merged"]
    assert merged["totalAccounts"] == 12
    # All of it within the function's rights.
    host = cloud.statements("aws-drs-orchestration-staging-account-sync-fan")
    assert {"s3:PutObject", "s3:GetObject"} <= {call.action for call in machine.calls}
    for call in machine.calls:
        call.resource = call.resource.replace(f"{machine.bucket}/journal/", f"{machine.journal_bucket}/journal/")
        if not call.action.startswith("drs:"):
            assert any(allows(statement, call) for statement in host), (call.action, call.resource, call.context)


def test_a_dry_run_by_hand_writes_nothing(machine):
    execution = machine.execute("dry", {"operation": "sync_staging_accounts", "dryRun": True})
    summary = json.loads(execution["output"])
    assert (summary["dryRun"], summary["accountsUpdated"]) == (True, 11)
    assert "dynamodb:UpdateItem" not in {call.action for call in machine.calls}


def test_a_segment_that_fails_once_is_tried_again(machine):
    def once(event):
        tries = [one for one in machine.function.events if one.get("segment") == 2]
        if event.get("segment") == 2 and len(tries) == 1:
            return {"errorType": "TableUnavailable", "errorMessage": "AWS: the test says so"}

    machine.function.faults = once
    execution = machine.execute("again", {"operation": "sync_staging_accounts"})
    assert execution["status"] == "SUCCEEDED", execution["cause"]
    summary = json.loads(execution["output"])
    assert (summary["totalAccounts"], "failedSegments" in summary) == (12, False)
    assert len(machine.function.events) == SEGMENTS + 2


def test_a_segment_that_fails_for_good_fails_the_execution_and_the_others_are_summed_up(machine):
    fault = {"errorType": "ConfigurationInvalid", "errorMessage": "the test says so"}
    machine.function.faults = lambda event: fault if event.get("segment") == 1 else None
    execution = machine.execute("failed", {"operation": "sync_staging_accounts"})
    assert (execution["status"], execution["error"]) == ("FAILED", "SegmentsFailed")
    summary = machine.object("fan-out/failed/summary.json")
    assert summary["failedSegments"] == [{"segment": 1, "error": "ConfigurationInvalid"}]
    whole = [machine.object(f"fan-out/failed/{segment}.json")["outcomes"] for segment in (0, 2, 3)]
    assert summary["totalAccounts"] == sum(map(len, whole)) == len(summary["details"]) > 0
    [merged] = [line for line in machine.log() if line["message"] == "staging account sync merged"]
    assert (merged["level"], merged["failedSegments"]) == ("ERROR", summary["failedSegments"])
    assert len(machine.function.events) == SEGMENTS + 1, "what the environment is at fault for isn't tried again"


def test_without_any_outcome_the_execution_fails_with_the_reason(machine):
    machine.function.faults = lambda event: {"errorType": "SettingsInvalid"} if "segment" in event else None
    execution = machine.execute("none", {"operation": "sync_staging_accounts"})
    assert (execution["status"], execution["error"]) == ("FAILED", "EventInvalid")
    assert "3: SettingsInvalid" in execution["cause"]
