// Tests of the summary's text.

import assert from "node:assert/strict";
import { test } from "node:test";

import { summarize } from "../src/summary.js";
import { id, tick } from "./fixture.js";

function of(number, accountName, outcome) {
    const nothing = {
        reason: null,
        error: null,
        added: [],
        removed: [],
        heldRemovals: [],
        heldReason: null,
        stagingAccountCount: 2,
        incompleteRegions: [],
        extra: null,
    };
    return { accountId: id(number), accountName, outcome: { ...nothing, ...outcome } };
}

test("one account of each kind", () => {
    const outcomes = [
        of(4, "", {
            status: "failed",
            error: "ThrottlingException in eu-west-1",
            incompleteRegions: [{ region: "eu-west-1", code: "ThrottlingException" }],
            heldRemovals: [id(5)],
            heldReason: "Incomplete discovery",
            extra: '{"z": 1, "kept": ["x"], "status": "updated"}',
        }),
        of(1, "DEMO_TARGET", { status: "updated", added: [id(9), id(8)], removed: [id(7)] }),
        of(3, null, { status: "skipped", reason: "No role ARN configured" }),
        of(2, "Production", { status: "unchanged", extra: "not JSON" }),
    ];
    assert.equal(
        summarize(tick(), outcomes),
        '{"timestamp":"2026-02-02T22:45:00Z","totalAccounts":4,"accountsProcessed":2,"accountsUpdated":1,' +
            '"accountsSkipped":2,"accountsFailed":1,"details":[' +
            '{"accountId":"000000000001","accountName":"DEMO_TARGET","status":"updated",' +
            '"added":["000000000008","000000000009"],"removed":["000000000007"],"totalStaging":2},' +
            '{"accountId":"000000000002","accountName":"Production","status":"unchanged","stagingAccountCount":2},' +
            '{"accountId":"000000000003","accountName":"Unknown","status":"skipped",' +
            '"reason":"No role ARN configured"},' +
            '{"accountId":"000000000004","accountName":"Unknown","status":"failed",' +
            '"error":"ThrottlingException in eu-west-1",' +
            '"incompleteRegions":[{"region":"eu-west-1","code":"ThrottlingException"}],' +
            '"heldRemovals":["000000000005"],"heldReason":"Incomplete discovery","kept":["x"],"z":1}]}',
    );
});

test("a dry run is said only if it is one", () => {
    const start = '{"timestamp":"2026-02-02T22:45:00Z","dryRun":true,"total';
    assert.ok(summarize({ ...tick(), dryRun: true }, []).startsWith(start));
});
