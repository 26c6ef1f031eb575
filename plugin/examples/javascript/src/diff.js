// Compares the stored list of staging accounts with what DRS said.

/** @import { Account, AwsError, RegionView } from "drs:staging-sync/types@0.1.0" */

/** Who added an entry, where the sync did. */
export const ADDED_BY = "staging-account-sync";

/**
 * Which stored entries are removed that DRS no longer names: all, those that the sync added, or none.
 *
 * @typedef {"all" | "own" | "none"} Removals
 */

/**
 * A region that wasn't read to its last page, and what went wrong there.
 *
 * @typedef {{ region: string, error: AwsError }} Unread
 */

/**
 * Compares the ids that `account` has stored with those that `views` name; all lists come sorted:
 *
 * - `add`: ids to add, each with the alphabetically first region that named it;
 * - `removable`: stored ids that DRS didn't name, and that may be removed;
 * - `kept`: stored ids that DRS didn't name, and that the settings keep.
 *
 * The account itself is never one of its staging accounts: DRS lists it, and a stored list must not.
 *
 * @param {Account} account
 * @param {RegionView[]} views
 * @param {Removals} removals
 */
export function diff(account, views, removals) {
    /** @type {Map<string, string>} */
    const found = new Map();
    for (const { region, stagingAccountIds } of views) {
        for (const id of stagingAccountIds) {
            const first = found.get(id);
            if (id !== account.id && (first === undefined || region < first)) found.set(id, region);
        }
    }

    const stored = new Set(account.stagingAccounts.map((entry) => entry.id));
    // An id that is listed twice is ours only if nobody else listed it.
    const foreign = new Set(account.stagingAccounts.filter((it) => it.addedBy !== ADDED_BY).map((it) => it.id));
    /** @param {string} id */
    const mayRemove = (id) => removals === "all" || (removals === "own" && !foreign.has(id));

    const stale = [...stored].filter((id) => !found.has(id)).sort();
    const missing = [...found.keys()].filter((id) => !stored.has(id)).sort();
    return {
        add: missing.map((id) => ({ id, region: /** @type {string} */ (found.get(id)) })),
        removable: stale.filter(mayRemove),
        kept: stale.filter((id) => !mayRemove(id)),
    };
}

/**
 * The regions that weren't read to their last page, sorted, with what went wrong there.
 *
 * A region of `asked` that has no view is one of them: nothing is known about it.
 *
 * @param {string[]} asked
 * @param {RegionView[]} views
 * @returns {Unread[]}
 */
export function incomplete(asked, views) {
    const seen = new Set(views.map((view) => view.region));
    const unread = new Map(asked.filter((region) => !seen.has(region)).map((region) => [region, NO_ANSWER]));
    for (const { region, error } of views) {
        if (error !== null) unread.set(region, error);
    }
    return [...unread.keys()].sort().map((region) => ({ region, error: /** @type {AwsError} */ (unread.get(region)) }));
}

/** @type {AwsError} */
const NO_ANSWER = { code: "NoAnswer", message: "the host gave no view of it", retryable: true };
