//! `staging-sync policy status`: the policies of a manifest, and whether a host would accept them.

use clap::Args;
use serde_json::json;
use staging_sync_runtime::activation::Revision;
use staging_sync_runtime::activation::manifest::{Entry, Manifest};
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::rollout::Document;
use staging_sync_runtime::store::location::Location;

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
        let verdict = admission.activate(&at, Revision::Listed(Box::new(entry.clone())), &[]).await;
        let signature = match (&entry.signature, &admission.key) {
            (None, _) => "unsigned",
            (Some(_), None) => "signed, not verified because POLICY_PUBLIC_KEY isn't set",
            (Some(_), Some(_)) => match admission.signed(entry) {
                Ok(()) => "signed, verified",
                Err(_) => "signed, NOT verified",
            },
        };
        if verdict.is_err() {
            exit = Exit::Failed;
        }
        let operations = verdict.as_ref().ok().map(|release| {
            let served = release.policy().info().operations.iter();
            served.map(|operation| operation.name.clone()).collect::<Vec<_>>()
        });
        let verdict = verdict.err();
        let rollout = match role {
            "shadow" => rollout(&at, &stored.manifest, entry).await,
            _ => None,
        };
        if !arguments.json {
            println!("{role:9} {} {}, sha256 {}", entry.name, entry.version, entry.sha256);
            if let Some(operations) = &operations {
                println!("{:9} serves {}", "", operations.join(", "));
            }
            let settings = entry.settings.as_ref().map(|settings| json!(settings).to_string());
            println!("{:9} settings {}", "", settings.as_deref().unwrap_or("of POLICY_SETTINGS"));
            let cases = entry.cases.as_ref().map(|cases| format!("must pass {}", cases.file));
            println!("{:9} {}", "", cases.as_deref().unwrap_or("has no cases of its own"));
            println!("{:9} {signature}", "");
            if let Some(document) = &rollout {
                let (state, step, steps) = (document.state.name(), document.step, document.rollout.steps.len());
                println!("{:9} in a rollout: {state}, step {step} of {steps} (see `policy rollout status`)", "");
            }
            match &verdict {
                None => println!("{:9} a host accepts it", ""),
                Some(rejected) => println!("{:9} a host REJECTS it at {rejected}", ""),
            }
        }
        let mut value = json!(entry);
        value["operations"] = json!(operations);
        value["signatureState"] = signature.into();
        value["rejected"] = json!(verdict.map(|it| json!({"step": it.step.name(), "reason": it.reason})));
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
