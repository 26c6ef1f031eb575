//! The pages: a command's exit codes, the variables that it reads, and examples of it.

use super::Variables::{self, Aws, Cache, Host, Listen, Log, NoLog, Pager, Password, Policy, ServiceLog, Tick};

/// What is said of a command.
pub struct Page {
    /// Its name without the program's; empty for the program.
    pub command: &'static str,
    /// Each exit code, and what it says.
    pub exit: &'static [(u8, &'static str)],
    /// The variables that it reads.
    pub variables: &'static [Variables],
    /// Command lines, and what each does.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Exit codes of commands that can only work or not.
const DONE: &[(u8, &str)] = &[(0, "done"), (2, "could not be done")];

/// Exit codes of a tick.
const TICK: &[(u8, &str)] =
    &[(0, "done"), (1, "done but some account failed or a configured policy was rejected"), (2, "could not be done")];

/// Exit codes of a change of a manifest.
const CHANGED: &[(u8, &str)] =
    &[(0, "done, or nothing to do"), (1, "done, but not in the manifest's history"), (2, "nothing was changed")];

/// All of them.
pub const PAGES: &[Page] = &[
    Page {
        command: "",
        exit: TICK,
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync demo", "what it does, on this machine"),
            ("staging-sync lab -- staging-sync tick --table", "one tick against a lab of its own"),
            ("staging-sync tick --dry-run", "what a tick would change in AWS"),
        ],
    },
    Page {
        command: "demo",
        exit: DONE,
        variables: &[Policy, Cache, NoLog],
        examples: &[
            ("staging-sync demo", "with the policy that is packaged"),
            ("staging-sync demo --policy policy.wasm", "with another one"),
        ],
    },
    Page {
        command: "tick",
        exit: TICK,
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync tick --dry-run", "what would change, as a table on a terminal"),
            ("staging-sync tick --dry-run --out plan.json", "what would change, as a plan for `staging-sync apply`"),
            ("staging-sync tick --json", "the summary, as the Lambda returns it"),
            ("staging-sync tick --account 111122223333", "one account alone"),
            ("POLICY=policy.wasm staging-sync tick --strict -v", "by this policy or not at all, with all log lines"),
        ],
    },
    Page {
        command: "apply",
        exit: &[
            (0, "the table is as planned"),
            (1, "some accounts no longer fit or failed, and the others are applied"),
            (2, "nothing could be applied"),
        ],
        variables: &[Tick, Aws, Log],
        examples: &[
            ("staging-sync apply plan.json --dry-run", "whether a plan of `tick --dry-run --out` still fits"),
            ("staging-sync apply plan.json", "exactly its changes"),
        ],
    },
    Page {
        command: "doctor",
        exit: &[(0, "no check failed; warnings are no failure"), (1, "one failed"), (2, "it couldn't run")],
        variables: &[Tick, Aws, Cache, Log],
        examples: &[
            ("staging-sync doctor", "whether ticks can run here, and what to do where they can't"),
            ("staging-sync doctor --account 111122223333 --json", "with the role of this account, for scripts"),
        ],
    },
    Page {
        command: "serve",
        exit: &[(0, "stopped"), (1, "stopped by a second signal in the middle of a tick"), (2, "could not be started")],
        variables: &[Listen, Tick, Aws, Cache, ServiceLog],
        examples: &[
            ("staging-sync serve --every 5m", "a tick every five minutes"),
            ("staging-sync serve --every 5m --log plain --listen 127.0.0.1:9090", "lines for people, another port"),
        ],
    },
    Page {
        command: "lab",
        exit: &[(0, "done"), (2, "could not be started; with COMMAND the exit code is that of COMMAND")],
        variables: &[Log],
        examples: &[
            ("staging-sync lab -- staging-sync tick", "one tick against a lab of its own"),
            (
                "staging-sync lab --env-file lab.env &",
                "a lab for other shells: `. ./lab.env` there, once the file is there",
            ),
        ],
    },
    Page {
        command: "bench",
        exit: &[(0, "done"), (2, "could not be done, or a tick made other calls than it needs")],
        variables: &[Policy, Cache, Log],
        examples: &[
            ("staging-sync bench --accounts 300 --latency-ms 100", "one size"),
            ("staging-sync bench --short", "in seconds, for the counts of calls"),
        ],
    },
    Page {
        command: "record",
        exit: &[(0, "done"), (1, "done but some account failed, or the replay differs"), (2, "could not be done")],
        variables: &[Tick, Aws, Cache, NoLog],
        examples: &[
            (
                "staging-sync record --out cases/mine --about 'A region is down'",
                "a case of what is now; writes nothing",
            ),
            ("staging-sync record --out cases/shared --anonymize --keep-names '^prod-'", "fit for others' eyes"),
        ],
    },
    Page {
        command: "simulate",
        exit: &[(0, "every tick gets to all accounts"), (1, "one doesn't"), (2, "it couldn't be simulated")],
        variables: &[Policy, Cache, NoLog],
        examples: &[
            ("staging-sync simulate --accounts 10000 --segments 4", "how long it takes, and what it costs"),
            (
                "staging-sync simulate --accounts 20000 --throttle sts=100 --fit",
                "what is enough for it, and costs least",
            ),
        ],
    },
    Page {
        command: "replay",
        exit: &[(0, "done"), (1, "done, and it asked for other than is on the tape"), (2, "could not be done")],
        variables: &[Policy, Cache, NoLog],
        examples: &[("staging-sync replay cases/seed-scenario --policy policy.wasm", "the summary of a case")],
    },
    Page {
        command: "test",
        exit: &[(0, "all as expected"), (1, "some differ or are broken"), (2, "for some it couldn't be told")],
        variables: &[Policy, Cache, NoLog],
        examples: &[
            ("staging-sync test cases --policy policy.wasm", "whether all cases come out as they say"),
            ("staging-sync test cases --policy policy.wasm --bless", "takes what comes out as expected"),
            ("staging-sync test cases --policy policy.wasm --faults --junit faults.xml", "with every fault, for CI"),
        ],
    },
    Page {
        command: "compare",
        exit: &[(0, "nothing differs"), (1, "something does"), (2, "a case or a policy can't be read")],
        variables: &[Cache, NoLog],
        examples: &[
            ("staging-sync compare policy.wasm policy.wasm cases", "nothing, for these are the same"),
            ("staging-sync compare old.wasm new.wasm cases --format markdown", "for a pull request"),
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
                "for bash with the package bash-completion, from the next shell on",
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
            ("staging-sync man --dir ~/.local/share/man/man1", "all pages, where man finds them"),
        ],
    },
    Page {
        command: "policy",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy inspect policy.wasm", "what a policy is, and what it may do")],
    },
    Page {
        command: "policy new",
        exit: DONE,
        variables: &[],
        examples: &[
            ("staging-sync policy new my-policy", "a project in Rust"),
            ("staging-sync policy new my-python-policy --lang python", "or in JavaScript, or in Python"),
        ],
    },
    Page {
        command: "policy build",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy build my-policy", "makes my-policy/policy.wasm")],
    },
    Page {
        command: "policy inspect",
        exit: &[(0, "this host can run it"), (1, "it can't"), (2, "it isn't WebAssembly or couldn't be read")],
        variables: &[Host, Cache, Log],
        examples: &[
            ("staging-sync policy inspect policy.wasm", "what it is, and what it may do"),
            ("staging-sync policy inspect policy.wasm --iam", "the least IAM policies that it needs"),
        ],
    },
    Page {
        command: "policy verify",
        exit: &[(0, "all invariants hold"), (1, "one is broken"), (2, "it couldn't be told")],
        variables: &[Cache, NoLog],
        examples: &[
            ("staging-sync policy verify policy.wasm --staging-accounts 1", "in the smallest worlds"),
            ("staging-sync policy verify policy.wasm --settings '{\"removals\": \"own\"}'", "with these settings"),
            (
                "staging-sync policy verify policy.wasm --staging-accounts 1 --cases cases --invariants verify.json",
                "with the names of these cases, and without what doesn't apply",
            ),
        ],
    },
    Page {
        command: "policy measure",
        exit: DONE,
        variables: &[Cache, Log],
        examples: &[("staging-sync policy measure policy.wasm --accounts 10", "size, compile time, time an account")],
    },
    Page {
        command: "policy encode",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy encode policy.core.wasm --out policy.wasm", "a component of a core module")],
    },
    Page {
        command: "policy precompile",
        exit: DONE,
        variables: &[],
        examples: &[("staging-sync policy precompile policy.wasm", "makes policy.cwasm, for a package")],
    },
    Page {
        command: "policy publish",
        exit: CHANGED,
        variables: &[Host, Password, Aws, Cache, Log],
        examples: &[
            ("staging-sync policy publish policy.wasm --to live/policy.json", "in a folder"),
            (
                "staging-sync policy publish policy.wasm --to s3://policies/live/policy.json --settings settings.json --cases cases",
                "in a bucket, with its settings and with what it must decide",
            ),
        ],
    },
    Page {
        command: "policy status",
        exit: &[(0, "a host would take all of them"), (1, "it would reject one"), (2, "it couldn't be read")],
        variables: &[Host, Aws, Cache, Log],
        examples: &[("staging-sync policy status s3://policies/live/policy.json", "what a host would do with it")],
    },
    Page {
        command: "policy log",
        exit: DONE,
        variables: &[Aws, Log],
        examples: &[
            ("staging-sync policy log s3://policies/live/policy.json", "who changed what, when, and on what proof"),
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
        examples: &[("staging-sync policy promote s3://policies/live/policy.json", "the shadow decides")],
    },
    Page {
        command: "policy withdraw",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[("staging-sync policy withdraw s3://policies/live/policy.json", "no shadow any more")],
    },
    Page {
        command: "policy rollback",
        exit: CHANGED,
        variables: &[Host, Aws, Cache, Log],
        examples: &[
            ("staging-sync policy rollback s3://policies/live/policy.json", "the previous one decides again"),
            (
                "staging-sync policy rollback s3://policies/live/policy.json --to-change 1 --dry-run",
                "what it would be as of an earlier change",
            ),
        ],
    },
    Page {
        command: "policy keygen",
        exit: DONE,
        variables: &[Password],
        examples: &[("staging-sync policy keygen --out policy", "policy.key to sign with, policy.pub for hosts")],
    },
];
