//! The reference of commands, `host/cli/COMMANDS.md`, is what `--help` says: `BLESS=1` writes it anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::examples::{commands, help};

#[tokio::test]
async fn the_reference_of_commands_is_what_the_help_says() {
    let mut all = Vec::new();
    commands(&[], &mut all).await;
    let mut text = String::from(
        "# Commands\n\nWhat `staging-sync COMMAND --help` prints. `BLESS=1 cargo test -p staging-sync --test cli` writes this \
         page.\n",
    );
    for path in &all {
        let name = ["staging-sync"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
        write!(text, "\n## {name}\n\n```\n{}\n```\n", help(path).await.trim_end()).expect("text");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMMANDS.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &text).expect("a writable page");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = text.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert!(found == text, "host/cli/COMMANDS.md isn't what the help says; first: {differs:?}");
}
