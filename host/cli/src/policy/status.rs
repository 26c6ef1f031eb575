//! `staging-sync policy status`: the policies of a manifest, and whether a host would accept them.

use clap::Args;
use serde_json::json;
use staging_sync_runtime::activation::manifest::{Entry, Manifest};
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::rollout::Document;
use staging_sync_runtime::store::location::Location;
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
        let rollout = match role {
            "shadow" => rollout(&at, &stored.manifest, entry).await,
            _ => None,
        };
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
            if let Some(document) = &rollout {
                let (state, step, steps) = (document.state.name(), document.step, document.rollout.steps.len());
                println!("{:9} in a rollout: {state}, step {step} of {steps} (see `policy rollout status`)", "");
            }
            match &status.rejected {
                None => println!("{:9} a host accepts it", ""),
                Some(at) => println!("{:9} a host REJECTS it at {}: {}", "", at.step, at.reason),
            }
        }
        let mut value = json!(status);
        if let Some(document) = &rollout {
            value["rollout"] = json!({"state": document.state.name(), "step": document.step});
        }
        found.insert(role.into(), value);
    }
    if arguments.json {
        println!("{}", table::json(&json!(found)));
    }
    Ok(exit)
}

/// The rollout of a manifest's shadow policy, if it's under one and that can be read.
async fn rollout(at: &Location, manifest: &Manifest, shadow: &Entry) -> Option<Document> {
    let document = rollouts::read(at, &shadow.sha256).await.ok().flatten()?.document;
    document.is_of(&(&manifest.active).into(), &shadow.into()).then_some(document)
}
