// Tests of the comparison of the stored list with what DRS said.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ADDED_BY, diff, incomplete } from "../src/diff.js";
import { TARGET, account, awsError, entry, id, view } from "./fixture.js";

test("the first region that named it", () => {
    const views = [view("us-east-1", [1, 2]), view("eu-west-1", [2]), view("us-west-2", [1, 2])];
    assert.deepEqual(diff(account(), views, "all").add, [
        { id: id(1), region: "us-east-1" },
        { id: id(2), region: "eu-west-1" },
    ]);
});

test("own removes only what the sync alone added", () => {
    const stored = account(entry(3), entry(2), entry(1, ADDED_BY), entry(3, ADDED_BY));
    assert.deepEqual(diff(stored, [], "own"), { add: [], removable: [id(1)], kept: [id(2), id(3)] });
    assert.deepEqual(diff(stored, [], "none").removable, []);
});

test("a stored target is stale", () => {
    const { add, removable } = diff(account(entry(TARGET)), [view("eu-west-1", [TARGET])], "all");
    assert.deepEqual([add, removable], [[], [id(TARGET)]]);
});

test("a region without a view is incomplete", () => {
    const views = [view("us-east-1", []), view("eu-west-1", [1], awsError("ThrottlingException"))];
    const unread = incomplete(["us-east-1", "sa-east-1", "eu-west-1"], views);
    assert.deepEqual(
        unread.map(({ region, error }) => [region, error.code]),
        [
            ["eu-west-1", "ThrottlingException"],
            ["sa-east-1", "NoAnswer"],
        ],
    );
});
