"""The JSON schema of a plan: what `tick --dry-run --out` writes passes, and what `apply` refuses it refuses as well."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from program import POLICY, lab_of
from test_schemas import changed, problems, run


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A plan, and the environment that it's of."""
    folder = tmp_path_factory.mktemp("plan")
    role = "arn:aws:iam::111122223333:role/Sync"
    entry = {"accountId": "444455556666", "accountName": "Old"}
    target = {"accountId": "111122223333", "accountName": "One", "roleArn": role, "stagingAccounts": [entry]}
    account = {"roles": {"Sync": {}}, "regions": {"us-east-1": {"stagingAccounts": ["777788889999"]}}}
    fleet = {"regions": ["us-east-1"], "targets": [target], "accounts": {"111122223333": account}}
    with lab_of(fleet, folder) as lab:
        env = os.environ | lab | {"POLICY": str(POLICY)}
        run("tick", "--dry-run", "--out", folder / "plan.json", env=env, check=True)
        yield json.loads((folder / "plan.json").read_text()), env


def sealed(plan: dict) -> dict:
    """The plan with the digest that fits: that of its text without spaces and with sorted keys."""
    rest = {name: value for name, value in plan.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return rest | {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def apply(planned, plan, folder: Path) -> subprocess.CompletedProcess:
    (folder / "plan.json").write_text(json.dumps(plan))
    return run("apply", folder / "plan.json", "--dry-run", env=planned[1])


def test_a_plan_passes(planned, tmp_path):
    plan = planned[0]
    assert problems("plan", plan) == []
    assert [len(plan["accounts"][0][what]) for what in ("added", "removed")] == [1, 1]
    # Else what follows would be refused for its digest alone.
    assert sealed(plan) == plan
    without_names = changed(plan, ["accounts", 0, "accountName"], None)
    for other in [without_names, plan | {"accounts": []}, changed(plan, ["accounts", 0, "removed"], [])]:
        assert apply(planned, sealed(other), tmp_path).returncode == 0
        assert problems("plan", sealed(other)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], 2),
        (["format"], None),
        (["table"], None),
        (["region"], 5),
        (["$schema"], "./plan.schema.json"),
        (["policy", "digest"], None),
        (["policy", "key"], "k"),
        (["event"], []),
        (["event"], {}),
        (["accounts"], {}),
        (["accounts", 0, "accountId"], "1234"),
        (["accounts", 0, "force"], True),
        (["accounts", 0, "condition"], None),
        (["accounts", 0, "condition", "stagingAccounts"], ["x"]),
        (["accounts", 0, "added", 0, "accountId"], None),
        (["accounts", 0, "added", 0, "accountName"], ""),
        (["accounts", 0, "added", 0, "roleArn"], "arn:aws:iam::1:role/x"),
        (["accounts", 0, "added", 0, "externalId"], "x" * 2049),
        (["accounts", 0, "added", 0, "addedBy"], "me"),
        (["accounts", 0, "added", 0, "tags"], []),
        (["accounts", 0, "removed", 0, "accountId"], 444455556666),
        (["accounts", 0, "removed", 0, "roleArn"], "r"),
    ],
    ids=lambda part: json.dumps(part)[:60],
)
def test_broken_plans_are_refused_as_by_apply(path, value, planned, tmp_path):
    plan = sealed(changed(planned[0], path, value))
    refused = apply(planned, plan, tmp_path)
    assert refused.returncode == 2 and " at $" in refused.stderr and "$.sha256" not in refused.stderr, refused.stderr
    assert problems("plan", plan) != []


def test_plans_that_change_nothing_in_an_account_or_are_cut_are_refused(planned, tmp_path):
    nothing = changed(changed(planned[0], ["accounts", 0, "added"], []), ["accounts", 0, "removed"], [])
    for plan in [sealed(nothing), changed(planned[0], ["sha256"], None), changed(planned[0], ["sha256"], "00")]:
        assert apply(planned, plan, tmp_path).returncode == 2
        assert problems("plan", plan) != []
