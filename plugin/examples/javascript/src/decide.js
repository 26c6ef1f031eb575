// Decides one account: what is stored, what DRS says, what changes, and what is reported.

/** @import { Account, AwsError, Change, NewStagingAccount, Outcome } from "drs:staging-sync/types@0.1.0" */
/** @import { Receipt, RegionView, Tick } from "drs:staging-sync/types@0.1.0" */
/** @import { Unread } from "./diff.js" */
/** @import { Settings } from "./settings.js" */

import { diff, incomplete } from "./diff.js";
import * as settings from "./settings.js";
import * as skip from "./skip.js";

/**
 * Views, or why there are none.
 *
 * @typedef {(regions: string[]) => { views: RegionView[], error?: undefined } | { error: AwsError }} Discover
 */

/**
 * Decides `account`, and asks the host only for what is needed: `discover` unless the account is skipped or
 * the settings can't be used, `update` if the stored list is to change.
 *
 * @param {Tick} tick
 * @param {Account} account
 * @param {Discover} discover
 * @param {(change: Change) => Receipt} update
 * @returns {Outcome}
 */
export function decide(tick, account, discover, update) {
    const outcome = unchanged(account);
    const reason = skip.reason(account);
    if (reason !== null) return { ...outcome, status: "skipped", reason };

    const { chosen, error } = settingsFor(tick);
    if (error !== undefined) return failed(outcome, error);
    const discovered = discover(chosen.regions ?? []);
    if (discovered.error) return failed(outcome, blame(discovered.error));

    const asked = chosen.regions ?? tick.regions;
    // Some of the regions show what there is, but not what there isn't.
    const limited = tick.regions.some((region) => !asked.includes(region));
    const { add, removable, kept } = diff(account, discovered.views, limited ? "none" : chosen.removals);
    const unread = incomplete(asked, discovered.views);

    outcome.incompleteRegions = unread.map(({ region, error }) => ({ region, code: error.code }));
    if (kept.length > 0) outcome.extra = JSON.stringify({ kept });
    if (unread.length > 0 && removable.length > 0) {
        outcome.heldReason = "Incomplete discovery";
        outcome.heldRemovals = removable;
    }
    const change = {
        add: add.map(({ id, region }) => entry(account, chosen, id, region)),
        remove: unread.length > 0 ? [] : removable,
    };
    if (change.add.length > 0 || change.remove.length > 0) return changed(outcome, update(change));
    return unread.length > 0 ? failed(outcome, describe(unread)) : outcome;
}

/**
 * An outcome that leaves everything as it is.
 *
 * @param {Account} account
 * @returns {Outcome}
 */
function unchanged(account) {
    return {
        status: "unchanged",
        reason: null,
        error: null,
        added: [],
        removed: [],
        heldRemovals: [],
        heldReason: null,
        stagingAccountCount: account.stagingAccounts.length,
        incompleteRegions: [],
        extra: null,
    };
}

/**
 * Says whose fault it is that no region could be asked.
 *
 * @param {AwsError} error
 */
function blame({ code, message }) {
    const whose = ["NoRole", "InvalidRole"].includes(code) ? "item" : "AWS";
    return `${whose}: ${code}: ${message}`;
}

/**
 * @param {Outcome} outcome
 * @param {string} error
 * @returns {Outcome}
 */
function failed(outcome, error) {
    return { ...outcome, status: "failed", error };
}

/**
 * The outcome of a change, as far as the host took it.
 *
 * @param {Outcome} outcome
 * @param {Receipt} receipt
 * @returns {Outcome}
 */
function changed(outcome, receipt) {
    const heldRemovals = [...new Set([...outcome.heldRemovals, ...receipt.held])].sort();
    const heldReason = receipt.heldReason ?? outcome.heldReason;
    const held = { ...outcome, heldRemovals, heldReason };
    if (receipt.added.length === 0 && receipt.removed.length === 0) {
        return failed(held, `Removals held: ${heldReason ?? "the host gave no reason"}`);
    }
    const { added, removed, total } = receipt;
    return { ...held, status: "updated", added, removed, stagingAccountCount: total };
}

/**
 * The settings as `{ chosen }`, or as `{ error }` why they can't be used in this tick.
 *
 * @param {Tick} tick
 * @returns {{ chosen: Settings, error?: undefined } | { chosen?: undefined, error: string }}
 */
function settingsFor(tick) {
    const { chosen, problems } = settings.parse(tick.settings);
    if (problems.length > 0) {
        return { error: `POLICY_SETTINGS: ${problems.map((it) => `${it.path}: ${it.message}`).join("; ")}` };
    }
    const unknown = (chosen.regions ?? []).filter((region) => !tick.regions.includes(region));
    if (unknown.length > 0) {
        return {
            error:
                `The setting \`regions\` names ${unknown.join(", ")}, which isn't among the tick's regions: ` +
                "fix POLICY_SETTINGS or DRS_REGIONS",
        };
    }
    // Nothing asked is nothing known, and would read like an account without staging accounts.
    if (tick.regions.length === 0) return { error: "There is no region to ask: fix DRS_REGIONS" };
    return { chosen };
}

/**
 * The complete entry for a staging account that DRS named.
 *
 * @param {Account} account
 * @param {Settings} chosen
 * @param {string} id
 * @param {string} discoveredFrom
 * @returns {NewStagingAccount}
 */
function entry(account, chosen, id, discoveredFrom) {
    // `arn:<partition>:iam::...`; the staging accounts are in the target's partition.
    const partition = /^arn:([^:]+)/.exec(skip.roleArn(account))?.[1] ?? "aws";
    return {
        id,
        name: `Staging Account ${id}`,
        roleArn: `arn:${partition}:iam::${id}:role/${chosen.stagingRoleName}`,
        externalId: settings.externalId(chosen, id),
        discoveredFrom,
    };
}

/**
 * Like `AWS: ThrottlingException in eu-west-1 (Rate exceeded); AccessDeniedException in us-east-1`.
 * A message that several regions gave is said once.
 *
 * @param {Unread[]} unread
 */
function describe(unread) {
    const said = new Set([""]);
    const errors = unread.map(({ region, error: { code, message } }) => {
        const name = `${code} in ${region}`;
        if (said.has(message)) return name;
        said.add(message);
        return `${name} (${message})`;
    });
    return `AWS: ${errors.join("; ")}`;
}
