// Makes the tick's summary from what became of each account.

/** @import { AccountOutcome, Outcome, Status, Tick } from "drs:staging-sync/types@0.1.0" */

import { isObject, parse, sorted } from "./json.js";

/** The names of a detail's own fields; `extra` can't change them. */
const FIELDS = [
    "accountId",
    "accountName",
    "status",
    "added",
    "removed",
    "totalStaging",
    "stagingAccountCount",
    "reason",
    "error",
    "incompleteRegions",
    "heldRemovals",
    "heldReason",
];

/**
 * The summary as a JSON object, its keys in their documented order and its details ordered by account id.
 *
 * An account without changes counts as processed and as skipped, so that updated, skipped and failed add up
 * to the total.
 *
 * @param {Tick} tick
 * @param {AccountOutcome[]} outcomes
 */
export function summarize(tick, outcomes) {
    /** @param {Status} status */
    const count = (status) => outcomes.filter(({ outcome }) => outcome.status === status).length;
    const [updated, unchanged] = [count("updated"), count("unchanged")];
    return JSON.stringify({
        timestamp: tick.now,
        ...(tick.dryRun && { dryRun: true }),
        totalAccounts: outcomes.length,
        accountsProcessed: updated + unchanged,
        accountsUpdated: updated,
        accountsSkipped: unchanged + count("skipped"),
        accountsFailed: count("failed"),
        details: outcomes.map(detail).sort((one, other) => compare(one.accountId, other.accountId)),
    });
}

/** @param {AccountOutcome} of */
function detail({ accountId, accountName, outcome }) {
    const { status, incompleteRegions, heldRemovals, heldReason } = outcome;
    return {
        accountId,
        accountName: accountName || "Unknown",
        status,
        ...result(outcome),
        ...(incompleteRegions.length > 0 && {
            incompleteRegions: incompleteRegions.map(({ region, code }) => ({ region, code })),
        }),
        ...(heldRemovals.length > 0 && { heldRemovals }),
        ...(heldReason && { heldReason }),
        ...extra(outcome.extra ?? ""),
    };
}

/**
 * The fields that only this status has.
 *
 * @param {Outcome} outcome
 */
function result({ status, added, removed, stagingAccountCount, reason, error }) {
    switch (status) {
        case "updated":
            return { added: [...added].sort(), removed: [...removed].sort(), totalStaging: stagingAccountCount };
        case "unchanged":
            return { stagingAccountCount };
        case "skipped":
            return { reason: reason ?? "Unknown reason" };
        case "failed":
            return { error: error ?? "Unknown error" };
    }
}

/**
 * What else there is to report; nothing if it isn't a JSON object.
 *
 * @param {string} text
 */
function extra(text) {
    let value;
    try {
        value = parse(text);
    } catch {
        return {};
    }
    if (!isObject(value)) return {};
    const entries = Object.entries(/** @type {object} */ (sorted(value)));
    return Object.fromEntries(entries.filter(([key]) => !FIELDS.includes(key)));
}

/**
 * @param {string} one
 * @param {string} other
 */
function compare(one, other) {
    return one < other ? -1 : Number(one > other);
}
