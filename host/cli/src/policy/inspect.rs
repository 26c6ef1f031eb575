//! `staging-sync policy inspect`: a policy's identity, permissions and settings, and whether this host can run it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use staging_sync_runtime::activation::Revision;
use staging_sync_runtime::policy::memory::memory_size;
use staging_sync_runtime::policy::{self, Cache, Candidate, ComponentType, Policy, contract, encode, released, sha256};

use super::{read, source};
use crate::{CommandError, Exit, table};

#[derive(Args)]
#[command(after_help = "A host in the same environment would judge it so: with POLICY_SETTINGS, POLICY_PUBLIC_KEY, \
    POLICY_FUEL and POLICY_MEMORY_MIB.")]
pub struct Arguments {
    /// The policy: a component, or a core module that is to become one.
    policy: PathBuf,
    /// Print everything as JSON, including the schema of the settings.
    #[arg(long)]
    json: bool,
    /// Print the least IAM policies that its imports need, as JSON.
    #[arg(long, conflicts_with = "json")]
    iam: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let bytes = read(&arguments.policy)?;
    let path = arguments.policy.display();
    let unable = |what: &str| CommandError(format!("{path}: {what}"));
    let core = encode::is_core_module(&bytes);
    let candidate = Candidate::compile_once(&bytes, &Cache::own()).map_err(|error| unable(&error.message))?;
    let shape = candidate.shape().clone();
    let key = std::env::var("POLICY_PUBLIC_KEY").ok();
    let admission = source::admission(key.as_deref())?;
    let at = source::locate(&path.to_string()).await?;
    // What a policy says of itself is told even if a host refuses it.
    let said = candidate.load(admission.limits).await.ok();
    let judged = admission.activate(&at, Revision::Plain(bytes.clone()), &[]).await;
    let used = [judged.as_ref().ok().map(|release| release.policy()), said.as_ref()].into_iter().flatten();
    let memory = used.map(Policy::most_memory).max();
    let info = said.as_ref().map(|policy| policy.info().clone());
    let refusal = judged.err();

    let access = policy::access(&shape);
    if arguments.iam {
        let assumes = !access.listings.is_empty();
        let iam = json!({
            "hostRole": access.host_role(),
            "targetAccountRole": assumes.then(|| access.target_role()),
            "sessionPolicy": assumes.then(|| access.session_policy()),
        });
        println!("{}", table::json(&iam));
    } else {
        let schema = info.as_ref().map(|info| {
            serde_json::from_str(&info.settings_schema).unwrap_or_else(|_| Value::from(info.settings_schema.clone()))
        });
        let operation = |served: &staging_sync_runtime::bindings::types::Operation| json!({"name": served.name, "title": served.title});
        let found = json!({
            "file": path.to_string(),
            "kind": if core { "core module" } else { "component" },
            "bytes": bytes.len(),
            "sha256": sha256(&bytes),
            "name": info.as_ref().map(|info| &info.name),
            "version": info.as_ref().map(|info| &info.version),
            "operations": info.as_ref().map(|info| info.operations.iter().map(operation).collect::<Vec<_>>()),
            "package": contract::package_of(&shape),
            "imports": imports(&shape),
            "exports": shape.exports,
            "actions": access.actions(),
            "settingsSchema": schema,
            "instanceMemoryBytes": memory,
            "memorySizeMB": memory.map(|memory| memory_size(bytes.len(), memory)),
            "runnable": refusal.is_none(),
            "refusal": refusal.as_ref().map(ToString::to_string),
        });
        println!("{}", if arguments.json { table::json(&found) } else { text(&found) });
    }
    let Some(refusal) = refusal else { return Ok(Exit::Success) };
    eprintln!("{path}: this host can't run it: {refusal}");
    Ok(Exit::Failed)
}

fn imports(shape: &ComponentType) -> Value {
    shape.imports.iter().map(|import| json!({"name": import.name, "functions": import.functions})).collect()
}

/// The same for people.
fn text(found: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words = |value: &Value, separator: &str| {
        value.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(separator)
    };
    let mut lines: Vec<(&str, String)> = Vec::new();
    if !found["name"].is_null() {
        lines.push(("policy", format!("{} {}", word(&found["name"]), word(&found["version"]))));
    }
    let size = found["bytes"].as_u64().unwrap_or_default().div_ceil(1024);
    lines.push(("file", format!("{}: a {} of {size} KiB", word(&found["file"]), word(&found["kind"]))));
    lines.push(("sha256", word(&found["sha256"])));
    let package = found["package"].as_str().unwrap_or("not one of staging-sync");
    let here =
        if package == contract::PACKAGE { String::new() } else { format!(" (this host has {})", released::VERSION) };
    lines.push(("package", format!("{package}{here}")));
    for served in found["operations"].as_array().into_iter().flatten() {
        lines.push(("operation", format!("{} ({})", word(&served["name"]), word(&served["title"]))));
    }
    for import in found["imports"].as_array().into_iter().flatten() {
        let functions = words(&import["functions"], ", ");
        let functions = if functions.is_empty() { "types only".into() } else { functions };
        lines.push(("imports", format!("{}: {functions}", word(&import["name"]))));
    }
    lines.push(("exports", words(&found["exports"], ", ")));
    lines.push(("AWS", format!("{} (--iam: as IAM policies)", words(&found["actions"], ", "))));
    for (name, setting) in found["settingsSchema"]["properties"].as_object().into_iter().flatten() {
        let default = setting.get("default").map(|default| format!(" (default {default})")).unwrap_or_default();
        let about = setting["description"].as_str().map(|about| format!(": {about}")).unwrap_or_default();
        lines.push(("setting", format!("{name}{default}{about}")));
    }
    if let Some(memory) = found["instanceMemoryBytes"].as_f64() {
        let (memory, size) = (memory / f64::from(1 << 20), &found["memorySizeMB"]);
        let memory = format!(
            "{memory:.1} MiB per instance; set MemorySize to {size} MB to compile and run it without waiting for memory"
        );
        lines.push(("memory", memory));
    }
    lines.push(("runs here", if found["runnable"] == true { "yes" } else { "no" }.into()));

    let mut text = String::new();
    let mut last = "";
    for (label, line) in &lines {
        let shown = if *label == last { "" } else { label };
        text += &format!("{shown:<11}{line}\n");
        last = label;
    }
    text.truncate(text.trim_end().len());
    text
}
