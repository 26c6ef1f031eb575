"""Schedules of further operations: what `Schedules` may say, what deploy.sh makes of it, and how they are switched."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN, Cloud
from test_deploy import CALLER, NO_STACK, NOT_FOUND, QUOTA, deploy  # noqa: F401 (a fixture)
from test_lint import BIN, run

sys.path.insert(0, str(CFN))
import schedules  # noqa: E402

OPERATION = "staging_drift_report"
RULE = "aws-drs-orchestration-staging-drift-report-test"
SETTINGS = "Schedules=staging_drift_report=1h\nAlarmTopicArn=arn:aws:sns:us-east-1:123456789012:on-call\n"


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a=1m", "rate(1 minute)"),
        ("a=15m", "rate(15 minutes)"),
        ("a=60m", "rate(1 hour)"),
        ("a=1h30m", "rate(90 minutes)"),
        ("a=2h", "rate(2 hours)"),
        ("a=24h", "rate(1 day)"),
    ],
)
def test_an_interval_is_a_rate(text, expression):
    [schedule] = schedules.parse(text)
    assert schedule.expression == expression


def test_several_with_spaces_and_their_names():
    one, other = schedules.parse("staging_drift_report=1h, capacity=15m")
    assert (one.name, one.switch, one.minutes) == ("staging-drift-report", "EnableStagingDriftReport", 60)
    assert (other.name, other.switch, other.minutes) == ("capacity", "EnableCapacity", 15)
    assert schedules.parse("") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("staging_drift_report", "expected OPERATION=INTERVAL"),
        ("staging_drift_report=", "expected OPERATION=INTERVAL"),
        ("Report=1h", "expected OPERATION=INTERVAL"),
        ("report=30s", "expected OPERATION=INTERVAL"),
        ("report=1h;", "expected OPERATION=INTERVAL"),
        ("report=0m", "from 1m to 24h"),
        ("report=25h", "from 1m to 24h"),
        ("report=1h,report=2h", "is there twice"),
        ("my_report=1h,my__report=2h", "is there twice"),
        ("sync_staging_accounts=5m", "has its schedule already"),
        ("staging_account_sync=5m", "has its schedule already"),
        ("merge_summaries=5m", "the host's own"),
        ("report=4m", "longer than Timeout (270 seconds)"),
        ("staging_account_sync_report_for_finance_and_audit=1h", "EventBridge allows 64"),
        ("monitoring=1h", "there is a parameter EnableMonitoring already"),
    ],
)
def test_what_cannot_be_is_refused_before_aws_is_asked(deploy, text, says):  # noqa: F811
    done = deploy("test", "--dry-run", settings=f"Schedules={text}\n")
    assert (done.returncode, says in done.stderr, "test.env" in done.stderr) == (1, True, True), done.stderr
    assert not (deploy.folder / "bin/asked").exists()


def test_ticks_of_all_schedules_fit_into_the_function_s_concurrency(deploy):  # noqa: F811
    answers = [CALLER, NO_STACK, QUOTA, *NOT_FOUND]
    two = "Schedules=report=1h,capacity=15m\n"
    done = deploy("test", "--dry-run", settings=two, answers=answers)
    assert (done.returncode, "is below the number of schedules, 3" in done.stderr) == (1, True), done.stderr
    done = deploy("test", "--dry-run", settings=two + "ReservedConcurrency=3\n", answers=answers)
    assert done.returncode == 0, done.stderr
    machine = two + "ScheduleTarget=state-machine\nReservedConcurrency=10\n"
    done = deploy("test", "--dry-run", settings=machine, answers=answers)
    assert (done.returncode, "SegmentsAtOnce=8 for each of 3 schedules" in done.stderr) == (1, True), done.stderr


def test_a_rule_that_is_there_already_is_left_alone(deploy):  # noqa: F811
    taken = [["describe-rule", RULE], 0, ""]
    done = deploy("test", settings=SETTINGS, answers=[taken, CALLER, NO_STACK, QUOTA, *NOT_FOUND])
    assert (done.returncode, f"there is a rule {RULE} already" in done.stderr) == (1, True), done.stderr
    assert not [asked for asked in deploy.asked() if "deploy" in asked or "put-object" in asked]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The master template with two further schedules."""
    path = tmp_path_factory.mktemp("rendered") / "master.yaml"
    command = [sys.executable, "-B", CFN / "render.py", "--template", CFN / "master-template.yaml", "--out", path]
    subprocess.run([*command, "Schedules=staging_drift_report=1h,capacity=15m"], check=True, capture_output=True)
    return path


def test_the_rendered_template_is_good_and_passes_every_parameter(rendered):
    done = run(str(BIN / "cfn-lint"), "--", str(rendered))
    assert done.returncode == 0, done.stdout
    template, nested = load(str(rendered)), load(str(CFN / "schedule-stack.yaml"))["Parameters"]
    for name in ("StagingDriftReport", "Capacity"):
        assert template["Parameters"][f"Enable{name}"]["Default"] == "true"
        passed = template["Resources"][f"{name}Schedule"]["Properties"]["Parameters"]
        assert set(passed) == set(nested)
        assert passed["Enabled"] == {"Ref": f"Enable{name}"}
    source = load(str(CFN / "master-template.yaml"))
    assert set(template["Resources"]) - set(source["Resources"]) == {"StagingDriftReportSchedule", "CapacitySchedule"}


class Scheduled:
    """An environment of its own with a further schedule, deployed from a copy of cfn/."""

    environment = "more"
    rule = f"aws-drs-orchestration-staging-drift-report-{environment}"
    sync_rule = f"aws-drs-orchestration-staging-account-sync-{environment}"
    function = f"aws-drs-orchestration-query-handler-{environment}"
    stack = f"aws-drs-orchestration-{environment}"

    def __init__(self, cloud: Cloud, folder: Path):
        self.cloud, self.folder = cloud, folder
        shutil.copytree(CFN, folder / "cfn", ignore=shutil.ignore_patterns("tests", "__pycache__"))

    def deploy(self, *arguments: str, settings: str | None = None) -> subprocess.CompletedProcess:
        if settings is not None:
            (self.folder / f"cfn/environments/{self.environment}.env").write_text(settings)
        more = () if {"--disable", "--enable"} & set(arguments) else ("--package", str(self.cloud.package))
        command = [self.folder / "cfn/deploy.sh", self.environment, *arguments, *more]
        done = subprocess.run(command, env=self.cloud.env, text=True, capture_output=True, timeout=300)
        return done

    def states(self) -> tuple[str, str]:
        """Of the rule of the operation, and of that of the sync."""
        events = self.cloud.client("events")
        return tuple(events.describe_rule(Name=rule)["State"] for rule in (self.rule, self.sync_rule))

    def parameters(self) -> dict[str, str]:
        [stack] = self.cloud.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


@pytest.fixture(scope="module")
def scheduled(cloud, tmp_path_factory):
    scheduled = Scheduled(cloud, tmp_path_factory.mktemp("scheduled"))
    done = scheduled.deploy(settings=SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "the schedule of staging_drift_report is on" in done.stderr
    yield scheduled
    cloud.client("cloudformation").delete_stack(StackName=scheduled.stack)
    names = [rule["Name"] for rule in cloud.client("events").list_rules()["Rules"]]
    assert scheduled.rule not in names, "uninstalling covers every schedule"


def test_a_rule_a_permission_an_alarm_and_a_switch(scheduled):
    events = scheduled.cloud.client("events")
    rule = events.describe_rule(Name=scheduled.rule)
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
    [target] = events.list_targets_by_rule(Rule=scheduled.rule)["Targets"]
    function = scheduled.cloud.client("lambda").get_function_configuration(FunctionName=scheduled.function)
    assert target["Arn"] == function["FunctionArn"]
    assert json.loads(target["Input"]) == {"operation": OPERATION}
    sqs = scheduled.cloud.client("sqs")
    queue = sqs.get_queue_url(QueueName="aws-drs-orchestration-staging-drift-report-undelivered-more")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    assert target["DeadLetterConfig"]["Arn"] == queue["QueueArn"]

    policy = json.loads(scheduled.cloud.client("lambda").get_policy(FunctionName=scheduled.function)["Policy"])
    sources = [statement["Condition"]["ArnLike"]["AWS:SourceArn"] for statement in policy["Statement"]]
    sync = events.describe_rule(Name=scheduled.sync_rule)["Arn"]
    assert sorted(sources) == sorted([rule["Arn"], sync])

    assert scheduled.parameters()["EnableStagingDriftReport"] == "true"


def test_alarms_watch_the_operation_by_its_interval():
    # moto makes no alarms, so the template itself is looked at.
    resources = load(str(CFN / "schedule-stack.yaml"))["Resources"]
    alarms = {name: one for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(alarms) == {"NoTickAlarm", "AccountsFailingAlarm"}
    dimensions = {"functionName": {"Ref": "FunctionName"}, "operation": {"Ref": "Operation"}}
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        assert {one["Name"]: one["Value"] for one in properties["Dimensions"]} == dimensions, name
        assert (properties["Period"], properties["EvaluationPeriods"]) == ({"Ref": "IntervalSeconds"}, 3), name
        assert properties["AlarmActions"], name
        assert "${ProjectName}-${OperationName}-" in properties["AlarmName"]["Fn::Sub"], name
    assert alarms["NoTickAlarm"]["Properties"]["TreatMissingData"] == "breaching"
    assert (alarms["NoTickAlarm"]["Condition"], alarms["AccountsFailingAlarm"]["Condition"]) == ("Watch", "Monitor")


def test_disable_covers_all_schedules_or_one(scheduled):
    before = scheduled.parameters()
    done = scheduled.deploy("--disable", "--dry-run")
    assert done.stdout.count("would run: aws events disable-rule") == 2, done.stdout + done.stderr
    assert scheduled.states() == ("ENABLED", "ENABLED")

    done = scheduled.deploy("--disable", "--operation", OPERATION)
    assert done.returncode == 0, done.stderr
    assert scheduled.states() == ("DISABLED", "ENABLED")
    assert scheduled.parameters() == before | {"EnableStagingDriftReport": "false"}
    # Deploying meanwhile doesn't switch it on again.
    done = scheduled.deploy()
    assert done.returncode == 0, done.stderr
    assert "the schedule of staging_drift_report is off" in done.stderr
    assert scheduled.states() == ("DISABLED", "ENABLED")

    done = scheduled.deploy("--disable")
    assert done.returncode == 0, done.stderr
    assert scheduled.states() == ("DISABLED", "DISABLED")
    done = scheduled.deploy("--enable")
    assert done.returncode == 0, done.stderr
    assert scheduled.states() == ("ENABLED", "ENABLED")
    assert scheduled.parameters() == before

    done = scheduled.deploy("--disable", "--operation", "capacity")
    assert (done.returncode, "it has sync_staging_accounts staging_drift_report" in done.stderr) == (1, True), done.stderr


def test_an_operation_that_is_listed_no_more_has_no_rule(scheduled):
    done = scheduled.deploy(settings="")
    assert done.returncode == 0, done.stderr
    names = [rule["Name"] for rule in scheduled.cloud.client("events").list_rules()["Rules"]]
    assert scheduled.sync_rule in names and scheduled.rule not in names
