"""What deploy.sh says and refuses, with an `aws` that records what it is asked and answers from a list."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cfnlint.decode.cfn_yaml import load
from conftest import CFN

STUB = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
with open(here / "asked", "a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
for words, code, text in json.loads((here / "answers.json").read_text()):
    if all(word in sys.argv for word in words):
        if "AWS_WARNS" in os.environ:
            print("urllib3 warning: a version of SSL that nobody likes", file=sys.stderr)
        print(text, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
sys.exit("the stub has no answer to " + " ".join(sys.argv[1:]))
"""
CALLER = [["get-caller-identity"], 0, "123456789012\tarn:aws:iam::123456789012:user/operator"]
NO_STACK = [["describe-stacks"], 254, "Stack with id aws-drs-orchestration-test does not exist"]
NOT_FOUND = [
    *([[word], 254, "not found"] for word in ("get-function", "describe-rule", "describe-table", "head-bucket")),
    [["head-object"], 254, "not found"],
]
QUOTA = [["get-account-settings"], 0, "1000"]


def stack(status: str, template_prefix: str | None) -> list:
    parameters = [{"ParameterKey": "EnableStagingAccountSync", "ParameterValue": "true"}]
    if template_prefix:
        parameters.append({"ParameterKey": "TemplatePrefix", "ParameterValue": template_prefix})
    found = {"Stacks": [{"StackStatus": status, "Parameters": parameters}]}
    return [["describe-stacks"], 0, json.dumps(found)]


@pytest.fixture
def deploy(tmp_path, package):
    """Runs deploy.sh of a copy of cfn/ with a stub, which gives the answers."""
    shutil.copytree(CFN, tmp_path / "cfn", ignore=shutil.ignore_patterns("tests"))
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "aws"
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(*arguments: str, answers=(), settings=None, package=package, **env) -> subprocess.CompletedProcess:
        (tmp_path / "bin" / "answers.json").write_text(json.dumps(list(answers)))
        if settings is not None:
            (tmp_path / "cfn/environments/test.env").write_text(settings)
        more = ("--package", str(package)) if package else ()
        env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path), "AWS_REGION": "us-east-1"} | env
        return subprocess.run(
            [tmp_path / "cfn/deploy.sh", *arguments, *more], env=env, text=True, capture_output=True, timeout=60
        )

    run.asked = lambda: [json.loads(line) for line in (tmp_path / "bin/asked").read_text().splitlines()]
    run.folder = tmp_path
    return run


def test_bad_arguments_are_answered_with_the_usage(deploy):
    for arguments in [(), ("--frobnicate",), ("test", "prod"), ("Test",), ("test", "--enable", "--disable")]:
        done = deploy(*arguments)
        assert (done.returncode, "cfn/deploy.sh ENVIRONMENT" in done.stderr) == (2, True), arguments


def test_every_missing_tool_is_named_at_once(deploy):
    tools = deploy.folder / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "sed", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = deploy("test", package=None, PATH=str(tools))
    assert done.returncode == 1
    for tool in ("AWS CLI", "python3", "make", "cargo"):
        assert tool in done.stderr


def test_without_a_region_or_credentials_it_says_so(deploy):
    done = deploy("test", AWS_REGION="", answers=[[["configure"], 1, ""]])
    assert (done.returncode, "set AWS_REGION" in done.stderr) == (1, True)
    done = deploy("test", answers=[[["get-caller-identity"], 255, "Unable to locate credentials"]])
    assert (done.returncode, "Unable to locate credentials" in done.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [("test",), ("test", "--disable"), ("test", "--enable")])
def test_the_stack_of_somebody_else_is_left_alone(deploy, arguments):
    done = deploy(*arguments, answers=[CALLER, stack("UPDATE_COMPLETE", None)])
    assert done.returncode == 1
    assert "isn't staging-sync's" in done.stderr and "StackName=" in done.stderr
    assert {asked[1] for asked in deploy.asked()} == {"get-caller-identity", "describe-stacks"}


def test_a_stack_in_review_is_deployed_as_if_there_were_none(deploy):
    in_review = [["describe-stacks"], 0, json.dumps({"Stacks": [{"StackStatus": "REVIEW_IN_PROGRESS"}]})]
    answers = [CALLER, in_review, QUOTA, *NOT_FOUND]
    done = deploy("test", answers=answers)
    assert "isn't staging-sync's" not in done.stderr
    asked = [call for call in deploy.asked() if "deploy" in call]
    assert asked, done.stderr  # it gets as far as the first deployment, which the stub refuses
    done = deploy("test", "--disable", answers=answers)
    assert done.returncode == 1 and "isn't staging-sync's" not in done.stderr


def test_a_warning_on_stderr_is_not_taken_for_data(deploy):
    done = deploy("test", answers=[CALLER, stack("UPDATE_IN_PROGRESS", "staging-sync/templates/0")], AWS_WARNS="1")
    assert "in us-east-1 of account 123456789012, as arn:aws:iam::123456789012:user/operator" in done.stderr
    assert (done.returncode, "UPDATE_IN_PROGRESS" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_IN_PROGRESS"])
def test_a_stack_that_cannot_be_updated_is_not(deploy, status):
    done = deploy("test", answers=[CALLER, stack(status, "staging-sync/templates/0")])
    assert (done.returncode, status in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("get-function", "FunctionName="),
        ("describe-rule", "ProjectName="),
        ("describe-table", "TargetAccountsTable=aws-drs-orchestration-target-accounts-test"),
    ],
)
def test_a_name_that_is_taken_is_told_before_anything_is_changed(deploy, word, says):
    done = deploy("test", answers=[[[word], 0, ""], CALLER, NO_STACK, QUOTA, *NOT_FOUND])
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert not [asked for asked in deploy.asked() if "deploy" in asked or "put-object" in asked]


def test_a_small_quota_of_concurrent_executions_is_told(deploy):
    quota = [["get-account-settings"], 0, "10"]
    done = deploy("test", "--dry-run", answers=[CALLER, NO_STACK, quota, *NOT_FOUND])
    assert (done.returncode, "ReservedConcurrency= " in done.stderr) == (1, True), done.stderr
    done = deploy("test", "--dry-run", settings="ReservedConcurrency=\n", answers=[CALLER, NO_STACK, quota, *NOT_FOUND])
    assert done.returncode == 0, done.stderr


def test_segments_must_fit_into_the_function_s_concurrency_and_the_map_s(deploy):
    for settings, says in [
        ("ScheduleTarget=state-machine", "ReservedConcurrency=2 is below SegmentsAtOnce=8"),
        ("ScheduleTarget=state-machine\nSegmentsAtOnce=41\nReservedConcurrency=", "MapMode=DISTRIBUTED"),
    ]:
        done = deploy("test", "--dry-run", settings=settings + "\n")
        assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    settings = "ScheduleTarget=state-machine\nSegmentsAtOnce=41\nReservedConcurrency=50\nMapMode=DISTRIBUTED\n"
    done = deploy("test", "--dry-run", settings=settings, answers=[CALLER, NO_STACK, QUOTA, *NOT_FOUND])
    assert done.returncode == 0, done.stderr


def test_the_settings_to_copy_beside_the_platform_deploy_under_names_of_their_own(deploy):
    settings = (CFN / "environments/beside-platform.env.example").read_text()
    table = [["describe-table", "aws-drs-orchestration-target-accounts-test"], 0, ""]
    done = deploy("test", "--dry-run", settings=settings, answers=[table, CALLER, NO_STACK, QUOTA, *NOT_FOUND])
    assert done.returncode == 0, done.stderr
    [rule] = {asked[asked.index("--name") + 1] for asked in deploy.asked() if "describe-rule" in asked}
    assert rule == "staging-sync-staging-account-sync-test"
    policy = json.loads(next(line for line in settings.splitlines() if line.startswith("PolicySettings="))[15:])
    assert policy == {"removals": "own", "externalIdTemplate": "drs-orchestration-cross-account"}


def test_settings_become_parameters_and_defaults(deploy):
    settings = """
    # beside a platform
    StackName=staging-account-sync-test
    TargetAccountsTable=another-table
    PolicySettings={"removals": "own", "regions": ["eu-west-1"]}
    """
    table = [["describe-table", "another-table"], 0, ""]
    done_well = [[["deploy"], 0, ""], [["put-object"], 0, ""]]
    deploy("test", settings=settings, answers=[table, CALLER, NO_STACK, QUOTA, *NOT_FOUND, *done_well])
    [asked] = [asked for asked in deploy.asked() if "staging-account-sync-test" in asked and "deploy" in asked]
    assert 'PolicySettings={"removals": "own", "regions": ["eu-west-1"]}' in asked
    assert "TargetAccountsTable=another-table" in asked
    # A new stack begins with its default; the state of one that is there is kept.
    assert not [value for value in asked if value.startswith(("EnableStagingAccountSync", "StackName"))]

    rendered = load(str(deploy.folder / "target/package/master-test.yaml"))
    source = load(str(CFN / "master-template.yaml"))
    overrides = asked[asked.index("--parameter-overrides") + 1 : asked.index("--capabilities")]
    expected = dict(value.split("=", 1) for value in overrides)
    for name, parameter in rendered["Parameters"].items():
        assert str(parameter["Default"]) == expected.get(name, "true"), name
        parameter["Default"] = source["Parameters"][name]["Default"]
    assert rendered == source


@pytest.mark.parametrize(
    ("line", "says"),
    [("Tabel=x", "there is no parameter Tabel"), ("Environment=prod", "Environment can't be"), ("x", "Name=Value")],
)
def test_settings_that_cannot_be_used_are_refused_before_aws_is_asked(deploy, line, says):
    done = deploy("test", settings=line + "\n")
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert not Path(deploy.folder / "bin/asked").exists()
