// What wit/ says, for editors and for `npm run check`. `staging-sync policy build` makes it anew: don't edit it.

declare module "drs:staging-sync/types@0.1.0" {
    /** One run over the fleet. The same for every account of the run. */
    export interface Tick {
        /** The operation that the event asked for, one of those that `info` names. */
        operation: string;
        /** When the tick began. A policy has no clock: this is the only time it knows. */
        now: string;
        /** True if nothing will be written, whatever the policy asks for. A policy decides just the same. */
        dryRun: boolean;
        /** The regions that a complete discovery must read, sorted, like `eu-central-1`. */
        regions: string[];
        /** The policy's settings: a JSON object that `validate-settings` has accepted. `{}` where none are set. */
        settings: string;
    }
    /** An entry of the stored list. */
    export interface StagingAccount {
        /** The staging account's id. */
        id: string;
        /** Its name, where the entry has one. */
        name: string | null;
        /** Who added it, where the entry says so: `staging-account-sync` for entries that the sync added. */
        addedBy: string | null;
        /** When it was added, as stored (platform times look like `2026-02-02T22:45:00.123456+00:00Z`). */
        addedAt: string | null;
    }
    /** What the platform has stored about the target account at hand. */
    export interface Account {
        /** The account's id. */
        id: string;
        /** Its name, where it has one. */
        name: string | null;
        /** True for the account that the platform itself runs in: it replicates to itself. */
        isCurrent: boolean;
        /** The role to assume in it. The host assumes it; without one, `discover` fails with code `NoRole`. */
        roleArn: string | null;
        /** The stored list, in its stored order. */
        stagingAccounts: StagingAccount[];
    }
    /**
     * An entry to add. Every field is needed, because the platform's readers break on a partial entry.
     * The host adds `addedAt` (the tick's time) and `addedBy` (`staging-account-sync`).
     */
    export interface NewStagingAccount {
        /** The staging account's id. Never the target account's own. */
        id: string;
        /** The name that people see. */
        name: string;
        /** The role that the platform will assume in the staging account. */
        roleArn: string;
        /** The external id to assume it with. */
        externalId: string;
        /** A region in which DRS named this staging account. */
        discoveredFrom: string;
    }
    /** An AWS call that failed, or whose answer wasn't what AWS documents. */
    export interface AwsError {
        /**
         * AWS's error code, like `AccessDeniedException`, or one of the host's: `NoRole` (none is stored),
         * `InvalidRole` (the stored one isn't a role of this account), `MalformedResponse`, `NetworkError`,
         * `TimeoutError`.
         */
        code: string;
        /** For people: what was asked, and what came back. */
        message: string;
        /** True if the same call may succeed later. */
        retryable: boolean;
    }
    /** What one region said about its staging accounts. */
    export interface RegionView {
        /** The region. */
        region: string;
        /** The ids that it named, without duplicates, sorted; the target account's own may be among them. */
        stagingAccountIds: string[];
        /**
         * Why the list may be incomplete. A list with an error is still true as far as it goes: entries may be
         * added because of it, and none removed.
         */
        error: AwsError | null;
    }
    /** A DRS source server. */
    export interface SourceServer {
        /** Its id, like `s-1234567890abcdef0`. */
        id: string;
        /** Its Amazon resource name. */
        arn: string;
        /** Its host name, where DRS knows it. */
        hostname: string | null;
        /** The account that holds its staging area, where DRS names one. */
        stagingAccountId: string | null;
        /** `EXTENDED`, `EXTENSION_ERROR` or `NOT_EXTENDED`, where DRS says. */
        extensionStatus: string | null;
    }
    /** What one region said about its source servers. */
    export interface RegionSourceServers {
        /** The region. */
        region: string;
        /** The source servers, sorted by id. */
        sourceServers: SourceServer[];
        /** Why the list may be incomplete. */
        error: AwsError | null;
    }
    /** A change to the stored list. */
    export interface Change {
        /** Entries to add. One that is stored already is left as it is. */
        add: NewStagingAccount[];
        /** Ids to remove. One that isn't stored is ignored. */
        remove: string[];
    }
    /** What the host will write for a `change`, when the policy returns. */
    export interface Receipt {
        /** The ids that will be added, sorted. */
        added: string[];
        /** The ids that will be removed, sorted. */
        removed: string[];
        /** The ids whose removal the host holds back this tick, sorted; the policy needn't ask differently. */
        held: string[];
        /** Why, where `held` isn't empty. */
        heldReason: string | null;
        /** How many entries the list will have. */
        total: number;
    }
    /** What became of an account. */
    export type Status =
        /** The stored list changes. The host refuses it without an `update` that changes something. */
        | "updated"
        /** The stored list is right as it is. */
        | "unchanged"
        /** The account isn't one to look at. */
        | "skipped"
        /** The truth couldn't be found out, or couldn't be written. */
        | "failed";
    /** A region that couldn't be read to its last page. */
    export interface RegionError {
        /** The region. */
        region: string;
        /** The error's code. */
        code: string;
    }
    /** A policy's decision about one account. */
    export interface Outcome {
        /** What became of it. */
        status: Status;
        /** Why it was skipped; empty otherwise. */
        reason: string | null;
        /** Why it failed: names code and region; empty otherwise. */
        error: string | null;
        /** The ids added, as the receipt says. */
        added: string[];
        /** The ids removed, as the receipt says. */
        removed: string[];
        /** Ids that would be removed if the view were complete or the host didn't hold them, sorted. */
        heldRemovals: string[];
        /** Why they are held, where there are any. */
        heldReason: string | null;
        /** How many entries the stored list has, after the change. */
        stagingAccountCount: number;
        /** The regions that couldn't be read to their last page. */
        incompleteRegions: RegionError[];
        /** More to report, for `summarize`: a JSON object, or none. The host refuses another text. */
        extra: string | null;
    }
    /**
     * An outcome and whose it is. Where the policy failed on an account, or the host couldn't write, the
     * host made the outcome: `failed`, with an `error` that says whose fault it is.
     */
    export interface AccountOutcome {
        /** The account's key. */
        accountId: string;
        /** Its name, where the stored item has one. */
        accountName: string | null;
        /** What became of it. */
        outcome: Outcome;
    }
    /** An operation that a policy serves. */
    export interface Operation {
        /** As the event names it, like `sync_staging_accounts`. */
        name: string;
        /** As log lines name it, like `staging account sync`; the host logs `<title> started` and so on. */
        title: string;
    }
    /** What a policy says about itself. */
    export interface PolicyInfo {
        /** Its name, like `staging-account-sync`. */
        name: string;
        /** Its own version, like `1.4.0`; not that of this package. */
        version: string;
        /** The operations that it serves. */
        operations: Operation[];
        /** A JSON schema of its settings. */
        settingsSchema: string;
    }
    /** A setting that can't be used. */
    export interface SettingError {
        /** Where, like `$.removals`. */
        path: string;
        /** What is wrong and what was expected. */
        message: string;
    }
}

declare module "drs:staging-sync/account@0.1.0" {
    import type { Account, AwsError, Change, Receipt, RegionView } from "drs:staging-sync/types@0.1.0";
    /** The target account at hand. Only `sync` may call these; in the other exports a call ends the instance. */
    const account: {
        /** What is stored about the account. Costs no AWS call. */
        describe(): Account;
        /**
         * Asks DRS which staging accounts the account's extended source servers use: `ListStagingAccounts`, to
         * the last page, in the regions named, or in all of `tick.regions` if none is named; a region outside
         * those, or more names than those, ends the instance. All regions are asked at once. A region that the
         * account doesn't use (DRS isn't initialised there, or the region isn't opted in) has an empty view.
         *
         * Fails as a whole if no region could be asked, because the role couldn't be assumed, or if every region
         * refused the credentials.
         * @throws an error whose `payload` is AwsError
         */
        discover(regions: string[]): RegionView[];
        /**
         * Asks for a change to the stored list. The host applies it to the list as stored: entries that stay are
         * kept to the byte. Nothing is written before `sync` returns, so a policy that fails later has changed
         * nothing; if somebody edited the item meanwhile, the host reads it again and calls `sync` once more in a
         * new instance.
         *
         * May be called once. These end the instance, and the account is `failed`: an id that isn't 12 digits, the
         * target account itself, an incomplete entry, an id both to add and to remove, and a removal while any of
         * `tick.regions` wasn't read to its last page.
         */
        update(change: Change): Receipt;
    };
    export default account;
}

declare module "drs:staging-sync/logging@0.1.0" {
    /** How much a line matters. */
    export type Level =
        | "debug"
        | "info"
        | "warn"
        | "error";
    /** Lines for the host's log. */
    const logging: {
        /** Writes a line, with the account at hand beside it. Long lines, and lines past a bound, are cut. */
        log(level: Level, message: string): void;
    };
    export default logging;
}

declare module "drs:staging-sync/policy@0.1.0" {
    import type { AccountOutcome, Outcome, PolicyInfo, SettingError, Tick } from "drs:staging-sync/types@0.1.0";
    /** A policy: what a component must export, and all that it may import. */
    export interface Policy {
        /** Who the policy is and what it serves. Called once, when it is loaded. */
        info(): PolicyInfo;
        /**
         * Judges settings (a JSON text) before they are used.
         * @throws an error whose `payload` is SettingError[]
         */
        validateSettings(settings: string): void;
        /** Decides one account: describe, discover, update if needed, and say what became of it. */
        sync(tick: Tick): Outcome;
        /** Makes the tick's summary, a JSON object, from all outcomes, ordered by account id. */
        summarize(tick: Tick, outcomes: AccountOutcome[]): string;
    }
}

declare module "*/settings.schema.js" {
    const schema: string;
    export default schema;
}
