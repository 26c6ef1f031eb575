//! `staging-sync man`: the manual, a page for each command.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::{Args, Command, CommandFactory};
use roff::{Roff, bold, roman};

use crate::{CommandError, Exit, help};

#[derive(Args)]
pub struct Arguments {
    /// The command whose page to show, such as `policy publish`. Default: the page of the program.
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write the pages of all commands to this directory instead.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    // As in the pages of the directory.
    let mut program = crate::Arguments::command().disable_help_subcommand(true);
    program.build();
    if let Some(dir) = &arguments.dir {
        let written = std::fs::create_dir_all(dir).and_then(|()| write_all(&program, "", dir));
        written.map_err(|error| CommandError(format!("man: {}: {error}", dir.display())))?;
        return Ok(Exit::Success);
    }
    let mut command = &program;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            CommandError(format!("man: {} has no command {name:?}: expected {known}", command.get_name()))
        })?;
    }
    let page = page(command, &arguments.command.join(" ")).map_err(|error| CommandError(format!("man: {error}")))?;
    if !std::io::stdout().is_terminal() {
        print!("{}", String::from_utf8_lossy(&page));
    } else if !piped(Process::new("man").args(["-l", "-"]), &page) {
        show_plain(&arguments.command);
    }
    Ok(Exit::Success)
}

/// Shows the help that says the same, where there's no `man` that could show the page.
fn show_plain(path: &[String]) {
    let mut documented = help::documented(crate::Arguments::command());
    documented.build();
    let command = path.iter().try_fold(&mut documented, |command, name| command.find_subcommand_mut(name));
    let text = command.map(|command| command.render_long_help().to_string()).unwrap_or_default();
    let mut pagers = ["MANPAGER", "PAGER"].into_iter().filter_map(|name| std::env::var(name).ok());
    let pager = pagers.find(|pager| !pager.trim().is_empty());
    if !pager.is_some_and(|pager| piped(Process::new("sh").args(["-c", &pager]), text.as_bytes())) {
        print!("{text}");
    }
}

/// Runs a program that reads a text and shows it; whether it did.
fn piped(program: &mut Process, text: &[u8]) -> bool {
    let Ok(mut child) = program.stdin(Stdio::piped()).stderr(Stdio::null()).spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(text); // who has seen enough stops reading
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Writes the pages of a command and of those in it.
fn write_all(command: &Command, path: &str, dir: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_all(below, format!("{path} {}", below.get_name()).trim(), dir)?;
    }
    let file = clap_mangen::Man::new(command.clone()).get_filename();
    std::fs::write(dir.join(file), page(command, path)?)
}

/// The page of a command.
fn page(command: &Command, path: &str) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    let Some(page) = help::page(path) else { return Ok(text) };
    let mut roff = Roff::new();
    let mut section = |title: &str, entries: Vec<(String, String)>| {
        if !entries.is_empty() {
            roff.control("SH", [title]);
        }
        for (name, about) in entries {
            roff.control("TP", []).text([bold(name)]).text([roman(about)]);
        }
    };
    section("EXIT STATUS", page.exit.iter().map(|(code, about)| (code.to_string(), (*about).to_owned())).collect());
    let environment = page.environment();
    section("ENVIRONMENT", environment.into_iter().map(|(name, about)| (name.to_owned(), about)).collect());
    let examples = page.examples.iter().map(|(line, about)| ((*line).to_owned(), (*about).to_owned()));
    section("EXAMPLES", examples.collect());
    text.extend(roff.to_roff().into_bytes());
    Ok(text)
}
