// Says which accounts the sync doesn't look at.

/** Why `account` is skipped, or null if it is to be synced. The texts are part of the summary's contract. */
export function reason(account) {
    if (account.isCurrent) return "Current account - no staging accounts";
    if (roleArn(account) === "") return "No role ARN configured";
    return null;
}

/** The account's role. A blank one is none: forms that were saved empty store it like that. */
export function roleArn(account) {
    return (account.roleArn ?? "").trim();
}
