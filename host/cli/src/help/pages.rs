//! The pages: a command's exit codes, the variables that it reads, and examples of it.

use super::Variables::{
    self, Aws, Cache, Host, Hosts, Journal, Listen, Log, NoLog, Pager, Password, Policy, ServiceLog, Tick,
};

/// The documentation of a command.
pub struct Page {
    /// The command's name without the program's; empty for the program.
    pub command: &'static str,
    /// Each exit code, and its meaning.
    pub exit: &'static [(u8, &'static str)],
    /// The variables that it reads.
    pub variables: &'static [Variables],
    /// Command lines, and what each does.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Exit codes of commands that succeed or fail as a whole.
const DONE: &[(u8, &str)] = &[(0, "success"), (2, "error")];

/// Exit codes of a tick.
const TICK: &[(u8, &str)] =
    &[(0, "success"), (1, "some accounts failed or a configured policy was rejected"), (2, "error")];

/// Exit codes of a change of a manifest.
const CHANGED: &[(u8, &str)] = &[
    (0, "success, or nothing to do"),
    (1, "changed, but not recorded in the manifest's history"),
    (2, "error, nothing was changed"),
];

/// The pages of all commands.
pub const PAGES: &[Page] = &[
    Page {
        command: "",
        exit: TICK,
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync demo", "try it on this machine"),
            ("staging-sync lab -- staging-sync tick --table", "one tick against a lab"),
            ("staging-sync tick --dry-run", "what a tick would change in AWS"),
        ],
    },
    Page {
        command: "demo",
        exit: DONE,
        variables: &[Policy, Cache, NoLog],
        examples: &[
            ("staging-sync demo", "with the packaged policy"),
            ("staging-sync demo --policy policy.wasm", "with another policy"),
            ("staging-sync demo --console", "and the result as a web page, until interrupted"),
        ],
    },
    Page {
        command: "tick",
        exit: TICK,
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync tick --dry-run", "what would change, as a table on a terminal"),
            ("staging-sync tick --dry-run --out plan.json", "what would change, as a plan for `staging-sync apply`"),
            ("staging-sync tick --json", "the summary, as the Lambda function returns it"),
            ("staging-sync tick --account 111122223333", "only one account"),
            ("POLICY=policy.wasm staging-sync tick --strict -v", "with this policy or not at all, and more log lines"),
        ],
    },
    Page {
        command: "apply",
        exit: &[
            (0, "the table is as planned"),
            (1, "some accounts no longer fit or failed; the others are applied"),
            (2, "nothing could be applied"),
        ],
        variables: &[Tick, Aws, Log],
        examples: &[
            ("staging-sync apply plan.json --dry-run", "check whether a plan still fits"),
            ("staging-sync apply plan.json", "make exactly the changes of the plan"),
        ],
    },
    Page {
        command: "history",
        exit: &[(0, "done"), (1, "done, but some records are no good"), (2, "the journal couldn't be read")],
        variables: &[Journal, Aws, Log],
        examples: &[
            ("staging-sync history --journal journal", "what changed in the last 7 days"),
            (
                "staging-sync history --account 111122223333 --since 30d --status updated,failed --journal journal",
                "what became of one account",
            ),
        ],
    },
    Page {
        command: "explain",
        exit: &[
            (0, "done"),
            (1, "the account isn't recorded, or a record was tampered with"),
            (2, "the journal couldn't be read"),
        ],
        variables: &[Journal, Aws, Log],
        examples: &[
            ("staging-sync explain --account 111122223333 --journal journal", "why its list is what it is"),
            (
                "staging-sync explain --account 111122223333 --at 2026-02-02T22:45:00Z --policy new.wasm",
                "what happened then, and what another policy would have decided",
            ),
        ],
    },
    Page {
        command: "undo",
        exit: &[
            (0, "the lists are what they were"),
            (1, "some accounts were edited since or failed, and the others are undone"),
            (2, "nothing could be undone"),
        ],
        variables: &[Tick, Aws, Log],
        examples: &[
            (
                "staging-sync undo --account 111122223333 --dry-run",
                "whether the account's last change can be taken back",
            ),
            (
                "staging-sync undo --account 111122223333 --comment 'DRS was wrong, ticket 4711'",
                "the list as it was, and a veto so that it stays",
            ),
            ("staging-sync undo --tick 20260202T224500000Z-8f5d2a0c91be", "all accounts that a tick changed"),
        ],
    },
    Page {
        command: "journal",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync journal fetch --journal journal --out last-week", "the last 7 days as cases")],
    },
    Page {
        command: "journal fetch",
        exit: &[
            (0, "done"),
            (1, "done, but a policy decides otherwise than recorded, or some records are no good"),
            (2, "nothing was written, or the journal couldn't be read"),
        ],
        variables: &[Journal, Policy, Aws, Cache, NoLog],
        examples: &[
            ("staging-sync journal fetch --journal journal --out recorded", "the ticks of the last 7 days as cases"),
            (
                "staging-sync journal fetch --journal journal --account 111122223333 --since 30d --anonymize --out for-others",
                "what one account met in a month, for others to see",
            ),
        ],
    },
    Page {
        command: "freeze",
        exit: DONE,
        variables: &[Journal, Aws, Log],
        examples: &[
            (
                "staging-sync freeze --account 111122223333 --until 4h --comment 'fail-over test' --journal journal",
                "no tick changes the account for four hours",
            ),
            ("staging-sync freeze --list --journal journal", "what is frozen, by whom and why"),
        ],
    },
    Page {
        command: "unfreeze",
        exit: DONE,
        variables: &[Journal, Aws, Log],
        examples: &[(
            "staging-sync unfreeze --account 111122223333 --journal journal",
            "ticks change the account again",
        )],
    },
    Page {
        command: "doctor",
        exit: &[
            (0, "no check failed (a warning isn't a failure)"),
            (1, "a check failed"),
            (2, "the command couldn't run"),
        ],
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync doctor", "check whether ticks can run in your environment"),
            ("staging-sync doctor --account 111122223333 --json", "check the role of this account, for scripts"),
        ],
    },
    Page {
        command: "serve",
        exit: &[(0, "stopped"), (1, "stopped by a second signal in the middle of a tick"), (2, "couldn't start")],
        variables: &[Listen, Hosts, Tick, Aws, Cache, ServiceLog],
        examples: &[
            ("staging-sync serve --every 5m", "a tick every five minutes"),
            (
                "staging-sync serve --schedule sync_staging_accounts=5m --schedule staging_drift_report=1h",
                "two operations, each at its own rate",
            ),
            (
                "staging-sync serve --every 5m --log plain --listen 127.0.0.1:9090",
                "human-readable log lines, another port",
            ),
        ],
    },
    Page {
        command: "console",
        exit: &[(0, "interrupted"), (2, "couldn't start")],
        variables: &[Journal, Policy, Hosts, Host, Aws, Cache, Log],
        examples: &[
            ("staging-sync console --journal s3://BUCKET/journal/", "what the Lambda function did"),
            (
                "staging-sync console --journal ./journal --listen 127.0.0.1:9090 --policy s3://BUCKET/policies/live/policy.json",
                "another port, and the policies of a manifest",
            ),
        ],
    },
    Page {
        command: "lab",
        exit: &[(0, "success"), (2, "couldn't start; with COMMAND, the exit code is that of COMMAND")],
        variables: &[Log],
        examples: &[
            ("staging-sync lab -- staging-sync tick", "one tick against a lab"),
            (
                "staging-sync lab --env-file lab.env &",
                "a lab for other shells: once the file exists, run `. ./lab.env` there",
            ),
        ],
    },
    Page {
        command: "bench",
        exit: &[
            (0, "success"),
            (1, "a tick made other calls than it needs, or a call allocated more than its budget"),
            (2, "error"),
        ],
        variables: &[Policy, Cache, Log],
        examples: &[
            ("staging-sync bench --accounts 300 --latency-ms 100", "one size"),
            ("staging-sync bench --accounts 10,100,1000 --plot growth.svg", "a chart of time, calls and memory"),
            (
                "staging-sync bench --accounts 10000 --regions 34 --latency-ms 80 --cores 1 --only-ticks",
                "a whole fleet, on one processor; 10 minutes",
            ),
            ("staging-sync bench --short", "check only the number of calls and of allocations, in seconds"),
        ],
    },
    Page {
        command: "record",
        exit: &[(0, "success"), (1, "recorded, but some accounts failed or the replay differs"), (2, "error")],
        variables: &[Tick, Aws, Cache, NoLog],
        examples: &[
            (
                "staging-sync record --out cases/mine --about 'A region is down'",
                "record the current situation, and write nothing to the table",
            ),
            (
                "staging-sync record --out cases/shared --anonymize --keep-names '^prod-'",
                "record a case that you can share",
            ),
        ],
    },
    Page {
        command: "simulate",
        exit: &[(0, "every tick reaches all accounts"), (1, "a tick doesn't"), (2, "error")],
        variables: &[Policy, Cache, NoLog],
        examples: &[
            ("staging-sync simulate --accounts 10000 --segments 4", "how long a tick takes, and what it costs"),
            (
                "staging-sync simulate --accounts 20000 --throttle sts=100 --fit",
                "the cheapest memory and segments that are enough",
            ),
            (
                "staging-sync simulate --accounts 10,100,1000 --plot growth.svg",
                "a chart of time, calls, cost and memory, with the quotas",
            ),
        ],
    },
    Page {
        command: "replay",
        exit: &[
            (0, "success"),
            (1, "the policy asked for something that isn't on the tape, or left something over"),
            (2, "error"),
        ],
        variables: &[Policy, Cache, NoLog],
        examples: &[("staging-sync replay cases/seed-scenario --policy policy.wasm", "the summary of a case")],
    },
    Page {
        command: "test",
        exit: &[
            (0, "all cases are as expected"),
            (1, "some cases differ, or break an invariant"),
            (2, "some cases couldn't be checked"),
        ],
        variables: &[Policy, Journal, Aws, Cache, NoLog],
        examples: &[
            ("staging-sync test cases --policy policy.wasm", "compare all cases with their summaries"),
            ("staging-sync test cases --policy policy.wasm --bless", "accept the actual results as expected"),
            (
                "staging-sync test cases --policy policy.wasm --faults --junit faults.xml",
                "check the invariants under every fault, for CI",
            ),
            (
                "staging-sync test --journal journal --since 7d --policy policy.wasm",
                "check whether a policy decides the ticks of the last week as was decided then",
            ),
        ],
    },
    Page {
        command: "compare",
        exit: &[(0, "no decision differs"), (1, "some decisions differ"), (2, "a case or a policy can't be read")],
        variables: &[Journal, Aws, Cache, NoLog],
        examples: &[
            ("staging-sync compare policy.wasm policy.wasm cases", "no difference, because both are the same"),
            ("staging-sync compare old.wasm new.wasm cases --format markdown", "for a pull request"),
            ("staging-sync compare old.wasm new.wasm --journal journal --since 7d", "on the ticks of the last week"),
        ],
    },
    Page {
        command: "schema",
        exit: DONE,
        variables: &[],
        examples: &[(
            "staging-sync schema fleet > fleet.schema.json",
            "for an editor: \"$schema\": \"./fleet.schema.json\"",
        )],
    },
    Page {
        command: "completions",
        exit: DONE,
        variables: &[],
        examples: &[
            (
                "staging-sync completions bash > ~/.local/share/bash-completion/completions/staging-sync",
                "for bash with the package bash-completion, in new shells",
            ),
            (
                "staging-sync completions zsh > ~/.zfunc/_staging-sync",
                "for zsh, with `fpath+=(~/.zfunc)` before `compinit` in ~/.zshrc",
            ),
            ("staging-sync completions fish > ~/.config/fish/completions/staging-sync.fish", "for fish"),
            ("staging-sync completions elvish >> ~/.config/elvish/rc.elv", "for elvish"),
            ("staging-sync completions powershell >> $PROFILE", "for PowerShell"),
        ],
    },
    Page {
        command: "man",
        exit: DONE,
        variables: &[Pager],
        examples: &[
            ("staging-sync man policy publish", "the page of a command"),
            ("staging-sync man --dir ~/.local/share/man/man1", "install all pages where man finds them"),
        ],
    },
    Page {
        command: "policy",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy inspect policy.wasm", "show what a policy is, and what it may do")],
    },
    Page {
        command: "policy new",
        exit: DONE,
        variables: &[],
        examples: &[
            ("staging-sync policy new my-policy", "a project in Rust"),
            ("staging-sync policy new my-python-policy --lang python", "a project in Python; JavaScript works as well"),
        ],
    },
    Page {
        command: "policy build",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy build my-policy", "write my-policy/policy.wasm")],
    },
    Page {
        command: "policy inspect",
        exit: &[
            (0, "this host can run the policy"),
            (1, "it can't"),
            (2, "the file isn't WebAssembly or can't be read"),
        ],
        variables: &[Host, Cache, Log],
        examples: &[
            ("staging-sync policy inspect policy.wasm", "show what the policy is, and what it may do"),
            ("staging-sync policy inspect policy.wasm --iam", "print the least IAM policies that it needs"),
        ],
    },
    Page {
        command: "policy wit",
        exit: DONE,
        variables: &[],
        examples: &[
            ("staging-sync policy wit", "print the WIT package that this program's host has"),
            (
                "staging-sync policy wit --version 0.1.0 > wit/policy.wit",
                "build a project for hosts of 0.1.0 and later",
            ),
        ],
    },
    Page {
        command: "policy verify",
        exit: &[(0, "all invariants hold"), (1, "an invariant breaks"), (2, "error")],
        variables: &[Cache, NoLog],
        examples: &[
            ("staging-sync policy verify policy.wasm --staging-accounts 1", "only in the smallest worlds"),
            ("staging-sync policy verify policy.wasm --settings '{\"removals\": \"own\"}'", "with these settings"),
            (
                "staging-sync policy verify policy.wasm --staging-accounts 1 --cases cases --invariants verify.json",
                "with the names of these cases, and without the invariants that don't apply",
            ),
        ],
    },
    Page {
        command: "policy measure",
        exit: DONE,
        variables: &[Cache, Log],
        examples: &[("staging-sync policy measure policy.wasm --accounts 10", "size, compile time, time per account")],
    },
    Page {
        command: "policy encode",
        exit: DONE,
        variables: &[],
        examples: &[(
            "staging-sync policy encode policy.core.wasm --out policy.wasm",
            "encode a core module as a component",
        )],
    },
    Page {
        command: "policy precompile",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy precompile policy.wasm", "write policy.cwasm, for a package")],
    },
    Page {
        command: "policy publish",
        exit: CHANGED,
        variables: &[Host, Password, Journal, Aws, Cache, Log],
        examples: &[
            ("staging-sync policy publish policy.wasm --to live/policy.json", "publish to a directory"),
            (
                "staging-sync policy publish policy.wasm --to s3://policies/live/policy.json --settings settings.json --cases cases",
                "publish to a bucket, with settings, and with cases that the policy must pass",
            ),
            (
                "staging-sync policy publish policy.wasm --to live/policy.json --replay 7d --accept 'added>0' --journal journal",
                "publish only if the ticks of the last week are decided as before, but for ids that are added",
            ),
            (
                "staging-sync policy publish another.wasm --to live/policy.json --rollout 1%:3,10%:3,50%:6",
                "let it decide 1%, 10%, then 50% of the accounts, and all of them after 12 clean ticks",
            ),
        ],
    },
    Page {
        command: "policy status",
        exit: &[
            (0, "a host would accept all policies"),
            (1, "it would reject a policy"),
            (2, "the manifest can't be read"),
        ],
        variables: &[Host, Aws, Cache, Log],
        examples: &[(
            "staging-sync policy status s3://policies/live/policy.json",
            "check whether a host would accept the policies",
        )],
    },
    Page {
        command: "policy log",
        exit: DONE,
        variables: &[Aws, Log],
        examples: &[
            ("staging-sync policy log s3://policies/live/policy.json", "who changed what, when, and with which proof"),
            (
                "staging-sync policy log s3://policies/live/policy.json --json",
                "with the whole manifest after each change",
            ),
        ],
    },
    Page {
        command: "policy promote",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[(
            "staging-sync policy promote s3://policies/live/policy.json",
            "make the shadow policy the active one",
        )],
    },
    Page {
        command: "policy withdraw",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[("staging-sync policy withdraw s3://policies/live/policy.json", "remove the shadow policy")],
    },
    Page {
        command: "policy rollback",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[
            ("staging-sync policy rollback s3://policies/live/policy.json", "make the previous policy active again"),
            (
                "staging-sync policy rollback s3://policies/live/policy.json --to-change 1 --dry-run",
                "show the manifest as it was after an earlier change",
            ),
        ],
    },
    Page {
        command: "policy rollout",
        exit: CHANGED,
        variables: &[Aws, Log],
        examples: &[("staging-sync policy rollout status s3://policies/live/policy.json", "how far a rollout is")],
    },
    Page {
        command: "policy rollout status",
        exit: DONE,
        variables: &[Aws, Log],
        examples: &[
            (
                "staging-sync policy rollout status s3://policies/live/policy.json",
                "each step, and what is missing to go on",
            ),
            (
                "staging-sync policy rollout status s3://policies/live/policy.json --json",
                "with the last ticks, and both decisions of each difference",
            ),
        ],
    },
    Page {
        command: "policy rollout pause",
        exit: DONE,
        variables: &[Aws, Log],
        examples: &[("staging-sync policy rollout pause s3://policies/live/policy.json", "stay at this step")],
    },
    Page {
        command: "policy rollout resume",
        exit: DONE,
        variables: &[Aws, Log],
        examples: &[("staging-sync policy rollout resume s3://policies/live/policy.json", "go on")],
    },
    Page {
        command: "policy rollout abort",
        exit: CHANGED,
        variables: &[Aws, Log],
        examples: &[(
            "staging-sync policy rollout abort s3://policies/live/policy.json --comment 'wrong numbers'",
            "let the active policy decide every account again",
        )],
    },
    Page {
        command: "policy rollout promote",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[(
            "staging-sync policy rollout promote s3://policies/live/policy.json",
            "make the candidate active without waiting",
        )],
    },
    Page {
        command: "policy rollout wait",
        exit: &[
            (0, "the rollout ended as expected"),
            (1, "it ended otherwise, or not in time"),
            (2, "there is no rollout, or it can't be read"),
        ],
        variables: &[Aws, Log],
        examples: &[(
            "staging-sync policy rollout wait s3://policies/live/policy.json --for promoted --timeout 1h",
            "wait for it in a pipeline",
        )],
    },
    Page {
        command: "policy keygen",
        exit: DONE,
        variables: &[Password],
        examples: &[(
            "staging-sync policy keygen --out policy",
            "write policy.key for signing, and policy.pub for hosts",
        )],
    },
];
