// The bindings: joins the policy's pure functions to the host. No rule lives here.
//
// Reading order: `decide` (one account, from top to bottom), the `skip`, `settings` and `diff` that it uses,
// then `summary`. In all of them the WIT package's names are in camelCase, and an absent option is null.

/** @import { Policy } from "drs:staging-sync/policy@0.1.0" */
/** @import { AwsError } from "drs:staging-sync/types@0.1.0" */

import account from "drs:staging-sync/account@0.1.0";
import logging from "drs:staging-sync/logging@0.1.0";

import { decide } from "./decide.js";
import * as settings from "./settings.js";
import settingsSchema from "./settings.schema.js"; // made by build.sh of settings.schema.json
import * as summary from "./summary.js";

/** @type {Policy["info"]} */
export function info() {
    return {
        name: "staging-account-sync",
        version: "0.1.0",
        operations: [{ name: "sync_staging_accounts", title: "staging account sync" }],
        settingsSchema,
    };
}

/**
 * A `result` is returned if it is ok, and thrown if it is an error.
 *
 * @type {Policy["validateSettings"]}
 */
export function validateSettings(text) {
    const { problems } = settings.parse(text);
    if (problems.length > 0) throw problems;
}

/** @type {Policy["sync"]} */
export function sync(tick) {
    return logged(() => decide(tick, account.describe(), discover, account.update));
}

/** @type {Policy["summarize"]} */
export function summarize(tick, outcomes) {
    return logged(() => summary.summarize(tick, outcomes));
}

/**
 * Logs an exception before it ends the instance.
 *
 * The host only sees that it ended, and adds the last logged error to that.
 *
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
function logged(work) {
    try {
        return work();
    } catch (thrown) {
        logging.log("error", thrown instanceof Error ? `${thrown}\n${thrown.stack}` : JSON.stringify(thrown));
        throw thrown;
    }
}

/**
 * Asks the host; an AWS error is data for the rules, so it comes back instead of being thrown.
 *
 * @type {import("./decide.js").Discover}
 */
function discover(regions) {
    try {
        return { views: account.discover(regions) };
    } catch (thrown) {
        const { payload } = /** @type {{ payload?: AwsError }} */ (thrown);
        if (payload === undefined) throw thrown;
        return { error: payload };
    }
}
