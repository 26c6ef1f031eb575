//! Output of the program: stdout and stderr, either of which may end before the program does.
//!
//! A closed pipe ends quietly, as in `staging-sync tick --json | head -1`: what was to be done is done, and the exit code
//! says how it went. Whatever else keeps stdout from being written, like a full disk, is an error of the program.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

/// The first error of stdout that isn't a closed pipe's.
static FAILED: Mutex<Option<String>> = Mutex::new(None);

/// Writes to stdout; std's macro of this name panics where that can't be done.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::stdout(format_args!($($text)*), "") };
}

/// Writes a line to stdout.
macro_rules! println {
    () => { $crate::output::stdout(format_args!(""), "\n") };
    ($($text:tt)*) => { $crate::output::stdout(format_args!($($text)*), "\n") };
}

/// Writes a line to stderr.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::stderr(format_args!($($text)*)) };
}

pub fn stdout(text: fmt::Arguments<'_>, end: &str) {
    let mut stdout = io::stdout().lock();
    note(write!(stdout, "{text}{end}"));
}

pub fn stderr(text: fmt::Arguments<'_>) {
    // Whatever a table, AWS or a policy said of it; and there's nowhere to say that it can't be written.
    let _ = writeln!(io::stderr().lock(), "{}", printable_lines(&text.to_string()));
}

/// A text on one line of a terminal: characters that would move the cursor, change what follows or turn its direction
/// are shown as their code points.
pub fn printable(text: &str) -> String {
    escape(text, |_| false)
}

/// The same with line ends and tabs left as they are.
pub fn printable_lines(text: &str) -> String {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

fn escape(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if kept(character) || !(character.is_control() || is_invisible(character)) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_unicode());
        }
    }
    escaped
}

/// Marks of direction, joiners and tags: Unicode's default ignorable characters that can hide or reorder text.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_shown_instead() {
        assert_eq!(printable("Prod\u{1b}[2J\r\n\u{9b}x"), "Prod\\u{1b}[2J\\u{d}\\u{a}\\u{9b}x");
        assert_eq!(printable("a\u{202e}b\u{2066}c"), "a\\u{202e}b\\u{2066}c");
        assert_eq!(printable_lines("Zürich 東京\n\tüber"), "Zürich 東京\n\tüber");
    }
}
