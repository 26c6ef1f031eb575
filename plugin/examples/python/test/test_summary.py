"""Tests of the summary's text."""

from enum import Enum
from types import SimpleNamespace
from unittest import TestCase

from fixture import id, tick

from summary import summarize


class Status(Enum):
    UPDATED = 0
    UNCHANGED = 1
    SKIPPED = 2
    FAILED = 3


def of(number, name, status, **fields):
    outcome = {
        "reason": None,
        "error": None,
        "added": [],
        "removed": [],
        "held_removals": [],
        "held_reason": None,
        "staging_account_count": 2,
        "incomplete_regions": [],
        "extra": None,
    }
    outcome = SimpleNamespace(status=status, **(outcome | fields))
    return SimpleNamespace(account_id=id(number), account_name=name, outcome=outcome)


class TestSummary(TestCase):
    maxDiff = None

    def test_one_account_of_each_kind(self):
        outcomes = [
            of(
                4,
                "",
                Status.FAILED,
                error="ThrottlingException in eu-west-1",
                incomplete_regions=[SimpleNamespace(region="eu-west-1", code="ThrottlingException")],
                held_removals=[id(5)],
                held_reason="Incomplete discovery",
                extra='{"z": 1, "kept": ["x"], "status": "updated"}',
            ),
            of(1, "DEMO_TARGET", Status.UPDATED, added=[id(9), id(8)], removed=[id(7)]),
            of(3, None, Status.SKIPPED, reason="No role ARN configured"),
            of(2, "Production", Status.UNCHANGED, extra="not JSON"),
        ]
        self.assertEqual(
            summarize(tick(), outcomes),
            '{"timestamp":"2026-02-02T22:45:00Z","totalAccounts":4,"accountsProcessed":2,"accountsUpdated":1,'
            '"accountsSkipped":2,"accountsFailed":1,"details":['
            '{"accountId":"000000000001","accountName":"DEMO_TARGET","status":"updated",'
            '"added":["000000000008","000000000009"],"removed":["000000000007"],"totalStaging":2},'
            '{"accountId":"000000000002","accountName":"Production","status":"unchanged","stagingAccountCount":2},'
            '{"accountId":"000000000003","accountName":"Unknown","status":"skipped","reason":"No role ARN configured"},'
            '{"accountId":"000000000004","accountName":"Unknown","status":"failed",'
            '"error":"ThrottlingException in eu-west-1",'
            '"incompleteRegions":[{"region":"eu-west-1","code":"ThrottlingException"}],'
            '"heldRemovals":["000000000005"],"heldReason":"Incomplete discovery","kept":["x"],"z":1}]}',
        )

    def test_a_dry_run_is_said_only_if_it_is_one(self):
        dry = tick()
        dry.dry_run = True
        self.assertTrue(summarize(dry, []).startswith('{"timestamp":"2026-02-02T22:45:00Z","dryRun":true,"total'))
