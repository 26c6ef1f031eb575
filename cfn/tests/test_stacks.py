"""What `cfn/deploy.sh test` makes, and that the commands that operators are told to run work on it."""

import json

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN, STACK

EVENT = '{"operation": "sync_staging_accounts"}'
RULE = "aws-drs-orchestration-staging-account-sync-test"
FUNCTION = "aws-drs-orchestration-query-handler-test"


def template(name: str) -> dict:
    return load(str(CFN / name))


def test_the_rule_invokes_the_function_every_five_minutes(cloud):
    rule = cloud.rule()
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(5 minutes)", "ENABLED")
    [target] = cloud.client("events").list_targets_by_rule(Rule=RULE)["Targets"]
    assert target["Arn"] == cloud.function()["FunctionArn"]
    assert target["Input"] == EVENT
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 300}
    sqs = cloud.client("sqs")
    queue = sqs.get_queue_url(QueueName="aws-drs-orchestration-staging-account-sync-undelivered-test")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    assert target["DeadLetterConfig"]["Arn"] == queue["QueueArn"]


def test_only_the_rule_may_invoke_the_function(cloud):
    [statement] = json.loads(cloud.client("lambda").get_policy(FunctionName=FUNCTION)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": cloud.rule()["Arn"]}}


def test_the_role_of_the_function_statement_by_statement(cloud):
    role = cloud.function()["Role"].rpartition("/")[2]
    statements = {one.pop("Sid"): one for one in cloud.statements(role)}
    table = "arn:aws:dynamodb:us-east-1:123456789012:table/aws-drs-orchestration-target-accounts-test"
    [bucket] = [name for name in buckets(cloud) if "-test-" in name and "policybucket" in name]
    [journal] = [name for name in buckets(cloud) if "-test-" in name and "journalbucket" in name]
    assert statements == {
        "ReadTargetAccounts": {
            "Effect": "Allow",
            "Action": ["dynamodb:Scan", "dynamodb:GetItem"],
            "Resource": table,
        },
        "WriteStagingAccounts": {
            "Effect": "Allow",
            "Action": "dynamodb:UpdateItem",
            "Resource": table,
            "Condition": {
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["accountId", "stagingAccounts", "updatedAt"]},
                "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]},
            },
        },
        "EnterTargetAccounts": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": "arn:aws:iam::*:role/DRSOrchestrationRole",
        },
        "ReadPolicies": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/policies/*",
        },
        "KeepTheJournal": {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:GetObject"],
            "Resource": f"arn:aws:s3:::{journal}/journal/*",
        },
        "WriteLogLines": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/{FUNCTION}:*",
        },
        "KeepFailedInvocations": {
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": "arn:aws:sqs:us-east-1:123456789012:aws-drs-orchestration-staging-account-sync-failed-test",
        },
    }


def test_the_function_writes_no_manifest_unless_it_carries_on_rollouts():
    resources = template("lambda-stack.yaml")["Resources"]
    statements = resources["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    [(condition, allowed, otherwise)] = [one["Fn::If"] for one in statements if "CarryOnRollouts" in json.dumps(one)]
    assert (condition, otherwise) == ("HasRollouts", {"Ref": "AWS::NoValue"})
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "s3:PutObject")
    assert template("lambda-stack.yaml")["Parameters"]["RolloutManifest"]["Default"] == ""

    def resource(value) -> str:
        text, variables = (value, {}) if isinstance(value, str) else value
        if "Stem" in variables:
            place, split = variables["Stem"]["Fn::Select"]
            ending, key = split["Fn::Split"]
            assert (place, key) == (0, {"Ref": "RolloutManifest"})
            text = text.replace("${Stem}", "policies/live/policy.json".split(ending)[0])
        return text.replace("${RolloutManifest}", "policies/live/policy.json")

    assert [resource(one["Fn::Sub"]) for one in allowed["Resource"]] == [
        "${PolicyBucket.Arn}/policies/live/policy.json",
        "${PolicyBucket.Arn}/policies/live/policy.history.json",
        "${PolicyBucket.Arn}/policies/live/policy.sha256-*.rollout.json",
    ]


def test_the_journal_is_private_and_expires_but_for_what_has_no_end():
    resources = template("lambda-stack.yaml")["Resources"]  # moto makes neither lifecycles nor policies of buckets
    bucket = resources["JournalBucket"]["Properties"]
    rules = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule]
    assert {rule["Prefix"] for rule in rules} == {f"journal/{kind}/" for kind in ("changes", "removed", "tapes", "ticks")}
    assert all(rule["ExpirationInDays"] == {"Ref": "JournalRetentionDays"} for rule in rules)
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4 and all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]
    policy = resources["JournalBucketPolicy"]["Properties"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert policy["Bucket"] == {"Ref": "JournalBucket"}
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_tick_has_ended_before_the_next_begins(cloud):
    assert cloud.function()["Timeout"] < 300


def buckets(cloud) -> list[str]:
    return [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]


def test_the_table_is_on_demand_encrypted_and_can_be_restored(cloud):
    dynamodb = cloud.client("dynamodb")
    name = "aws-drs-orchestration-target-accounts-test"
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "accountId", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    # The rest moto forgets.
    table = template("master-template.yaml")["Resources"]["Table"]
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"


def test_log_lines_are_kept_for_so_long(cloud):
    [group] = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{FUNCTION}")["logGroups"]
    assert group["retentionInDays"] == 90


def test_deploying_again_changes_nothing(cloud):
    before = cloud.function(), cloud.parameters(), buckets(cloud)
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert (cloud.function()["CodeSha256"], cloud.parameters(), buckets(cloud)) == (
        before[0]["CodeSha256"],
        *before[1:],
    )


def test_a_dry_run_changes_nothing_and_says_what_it_would_do(cloud):
    before = cloud.rule(), cloud.parameters()
    done = cloud.deploy("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "would run: aws cloudformation deploy --stack-name aws-drs-orchestration-test" in done.stdout
    done = cloud.deploy("--dry-run", "--disable")
    assert "would run: aws events disable-rule" in done.stdout
    assert (cloud.rule(), cloud.parameters()) == before


def test_the_document_s_update_stack_disables_the_rule_and_keeps_all_else(cloud):
    # The command of the README, word by word. It names one parameter: the others get their defaults.
    before = cloud.parameters()
    done = cloud.run(
        *("aws", "cloudformation", "update-stack", "--stack-name", STACK, "--use-previous-template"),
        *("--parameters", "ParameterKey=EnableStagingAccountSync,ParameterValue=false"),
        *("--capabilities", "CAPABILITY_NAMED_IAM"),
    )
    assert done.returncode == 0, done.stderr
    assert cloud.rule()["State"] == "DISABLED"
    assert cloud.parameters() == before | {"EnableStagingAccountSync": "false"}

    # Deploying meanwhile doesn't switch it on again; --enable does.
    assert cloud.deploy().returncode == 0
    assert cloud.rule()["State"] == "DISABLED"
    done = cloud.deploy("--enable")
    assert done.returncode == 0, done.stderr
    assert cloud.rule()["State"] == "ENABLED"
    assert cloud.parameters() == before


def test_disable_and_enable(cloud):
    before = cloud.parameters()
    for _ in range(2):
        done = cloud.deploy("--disable")
        assert done.returncode == 0, done.stderr
        assert cloud.rule()["State"] == "DISABLED"
        assert cloud.parameters() == before | {"EnableStagingAccountSync": "false"}
    done = cloud.deploy("--enable")
    assert done.returncode == 0, done.stderr
    assert cloud.rule()["State"] == "ENABLED"
    # Disabled by hand, behind the stack's back.
    assert cloud.run("aws", "events", "disable-rule", "--name", RULE).returncode == 0
    assert cloud.rule()["State"] == "DISABLED"
    assert cloud.deploy("--enable").returncode == 0
    assert cloud.rule()["State"] == "ENABLED"


def test_the_role_of_a_target_account(cloud):
    cloudformation = cloud.client("cloudformation")
    host_role = "arn:aws:iam::999988887777:role/aws-drs-orchestration-staging-account-sync-test"
    cloudformation.create_stack(
        StackName="target",
        TemplateBody=(CFN / "target-account-role.yaml").read_text(),
        Parameters=[{"ParameterKey": "HostRoleArn", "ParameterValue": host_role}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    role = cloud.client("iam").get_role(RoleName="DRSOrchestrationRole")["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999988887777:root"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": host_role},
            "StringEquals": {"sts:ExternalId": "drs-orchestration-123456789012"},
        },
    }
    allowed = {"Effect": "Allow", "Action": ["drs:ListStagingAccounts"], "Resource": "*"}
    assert cloud.statements("DRSOrchestrationRole") == [allowed]
    cloudformation.delete_stack(StackName="target")


# Of these moto makes nothing, so the template itself is looked at.


@pytest.mark.parametrize(
    "name, bucket, kept",
    [
        ("lambda-stack.yaml", "PolicyBucket", True),
        ("lambda-stack.yaml", "OutcomesBucket", False),
        ("artifact-bucket.yaml", "Bucket", True),
    ],
)
def test_buckets_are_private_encrypted_tls_only_and_versioned_or_emptied(name, bucket, kept):
    resources = template(name)["Resources"]
    properties = resources[bucket]["Properties"]
    if kept:
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    else:
        assert properties["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 1
    assert list(properties["PublicAccessBlockConfiguration"].values()) == [True] * 4
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    policies = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::S3::BucketPolicy"]
    [policy] = [one for one in policies if one["Bucket"] == {"Ref": bucket}]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_rule_may_send_to_the_dead_letter_queue():
    policy = template("eventbridge-stack.yaml")["Resources"]["StagingAccountSyncDeadLetterQueuePolicy"]["Properties"]
    [allow, deny] = policy["PolicyDocument"]["Statement"]
    assert (allow["Principal"], allow["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    rule = {"Fn::GetAtt": ["StagingAccountSyncScheduleRule", "Arn"]}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": rule}}
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_failed_invocations_are_not_tried_again_and_kept():
    config = template("lambda-stack.yaml")["Resources"]["InvokeConfig"]["Properties"]
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, 300)
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedInvocationsQueue", "Arn"]}


def test_alarms():
    alarms = {
        name: resource
        for name, resource in template("monitoring-stack.yaml")["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert set(alarms) == {
        *("TickFailedAlarm", "NoTickAlarm", "AccountsFailingAlarm", "RemovalsHeldAlarm", "PolicyRejectedAlarm"),
        *("SlowTickAlarm", "FunctionThrottledAlarm", "AwsThrottledAlarm", "FanOutFailedAlarm", "FleetSaysNothingAlarm"),
        *("JournalFailedAlarm", "RolloutAbortedAlarm"),
    }
    for name, alarm in alarms.items():
        assert alarm["Properties"]["AlarmActions"], name

    def lasts(name: str) -> int:
        alarm = alarms[name]["Properties"]
        period = alarm.get("Period") or alarm["Metrics"][1]["MetricStat"]["Period"]
        return period * alarm["EvaluationPeriods"] // 60

    assert lasts("NoTickAlarm") == lasts("AccountsFailingAlarm") == 15
    assert lasts("RemovalsHeldAlarm") == 24 * 60
    assert alarms["NoTickAlarm"]["Properties"]["TreatMissingData"] == "breaching"
    assert alarms["NoTickAlarm"]["Condition"] == "EnableStagingAccountSyncCondition"


def test_the_dashboard_is_json(cloud):
    body = cloud.client("cloudwatch").get_dashboard(DashboardName=RULE)["DashboardBody"]
    assert [widget["properties"]["title"] for widget in json.loads(body)["widgets"]][0] == "Accounts by status"
