"""Schedules of further operations: what `Schedules` may say, what deploy.sh makes of it, and how they are switched."""

import json
import shutil
import subprocess
import sys

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN, Cloud
from test_deploy import CALLER, NO_STACK, NOT_FOUND, QUOTA, deploy  # noqa: F401 (a fixture)
from test_lint import BIN, run

sys.path.insert(0, str(CFN))
import schedules  # noqa: E402

OPERATION = "staging_drift_report"
RULE = "aws-drs-orchestration-staging-drift-report-test"
SYNC_RULE = "aws-drs-orchestration-staging-account-sync-test"
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


@pytest.fixture
def scheduled(cloud, tmp_path):
    """The account after a deployment with a further schedule, from a copy of cfn/; it is as it was afterwards."""
    shutil.copytree(CFN, tmp_path / "cfn", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    settings = tmp_path / "cfn/environments/test.env"
    settings.write_text(SETTINGS)

    def deploy(*arguments: str) -> subprocess.CompletedProcess:
        more = () if {"--disable", "--enable"} & set(arguments) else ("--package", str(cloud.package))
        command = [tmp_path / "cfn/deploy.sh", "test", *arguments, *more]
        return subprocess.run(command, env=cloud.env, text=True, capture_output=True, timeout=300)

    done = deploy()
    assert done.returncode == 0, done.stderr
    assert "the schedule of staging_drift_report is on" in done.stderr
    cloud.deploy_copy = deploy
    yield cloud
    settings.unlink()
    done = deploy()
    assert done.returncode == 0, done.stderr
    rules = cloud.client("events").list_rules()["Rules"]
    assert RULE not in [rule["Name"] for rule in rules], "an operation that is listed no more has no rule"
    assert "EnableStagingDriftReport" not in cloud.parameters()


def state(cloud: Cloud, rule: str) -> str:
    return cloud.client("events").describe_rule(Name=rule)["State"]


def test_a_rule_a_permission_an_alarm_and_a_switch(scheduled):
    events = scheduled.client("events")
    rule = events.describe_rule(Name=RULE)
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
    [target] = events.list_targets_by_rule(Rule=RULE)["Targets"]
    assert target["Arn"] == scheduled.function()["FunctionArn"]
    assert json.loads(target["Input"]) == {"operation": OPERATION}
    sqs = scheduled.client("sqs")
    queue = sqs.get_queue_url(QueueName="aws-drs-orchestration-staging-drift-report-undelivered-test")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    assert target["DeadLetterConfig"]["Arn"] == queue["QueueArn"]

    function = "aws-drs-orchestration-query-handler-test"
    policy = json.loads(scheduled.client("lambda").get_policy(FunctionName=function)["Policy"])
    sources = [statement["Condition"]["ArnLike"]["AWS:SourceArn"] for statement in policy["Statement"]]
    assert sorted(sources) == sorted([rule["Arn"], scheduled.rule()["Arn"]])

    alarms = scheduled.client("cloudwatch").describe_alarms(AlarmNamePrefix="aws-drs-orchestration-staging-drift-report-")
    alarms = {alarm["AlarmName"]: alarm for alarm in alarms["MetricAlarms"]}
    names = [f"aws-drs-orchestration-staging-drift-report-{kind}-test" for kind in ("accounts-failing", "no-tick")]
    assert sorted(alarms) == names
    alarm = alarms[names[1]]
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (3600, 3, "breaching")
    dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert dimensions == {"functionName": function, "operation": OPERATION}
    assert alarm["AlarmActions"] == ["arn:aws:sns:us-east-1:123456789012:on-call"]
    assert scheduled.parameters()["EnableStagingDriftReport"] == "true"


def test_disable_covers_all_schedules_or_one(scheduled):
    before = scheduled.parameters()
    done = scheduled.deploy_copy("--disable", "--dry-run")
    assert done.stdout.count("would run: aws events disable-rule") == 2, done.stdout
    assert (state(scheduled, RULE), state(scheduled, SYNC_RULE)) == ("ENABLED", "ENABLED")

    done = scheduled.deploy_copy("--disable", "--operation", OPERATION)
    assert done.returncode == 0, done.stderr
    assert (state(scheduled, RULE), state(scheduled, SYNC_RULE)) == ("DISABLED", "ENABLED")
    assert scheduled.parameters() == before | {"EnableStagingDriftReport": "false"}
    # Deploying meanwhile doesn't switch it on again.
    assert scheduled.deploy_copy().returncode == 0
    assert state(scheduled, RULE) == "DISABLED"

    done = scheduled.deploy_copy("--disable")
    assert done.returncode == 0, done.stderr
    assert (state(scheduled, RULE), state(scheduled, SYNC_RULE)) == ("DISABLED", "DISABLED")
    done = scheduled.deploy_copy("--enable")
    assert done.returncode == 0, done.stderr
    assert (state(scheduled, RULE), state(scheduled, SYNC_RULE)) == ("ENABLED", "ENABLED")
    assert scheduled.parameters() == before

    done = scheduled.deploy_copy("--disable", "--operation", "capacity")
    assert (done.returncode, "it has sync_staging_accounts staging_drift_report" in done.stderr) == (1, True), done.stderr
