// Tests of the settings: what is accepted, and what is said about the rest.

import assert from "node:assert/strict";
import { test } from "node:test";

import { externalId, parse } from "../src/settings.js";

test("defaults and choices", () => {
    const { chosen, problems } = parse('{"removals": "own", "externalIdTemplate": "x-{accountId}"}');
    assert.deepEqual(problems, []);
    assert.deepEqual([chosen.removals, chosen.stagingRoleName], ["own", "DRSOrchestrationRole"]);
    assert.equal(externalId(chosen, "111122223333"), "x-111122223333");
});

test("every problem at once, in the order of the paths", () => {
    const { problems } = parse(`{
        "regions": ["us-east-1", "us-east-1", "nowhere", 1], "region": "us-east-1", "stagingRoleName": "a/b",
        "externalIdTemplate": "x-{account}", "removals": {"b": [], "a": "ü"}
    }`);
    assert.deepEqual(
        problems.map(({ path, message }) => `${path}: ${message}`),
        [
            '$.externalIdTemplate: the only placeholder is {accountId}, found "x-{account}"',
            "$.region: unknown setting; expected one of removals, stagingRoleName, externalIdTemplate, regions",
            '$.regions[1]: expected each region once, found "us-east-1" again',
            '$.regions[2]: expected a region like us-east-1, found "nowhere"',
            "$.regions[3]: expected a region like us-east-1, found 1",
            '$.removals: expected "all", "own" or "none", found {"a":"ü","b":[]}',
            "$.stagingRoleName: expected the name of an IAM role (not its ARN): 1 to 64 letters, digits or " +
                '_+=,.@-, found "a/b"',
        ],
    );
});

test("not an object", () => {
    for (const text of ["", "[]", "null", "{", '"all"', "NaN", '{"\\ud800": 1}']) {
        assert.deepEqual(parse(text).problems.map((it) => it.path), ["$"], text);
    }
    assert.equal(parse("[1, 2]").problems[0].message, "expected a JSON object, found [1,2]");
});

test("bounds", () => {
    for (const [key, good, bad] of [
        ["stagingRoleName", "x".repeat(64), "x".repeat(65)],
        ["stagingRoleName", "_+=,.@-", "x\n"],
        ["externalIdTemplate", "ab", "a"],
        ["externalIdTemplate", "{accountId}", "{accountId}}"],
        ["externalIdTemplate", `${"x".repeat(1212)}{accountId}`, `${"x".repeat(1213)}{accountId}`],
        ["externalIdTemplate", "a:b/c", 1],
        ["regions", ["us-gov-west-1", "eusc-de-east-1"], []],
        ["removals", "none", "None"],
    ]) {
        assert.deepEqual(parse(JSON.stringify({ [key]: good })).problems, [], key);
        assert.deepEqual(parse(JSON.stringify({ [key]: bad })).problems.map((it) => it.path), [`$.${key}`]);
    }
    for (const region of ["us-east", "us-1", "US-EAST-1", "us-east-1a", "us--1", "-east-1", "us-east-1\n", ""]) {
        const { problems } = parse(JSON.stringify({ regions: [region] }));
        assert.deepEqual(problems.map((it) => it.path), ["$.regions[0]"], region);
    }
});
