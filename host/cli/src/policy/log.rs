//! `staging-sync policy log`: the changes of a manifest, the newest first.

use clap::Args;
use serde_json::{Value, json};
use staging_sync_runtime::activation::history::{self, Record};
use staging_sync_runtime::activation::manifest::Entry;
use staging_sync_runtime::activation::publish::{self, Found};
use staging_sync_runtime::text::printable;

use super::source;
use crate::{CommandError, Exit, table};

#[derive(Args)]
pub struct Arguments {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// Print the changes as JSON, each with the complete manifest after it.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let at = source::locate(&arguments.manifest).await?;
    let found = publish::find(&at).await?;
    let history = history::read(&at).await?;
    let last = history.records().last();
    match (&found, last) {
        (Found::Nothing, None) => return Err(CommandError(format!("{at}: the manifest doesn't exist"))),
        (Found::Nothing, Some(_)) => eprintln!("{at}: the manifest was deleted; its history remains"),
        (Found::Broken(broken), _) => eprintln!("{at}: the manifest can't be read now: {}", broken.error),
        (Found::Manifest(stored), _) if last.is_none_or(|last| last.manifest != stored.manifest) => {
            let title = source::title(&stored.manifest.active);
            eprintln!("{at}: was changed later without a record; {title} is active now");
        }
        (Found::Manifest(_), _) => {}
    }
    if arguments.json {
        let changes: Vec<Value> = history.records().iter().rev().map(Record::json).collect();
        println!("{}", table::json(&json!(changes)));
        return Ok(Exit::Success);
    }
    for record in history.records().iter().rev() {
        let change = &record.change;
        let (kind, entry) = (change.change.name(), &record.manifest.active);
        println!("{:4}  {}  {kind} by {}", record.number, printable(&change.at), printable(&change.by));
        println!("      active    {}", described(entry));
        if let Some(shadow) = &record.manifest.shadow {
            println!("      shadow    {}", described(shadow));
        }
        for (name, text) in [("proof", &change.proof), ("comment", &change.comment)] {
            if let Some(text) = text {
                println!("      {name:9} {}", printable(text));
            }
        }
    }
    Ok(Exit::Success)
}

/// An entry on one line: what, under which settings, with which cases, signed or not.
fn described(entry: &Entry) -> String {
    let settings = entry.settings.as_ref().map(|settings| json!(settings).to_string());
    let cases = entry.cases.as_ref().map(|cases| format!("cases {}", cases.sha256.get(..12).unwrap_or_default()));
    let text = format!(
        "{}, settings {}, {}, {}",
        source::title(entry),
        settings.as_deref().unwrap_or("of POLICY_SETTINGS"),
        cases.as_deref().unwrap_or("no cases"),
        if entry.signature.is_some() { "signed" } else { "unsigned" },
    );
    printable(&text)
}
