//! `staging-sync schema`: JSON schemas of the files that people and programs write, for editors and other tools.

use clap::{Args, ValueEnum};

use crate::Exit;

#[derive(Args)]
pub struct Arguments {
    /// The kind of file.
    kind: Kind,
}

/// A kind of file.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// The fleet that `lab` and `demo` serve.
    Fleet,
    /// The `tape.json` of a case.
    Tape,
    /// The event that starts a tick: the Lambda function's payload, `--event`, the `event.json` of a case.
    Event,
    /// The summary that a tick returns: the `summary.json` of a case.
    Summary,
    /// The plan that `tick --dry-run --out` writes and `apply` reads.
    Plan,
    /// The manifest that names the active policy.
    Manifest,
}

impl Kind {
    /// The schema.
    fn text(self) -> &'static str {
        match self {
            Self::Fleet => include_str!("../schemas/fleet.schema.json"),
            Self::Tape => include_str!("../schemas/tape.schema.json"),
            Self::Event => include_str!("../schemas/event.schema.json"),
            Self::Summary => include_str!("../schemas/summary.schema.json"),
            Self::Plan => include_str!("../schemas/plan.schema.json"),
            Self::Manifest => include_str!("../../runtime/policy-manifest.schema.json"),
        }
    }
}

pub fn run(arguments: &Arguments) -> Exit {
    print!("{}", arguments.kind.text());
    Exit::Success
}
