"""What the checks share: an AWS on loopback (moto), and deploy.sh run against it with the real AWS CLI."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import moto_gaps
import pytest
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
CFN = ROOT / "cfn"
STACK = "aws-drs-orchestration-test"


class Cloud:
    """An AWS account, and the environment that makes the CLI and boto3 use it."""

    def __init__(self, url: str, package: Path):
        self.package = package
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(package.parent),
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=self.env["AWS_REGION"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=ROOT, env=self.env, text=True, capture_output=True, timeout=300)

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess:
        more = () if {"--disable", "--enable"} & set(arguments) else ("--package", str(self.package))
        return self.run("cfn/deploy.sh", "test", *arguments, *more)

    def rule(self) -> dict:
        rule = self.client("events").describe_rule(Name="aws-drs-orchestration-staging-account-sync-test")
        return {name: value for name, value in rule.items() if name != "ResponseMetadata"}

    def function(self) -> dict:
        name = "aws-drs-orchestration-query-handler-test"
        return self.client("lambda").get_function_configuration(FunctionName=name)

    def statements(self, role: str) -> list[dict]:
        """What the role's own policy says."""
        iam = self.client("iam")
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        # moto gives what CloudFormation made as Python writes it, and None where AWS::NoValue leaves nothing.
        return without_none(ast.literal_eval(document))["Statement"]

    def parameters(self) -> dict[str, str]:
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def without_none(value):
    if isinstance(value, dict):
        return {name: without_none(one) for name, one in value.items() if one is not None}
    return [without_none(one) for one in value if one is not None] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("package") / "staging-sync.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bootstrap", "not run by moto")
    return path


@pytest.fixture(scope="session")
def cloud(package) -> Cloud:
    """An account in which `cfn/deploy.sh test` was run once. Tests leave it as they found it."""
    moto_gaps.fill()
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    cloud = Cloud(f"http://{host}:{port}", package)
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    yield cloud
    server.stop()
