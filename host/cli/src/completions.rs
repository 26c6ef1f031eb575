//! `staging-sync completions`: scripts that make a shell complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Exit;

#[derive(Args)]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "staging-sync", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Exit::Success
}
