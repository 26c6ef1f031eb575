//! The program's output: stdout and stderr, either of which may be closed before the program ends.
//!
//! A closed pipe ends quietly, as in `staging-sync tick --json | head -1`: what was to be done is done, and the exit code
//! says how it went. Whatever else keeps stdout from being written, like a full disk, is an error of the program.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use staging_sync_runtime::text::printable_lines;

/// The first error of stdout that isn't a closed pipe's.
static FAILED: Mutex<Option<String>> = Mutex::new(None);

/// Whether nothing but errors goes to stderr.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Writes to stdout; std's macro of this name panics where that can't be done.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::stdout(format_args!($($text)*), "") };
}

/// Writes a line to stdout.
macro_rules! println {
    () => { $crate::output::stdout(format_args!(""), "\n") };
    ($($text:tt)*) => { $crate::output::stdout(format_args!($($text)*), "\n") };
}

/// Writes a line to stderr that is no error: nothing with `-q`.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::say(format_args!($($text)*)) };
}

/// Writes a line to stderr.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::stderr(format_args!($($text)*)) };
}

pub fn stdout(text: fmt::Arguments<'_>, end: &str) {
    let mut stdout = io::stdout().lock();
    note(write!(stdout, "{text}{end}"));
}

/// With `-q`: nothing but errors goes to stderr.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// A bar that says how many of something are done, on a terminal; hidden with `-q`.
pub fn progress_bar(what: &str) -> ProgressBar {
    let quiet = QUIET.load(Ordering::Relaxed);
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template(&format!("{{elapsed:>4}} {{bar:30}} {{pos}}/{{len}} {what}")) {
        bar.set_style(style);
    }
    bar
}

pub fn say(text: fmt::Arguments<'_>) {
    if !QUIET.load(Ordering::Relaxed) {
        stderr(text);
    }
}

pub fn stderr(text: fmt::Arguments<'_>) {
    // Whatever a table, AWS or a policy said of it; and there's nowhere to say that it can't be written.
    let _ = writeln!(io::stderr().lock(), "{}", printable_lines(&text.to_string()));
}

/// Writes what is left, and says why stdout couldn't be written, if it couldn't.
pub fn finish() -> Option<String> {
    note(io::stdout().lock().flush());
    FAILED.lock().ok().and_then(|mut failed| failed.take())
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut failed) = FAILED.lock()
    {
        failed.get_or_insert_with(|| error.to_string());
    }
}
