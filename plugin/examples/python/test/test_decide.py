"""Tests of the decision against a host that does as the WIT package says. Needs the bindings that build.sh makes."""

from unittest import SkipTest, TestCase

from fixture import TARGET, account, aws_error, entry, id, tick, view

try:
    from componentize_py_types import Err
    from wit_world.imports.types import NewStagingAccount, Receipt, Status
except ImportError as error:
    raise SkipTest("build.sh makes the bindings: set PYTHONPATH to target/bindings") from error

from decide import decide
from diff import ADDED_BY


class Host:
    """A host that answers `views`, or fails with `error`, and holds the removals of `held`."""

    def __init__(self, views=(), error=None, held=()):
        self.views, self.error, self.held = list(views), error, list(held)
        self.asked = self.change = None

    def decide(self, tick, account):
        def discover(regions):
            self.asked = regions
            if self.error:
                raise Err(self.error)
            return self.views

        def update(change):
            self.change = change
            added = [new.id for new in change.add]
            removed = [id for id in change.remove if id not in self.held]
            total = len(account.staging_accounts) + len(added) - len(removed)
            return Receipt(added, removed, self.held, "seen once only" if self.held else None, total)

        return decide(tick, account, discover, update)


def both(first, second):
    return [view("eu-west-1", first), view("us-east-1", second)]


class TestDecide(TestCase):
    def test_skipped_without_a_call(self):
        host, hub = Host(both([2], [])), account()
        hub.is_current = True
        self.assertEqual(host.decide(tick(), hub).reason, "Current account - no staging accounts")
        blank = account()
        blank.role_arn = " "
        self.assertEqual(host.decide(tick(), blank).reason, "No role ARN configured")
        self.assertEqual((host.asked, host.change), (None, None))

    def test_adds_complete_entries_and_removes_stale_ones(self):
        host = Host(both([TARGET, 3], [1, 2, 3]))
        outcome = host.decide(tick(), account(entry(4), entry(1)))
        self.assertEqual(host.asked, [], "no region named: all of the tick's")
        self.assertEqual(host.change.remove, [id(4)])
        expected = NewStagingAccount(
            id=id(2),
            name="Staging Account 000000000002",
            role_arn="arn:aws-us-gov:iam::000000000002:role/DRSOrchestrationRole",
            external_id="drs-orchestration-000000000002",
            discovered_from="us-east-1",
        )
        self.assertEqual(host.change.add[0], expected)
        self.assertEqual((outcome.status, outcome.added), (Status.UPDATED, [id(2), id(3)]))
        self.assertEqual((outcome.removed, outcome.staging_account_count), ([id(4)], 3))

    def test_what_cannot_be_known_or_used_fails(self):
        nowhere = tick()
        nowhere.regions = []
        for tick_at, error, expected in [
            (tick(), aws_error("AccessDenied", "no sts:AssumeRole"), "AWS: AccessDenied: no sts:AssumeRole"),
            (tick(), aws_error("NoRole", "none"), "item: NoRole: none"),
            (
                tick(regions=["sa-east-1"]),
                None,
                "The setting `regions` names sa-east-1, which isn't among the tick's regions: "
                "fix POLICY_SETTINGS or DRS_REGIONS",
            ),
            (
                tick(removals=1),
                None,
                'POLICY_SETTINGS: $.removals: expected "all", "own" or "none", found 1',
            ),
            (nowhere, None, "There is no region to ask: fix DRS_REGIONS"),
        ]:
            outcome = Host(error=error).decide(tick_at, account(entry(1)))
            self.assertEqual((outcome.status, outcome.error), (Status.FAILED, expected))

    def test_incomplete_adds_and_removes_nothing(self):
        views = [
            view("us-east-1", [], aws_error("AccessDeniedException", "no")),
            view("eu-west-1", [2], aws_error("ThrottlingException", "no")),
        ]
        host = Host(views)
        nothing = host.decide(tick(), account(entry(1), entry(2)))
        self.assertIsNone(host.change)
        expected = "AWS: ThrottlingException in eu-west-1 (no); AccessDeniedException in us-east-1"
        self.assertEqual(nothing.error, expected)
        outcome = host.decide(tick(), account(entry(1)))
        self.assertEqual((outcome.status, outcome.added), (Status.UPDATED, [id(2)]))
        self.assertEqual((outcome.held_removals, outcome.held_reason), ([id(1)], "Incomplete discovery"))

    def test_a_region_without_a_view_is_incomplete(self):
        outcome = Host([view("us-east-1", [])]).decide(tick(), account())
        self.assertEqual(outcome.error, "AWS: NoAnswer in eu-west-1 (the host gave no view of it)")

    def test_some_regions_only_keep_what_they_do_not_name(self):
        host = Host([view("us-east-1", [])])
        outcome = host.decide(tick(regions=["us-east-1"]), account(entry(3, ADDED_BY), entry(1)))
        self.assertEqual((host.asked, host.change, outcome.status), (["us-east-1"], None, Status.UNCHANGED))
        self.assertEqual(outcome.extra, '{"kept":["000000000001","000000000003"]}')

    def test_what_the_host_holds_is_reported(self):
        stored = account(entry(1), entry(2))
        held = Host(both([], []), held=[id(1), id(2)]).decide(tick(), stored)
        self.assertEqual((held.status, held.error), (Status.FAILED, "Removals held: seen once only"))
        some = Host(both([], []), held=[id(2)]).decide(tick(), stored)
        self.assertEqual((some.status, some.removed, some.held_removals), (Status.UPDATED, [id(1)], [id(2)]))
