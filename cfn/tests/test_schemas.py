"""The JSON schemas that editors go by: every real file passes, and what the program refuses they refuse as well.

It is here because the validator is: no other test needs one. That the schemas know every member that the program
knows is tested with the program (`host/cli/tests/cli/schemas.rs`).
"""

import copy
import functools
import json
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from jsonschema import Draft202012Validator
from program import POLICY, STAGING_SYNC

KINDS = ["fleet", "tape", "event", "summary", "plan", "manifest"]
CASES = sorted(path.parent for path in ROOT.glob("plugin/**/cases/*/tape.json") if "target" not in path.parts)
FLEETS = [*sorted(ROOT.glob("host/lab/fleets/*.json")), ROOT / "host/runtime/tests/ticks/base.json"]
TAPE = ROOT / "plugin/cases/drs-throttled-something-found/tape.json"


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([STAGING_SYNC, *arguments], text=True, capture_output=True, timeout=120, **options)


@functools.cache
def validator(kind: str) -> Draft202012Validator:
    schema = json.loads(run("schema", kind, check=True).stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def problems(kind: str, document) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator(kind).iter_errors(document)]


def changed(document, path: list, value):
    """The document with another value at a path; none removes it."""
    document = copy.deepcopy(document)
    at = functools.reduce(lambda part, key: part[key], path[:-1], document)
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind):
    assert validator(kind).schema["title"]


def test_there_are_files_to_check():
    assert len(CASES) > 50 and len(FLEETS) >= 2


@pytest.mark.parametrize("path", FLEETS, ids=lambda path: path.name)
def test_fleets_pass(path):
    assert problems("fleet", json.loads(path.read_text())) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.parent.name}-{case.name}")
def test_cases_pass(case):
    tape = json.loads((case / "tape.json").read_text())
    assert problems("tape", tape) == []
    event = case / "event.json"
    event = json.loads(event.read_text()) if event.exists() else tape["event"]
    assert problems("event", event) == []
    # Another operation has a summary of its own.
    if event["operation"] == "sync_staging_accounts":
        assert problems("summary", json.loads((case / "summary.json").read_text())) == []


def test_summaries_of_ticks_pass():
    summaries = [
        tick["summary"]
        for path in ROOT.glob("host/runtime/tests/ticks/cases/*.json")
        for tick in json.loads(path.read_text())["ticks"]
        if tick.get("summary")
    ]
    assert len(summaries) > 60
    assert [found for summary in summaries for found in problems("summary", summary)] == []


def test_a_manifest_passes(tmp_path):
    manifest = tmp_path / "policy.json"
    run("policy", "publish", POLICY, "--to", manifest, check=True)
    manifest = json.loads(manifest.read_text())
    assert problems("manifest", manifest) == []
    assert problems("manifest", manifest | {"setings": {}}) != []


FAULT = {"error": {"code": "ThrottlingException"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["target"], []),
        (["seed"], -1),
        (["latencyMs"], "80"),
        (["hub"], {"account": "12"}),
        (["hub"], {"table": "t"}),
        (["hub"], {"bucket": "Policies"}),
        (["regions"], [""]),
        (["targets", 0, "accountId"], None),
        (["targets", 0, "accountId"], ""),
        (["accounts", "1234"], {}),
        (["accounts", "111122223333", "pageSize"], 0),
        (["accounts", "111122223333", "roles", "/R"], {}),
        (["accounts", "111122223333", "roles", "R"], {"externalID": "x"}),
        (["accounts", "111122223333", "regions", "us-east-1"], "unknown"),
        (["accounts", "111122223333", "regions", "us-east-1"], {"stagingAccounts": ["1"]}),
        (["accounts", "111122223333", "regions", "us-east-1"], {"sourceServers": [{"status": "extended"}]}),
        (["faults"], [{}]),
        (["faults"], [{"hang": True, "reset": True}]),
        (["faults"], [{"hang": False}]),
        (["faults"], [{"service": "ec2", **FAULT}]),
        (["faults"], [{"page": 0, **FAULT}]),
        (["faults"], [{"per": "item", **FAULT}]),
        (["faults"], [{"error": {"code": ""}}]),
        (["faults"], [{"error": {"code": "c", "status": 200}}]),
        (["faults"], [{"mutate": {"set": {"accountId": "1"}}}]),
        (["faults"], [{"mutate": {"set": {"a": 1}, "delete": True}}]),
        (["faults"], [{"mutate": {}}]),
    ],
    ids=lambda part: json.dumps(part),
)
def test_broken_fleets_are_refused_as_by_the_lab(path, value, tmp_path):
    fleet = changed(json.loads((ROOT / "host/runtime/tests/ticks/base.json").read_text()), path, value)
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(fleet))
    assert run("lab", "--fleet", file, "--", "true").returncode == 2
    assert problems("fleet", fleet) != []


@pytest.mark.parametrize(
    "fault",
    [{"latencyMs": 5}, {"jitterMs": 5}, {"latencyMs": 5, **FAULT}, {"hang": True, "reset": False}, {"body": "<html>"}],
    ids=lambda part: json.dumps(part),
)
def test_faults_pass_that_the_lab_takes(fault, tmp_path):
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps({"$schema": "./fleet.schema.json", "faults": [fault]}))
    assert run("lab", "--fleet", file, "--", "true").returncode == 0
    assert problems("fleet", json.loads(file.read_text())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["version"], 2),
        (["version"], None),
        (["now"], "today"),
        (["config", "regions"], []),
        (["config", "regions"], ["EU"]),
        (["config", "table"], ""),
        (["config", "maxRemovalsPercent"], 101),
        (["hots"], []),
        (["settings"], []),
        (["host", 0, "response"], None),
        (["host", 0, "error"], {"code": "c"}),
        (["host", 0, "operation"], 5),
        (["targets", "111122223333", 1, "error"], {"code": "c", "retriable": True}),
    ],
    ids=lambda part: json.dumps(part),
)
def test_broken_tapes_are_refused_as_by_a_replay(path, value, tmp_path):
    tape = changed(json.loads(TAPE.read_text()), path, value)
    (tmp_path / "tape.json").write_text(json.dumps(tape))
    assert run("replay", tmp_path, "--policy", POLICY).returncode == 2
    assert problems("tape", tape) != []


@pytest.mark.parametrize(
    "event",
    [
        [],
        {},
        {"operation": 5},
        {"operation": "o", "dryrun": True},
        {"operation": "o", "dry_run": True},
        {"operation": "o", "accountIDs": []},
        {"operation": "o", "dryRun": "yes"},
        {"operation": "o", "accountIds": ["1"]},
        {"operation": "o", "segment": 0},
        {"operation": "o", "totalSegments": 2},
        {"operation": "o", "segment": 0, "totalSegments": 0},
        {"operation": "o", "segment": 0, "totalSegments": 2, "accountIds": []},
        {"operation": "o", "outcomesTo": "s3://b/fan-out/0.json"},
    ],
    ids=lambda part: json.dumps(part),
)
def test_broken_events_are_refused_as_by_a_tick(event):
    refused = run("tick", "--event", json.dumps(event), env={})
    assert refused.returncode == 2 and "EventInvalid" in refused.stderr, refused.stderr
    assert problems("event", event) != []


def test_events_of_other_callers_pass():
    event = {"operation": "sync_staging_accounts", "queryParams": {"dryRun": 3}, "dryRun": None}
    assert problems("event", event) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["timestamp"], None),
        (["totalAccounts"], -1),
        (["details", 0, "status"], "changed"),
        (["details", 0, "added"], None),
        (["details", 0, "added"], ["1"]),
        (["details", 0, "accountId"], None),
        (["acountsFailed"], 0),
        (["errorType"], "TableUnavailable"),
    ],
    ids=lambda part: json.dumps(part),
)
def test_broken_summaries_are_refused(path, value):
    summary = json.loads((TAPE.parent / "summary.json").read_text())
    assert problems("summary", summary) == []
    assert problems("summary", changed(summary, path, value)) != []
