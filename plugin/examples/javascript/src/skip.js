// Says which accounts the sync doesn't look at.

/** @import { Account } from "drs:staging-sync/types@0.1.0" */

/**
 * Why `account` is skipped, or null if it is to be synced. The texts are part of the summary's contract.
 *
 * @param {Account} account
 */
export function reason(account) {
    if (account.isCurrent) return "Current account - no staging accounts";
    if (roleArn(account) === "") return "No role ARN configured";
    return null;
}

/**
 * The account's role. A blank one is none: forms that were saved empty store it like that.
 *
 * @param {Account} account
 */
export function roleArn(account) {
    return (account.roleArn ?? "").trim();
}
