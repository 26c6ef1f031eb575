// Small accounts, views and errors for the tests; an account's id is written as a number.

/** The number of the target account. */
export const TARGET = 0;

export function id(number) {
    return String(number).padStart(12, "0");
}

/** A tick over `eu-west-1` and `us-east-1` with these settings. */
export function tick(settings = {}) {
    return {
        operation: "sync_staging_accounts",
        now: "2026-02-02T22:45:00Z",
        dryRun: false,
        regions: ["eu-west-1", "us-east-1"],
        settings: JSON.stringify(settings),
    };
}

/** The target account, with a role and this list. */
export function account(...stagingAccounts) {
    const roleArn = `arn:aws-us-gov:iam::${id(TARGET)}:role/Sync`;
    return { id: id(TARGET), name: "DEMO_TARGET", isCurrent: false, roleArn, stagingAccounts };
}

/** An entry of the stored list. */
export function entry(number, addedBy = null) {
    return { id: id(number), name: null, addedBy, addedAt: null };
}

/** A region that was read to its last page, or failed on the way. */
export function view(region, numbers, error = null) {
    return { region, stagingAccountIds: numbers.map(id), error };
}

export function awsError(code, message = "") {
    return { code, message, retryable: false };
}
