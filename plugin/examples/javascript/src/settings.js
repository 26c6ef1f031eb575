// Reads and judges the policy's settings.

/** @import { SettingError } from "drs:staging-sync/types@0.1.0" */
/** @import { Removals } from "./diff.js" */

import { compact, isObject, parse as parseJson } from "./json.js";

const ACCOUNT_ID = "{accountId}";

/**
 * What the operator may choose; no `regions` means all of the tick's.
 *
 * @typedef {object} Settings
 * @property {Removals} removals
 * @property {string} stagingRoleName
 * @property {string} externalIdTemplate
 * @property {string[] | null} regions
 */

/**
 * Finds what is wrong with the value of a setting.
 *
 * @typedef {(path: string, value: unknown) => SettingError[]} Judge
 */

/** @type {Settings} */
const DEFAULTS = {
    removals: "all",
    stagingRoleName: "DRSOrchestrationRole",
    externalIdTemplate: `drs-orchestration-${ACCOUNT_ID}`,
    regions: null,
};

/**
 * For each setting, what is wrong with a value.
 *
 * @type {Record<string, Judge>}
 */
const JUDGES = {
    removals: told(removals),
    stagingRoleName: told(roleName),
    externalIdTemplate: told(template),
    regions,
};

/**
 * Reads a JSON object of settings: `chosen`, which counts if there are no `problems`, of which it names all.
 *
 * @param {string} text
 * @returns {{ chosen: Settings, problems: SettingError[] }}
 */
export function parse(text) {
    /** @type {unknown} */
    let given;
    try {
        given = parseJson(text);
    } catch (error) {
        return refused(`but this isn't JSON: ${/** @type {Error} */ (error).message}`);
    }
    if (!isObject(given)) return refused(`found ${compact(given)}`);

    const problems = Object.keys(given)
        .sort()
        .flatMap((key) => (Object.hasOwn(JUDGES, key) ? JUDGES[key] : told(unknown))(`$.${key}`, given[key]));
    return { chosen: { ...DEFAULTS, ...given }, problems };
}

/** @param {string} found */
function refused(found) {
    return { chosen: DEFAULTS, problems: [problem("$", `expected a JSON object, ${found}`)] };
}

/**
 * The external id for this staging account.
 *
 * @param {Settings} chosen
 * @param {string} accountId
 */
export function externalId(chosen, accountId) {
    return chosen.externalIdTemplate.replaceAll(ACCOUNT_ID, accountId);
}

/**
 * What `validate-settings` reports: where, and what is wrong.
 *
 * @param {string} path
 * @param {string} message
 * @returns {SettingError}
 */
function problem(path, message) {
    return { path, message };
}

/**
 * A judge that finds at most one problem, of one that returns its message.
 *
 * @param {(value: unknown) => string | null} message
 * @returns {Judge}
 */
function told(message) {
    return (path, value) => {
        const found = message(value);
        return found === null ? [] : [problem(path, found)];
    };
}

function unknown() {
    return `unknown setting; expected one of ${Object.keys(JUDGES).join(", ")}`;
}

/** @param {unknown} value */
function removals(value) {
    if (value === "all" || value === "own" || value === "none") return null;
    return `expected "all", "own" or "none", found ${compact(value)}`;
}

/** @param {unknown} value */
function roleName(value) {
    if (matches(/^[A-Za-z0-9_+=,.@-]{1,64}$/, value)) return null;
    return (
        "expected the name of an IAM role (not its ARN): 1 to 64 letters, digits or _+=,.@-, " +
        `found ${compact(value)}`
    );
}

/** @param {unknown} value */
function template(value) {
    if (typeof value !== "string") {
        return `expected a text like "${DEFAULTS.externalIdTemplate}", found ${compact(value)}`;
    }
    // Any id serves: they all have 12 digits.
    const externalId = value.replaceAll(ACCOUNT_ID, "000000000000");
    if (/[{}]/.test(externalId)) return `the only placeholder is ${ACCOUNT_ID}, found ${compact(value)}`;
    if (/^[A-Za-z0-9_+=,.@:/-]{2,1224}$/.test(externalId)) return null;
    return `an external id has 2 to 1224 letters, digits or _+=,.@:/-, found ${compact(value)}`;
}

/** @type {Judge} */
function regions(path, value) {
    if (!Array.isArray(value) || value.length === 0) {
        return [problem(path, `expected a list of regions like ["us-east-1"], found ${compact(value)}`)];
    }
    return value.flatMap((region, index) => {
        const at = `${path}[${index}]`;
        // Words, then a number, like us-gov-west-1 or eusc-de-east-1.
        if (!matches(/^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$/, region)) {
            return [problem(at, `expected a region like us-east-1, found ${compact(region)}`)];
        }
        if (value.indexOf(region) === index) return [];
        return [problem(at, `expected each region once, found ${compact(region)} again`)];
    });
}

/**
 * @param {RegExp} pattern
 * @param {unknown} value
 */
function matches(pattern, value) {
    return typeof value === "string" && pattern.test(value);
}
