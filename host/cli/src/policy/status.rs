//! `staging-sync policy status`: the policies of a manifest, and whether a host would accept them.

use clap::Args;
use serde_json::json;
use staging_sync_workbench::policy_status::status;

use super::source;
use crate::{CommandError, Exit, table};

#[derive(Args)]
pub struct Arguments {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// The public key that hosts verify policies with, or its file.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let admission = source::admission(arguments.public_key.as_deref())?;
    let mut exit = Exit::Success;
    let mut found = serde_json::Map::new();
    for (path, entry) in stored.manifest.entries() {
        let role = path.strip_prefix("$.").unwrap_or("active");
        let status = status(&at, entry, &admission).await;
        if status.rejected.is_some() {
            exit = Exit::Failed;
        }
        if !arguments.json {
            println!("{role:9} {} {}, sha256 {}", entry.name, entry.version, entry.sha256);
            if let Some(operations) = &status.operations {
                println!("{:9} serves {}", "", operations.join(", "));
            }
            let settings = entry.settings.as_ref().map(|settings| json!(settings).to_string());
            println!("{:9} settings {}", "", settings.as_deref().unwrap_or("of POLICY_SETTINGS"));
            let cases = entry.cases.as_ref().map(|cases| format!("must pass {}", cases.file));
            println!("{:9} {}", "", cases.as_deref().unwrap_or("has no cases of its own"));
            println!("{:9} {}", "", status.signature_state);
            match &status.rejected {
                None => println!("{:9} a host accepts it", ""),
                Some(at) => println!("{:9} a host REJECTS it at {}: {}", "", at.step, at.reason),
            }
        }
        found.insert(role.into(), json!(status));
    }
    if arguments.json {
        println!("{}", table::json(&json!(found)));
    }
    Ok(exit)
}
