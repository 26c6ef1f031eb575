//! `staging-sync man`: the manual, a page for each command.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::{Exit, Unable};

#[derive(Args)]
pub struct Arguments {
    /// Writes the page of every command to this directory, instead of the main one to stdout.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Unable> {
    let command = crate::Arguments::command().disable_help_subcommand(true); // as in the pages of the directory
    let Some(dir) = &arguments.dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| Unable(format!("man: {error}")))?;
        print!("{}", String::from_utf8_lossy(&page));
        return Ok(Exit::Well);
    };
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map_err(|error| Unable(format!("man: {}: {error}", dir.display())))?;
    Ok(Exit::Well)
}
