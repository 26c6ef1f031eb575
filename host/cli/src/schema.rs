//! `staging-sync schema`: JSON schemas of the files that people and programs write, for editors and for other tools.

use clap::{Args, ValueEnum};

use crate::Exit;

#[derive(Args)]
pub struct Arguments {
    /// What the schema is of.
    kind: Kind,
}

/// A kind of file.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// What `lab` and `demo` serve.
    Fleet,
    /// `tape.json` of a case.
    Tape,
    /// What starts a tick: the Lambda's payload, `--event`, `event.json` of a case.
    Event,
    /// What a tick answers, and `summary.json` of a case.
    Summary,
    /// What `tick --dry-run --out` writes, and `apply` takes.
    Plan,
    /// The manifest of policies.
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
