// Tests of the decision against a host that does as the WIT package says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decide } from "../src/decide.js";
import { ADDED_BY } from "../src/diff.js";
import { TARGET, account, awsError, entry, id, tick, view } from "./fixture.js";

/** Decides with a host that answers `discovered` and holds the removals of `held`; also says what it was asked. */
function run(tick, account, discovered, held = []) {
    const asked = { regions: null, change: null };
    const discover = (regions) => {
        asked.regions = regions;
        return discovered;
    };
    const update = (change) => {
        asked.change = change;
        const added = change.add.map((it) => it.id);
        const removed = change.remove.filter((it) => !held.includes(it));
        const total = account.stagingAccounts.length + added.length - removed.length;
        return { added, removed, held, heldReason: held.length > 0 ? "seen once only" : null, total };
    };
    return { outcome: decide(tick, account, discover, update), ...asked };
}

function both(first, second) {
    return { views: [view("eu-west-1", first), view("us-east-1", second)] };
}

test("skipped without a call", () => {
    const { outcome, regions, change } = run(tick(), { ...account(), isCurrent: true }, both([2], []));
    assert.deepEqual([regions, change], [null, null]);
    assert.equal(outcome.reason, "Current account - no staging accounts");
    assert.equal(run(tick(), { ...account(), roleArn: " " }).outcome.reason, "No role ARN configured");
});

test("adds complete entries and removes stale ones", () => {
    const { outcome, regions, change } = run(tick(), account(entry(4), entry(1)), both([TARGET, 3], [1, 2, 3]));
    assert.deepEqual(regions, [], "no region named: all of the tick's");
    assert.deepEqual(change.remove, [id(4)]);
    assert.deepEqual(change.add[0], {
        id: id(2),
        name: "Staging Account 000000000002",
        roleArn: "arn:aws-us-gov:iam::000000000002:role/DRSOrchestrationRole",
        externalId: "drs-orchestration-000000000002",
        discoveredFrom: "us-east-1",
    });
    assert.deepEqual([outcome.status, outcome.added, outcome.removed], ["updated", [id(2), id(3)], [id(4)]]);
    assert.equal(outcome.stagingAccountCount, 3);
});

test("what can't be known or used fails", () => {
    const refused = { error: awsError("AccessDenied", "no sts:AssumeRole") };
    for (const [tickAt, discovered, error] of [
        [tick(), refused, "AWS: AccessDenied: no sts:AssumeRole"],
        [tick(), { error: awsError("NoRole", "none") }, "item: NoRole: none"],
        [
            tick({ regions: ["sa-east-1"] }),
            refused,
            "The setting `regions` names sa-east-1, which isn't among the tick's regions: " +
                "fix POLICY_SETTINGS or DRS_REGIONS",
        ],
        [tick({ x: 1, removals: 1 }), refused, /^POLICY_SETTINGS: \$\.removals: .*, found 1; \$\.x: /],
        [{ ...tick(), regions: [] }, refused, "There is no region to ask: fix DRS_REGIONS"],
    ]) {
        const { outcome } = run(tickAt, account(entry(1)), discovered);
        assert.equal(outcome.status, "failed");
        assert[error instanceof RegExp ? "match" : "equal"](outcome.error, error);
    }
});

test("incomplete adds, and removes nothing", () => {
    const views = [
        view("us-east-1", [], awsError("AccessDeniedException", "no")),
        view("eu-west-1", [2], awsError("ThrottlingException", "no")),
    ];
    const nothing = run(tick(), account(entry(1), entry(2)), { views });
    assert.equal(nothing.change, null);
    assert.equal(
        nothing.outcome.error,
        "AWS: ThrottlingException in eu-west-1 (no); AccessDeniedException in us-east-1",
    );
    const { outcome } = run(tick(), account(entry(1)), { views });
    assert.deepEqual([outcome.status, outcome.added, outcome.heldRemovals], ["updated", [id(2)], [id(1)]]);
    assert.equal(outcome.heldReason, "Incomplete discovery");
});

test("some regions only keep what they do not name", () => {
    const target = account(entry(3, ADDED_BY), entry(1));
    const limited = run(tick({ regions: ["us-east-1"] }), target, { views: [view("us-east-1", [])] });
    assert.deepEqual([limited.regions, limited.change, limited.outcome.status], [["us-east-1"], null, "unchanged"]);
    assert.equal(limited.outcome.extra, '{"kept":["000000000001","000000000003"]}');
});

test("what the host holds is reported", () => {
    const all = run(tick(), account(entry(1), entry(2)), both([], []), [id(1), id(2)]).outcome;
    assert.deepEqual([all.status, all.error], ["failed", "Removals held: seen once only"]);
    const some = run(tick(), account(entry(1), entry(2)), both([], []), [id(2)]).outcome;
    assert.deepEqual([some.status, some.removed, some.heldRemovals], ["updated", [id(1)], [id(2)]]);
});
