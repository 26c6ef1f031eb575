//! Tables of summaries and target accounts, for people.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use staging_sync_runtime::journal::PolicyRef;
use staging_sync_runtime::rollout::Evidence;
use staging_sync_runtime::text::{counted, printable};
use staging_sync_runtime::tick::{Report, Shadow};

/// A summary, or anything else, as indented JSON.
pub fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A tick: one row an account, the counts, who decided, and last what keeps the configured policy from it.
pub fn tick(report: &Report) -> String {
    let (rows, rejected) = (rows_and_counts(&report.summary), rejected(&report.summary));
    let rollout = report.rollout.as_ref().map(|(step, evidence)| rollout(*step, evidence)).unwrap_or_default();
    format!("{rows}{}{}{rollout}{rejected}", policy(&report.policy), shadow(&report.shadow))
}

/// A tick's summary: one row an account, then the counts.
pub fn summary(summary: &Value) -> String {
    rows_and_counts(summary) + &rejected(summary)
}

fn rows_and_counts(summary: &Value) -> String {
    let mut table = table(&["ACCOUNT", "NAME", "STATUS", "WHAT"]);
    for detail in summary["details"].as_array().into_iter().flatten() {
        table.add_row([
            text(&detail["accountId"]),
            text(&detail["accountName"]),
            text(&detail["status"]),
            what(detail),
        ]);
    }
    // Each account once, unlike the summary's own counts, which the platform's other summaries have as well.
    let number = |name: &str| summary[name].as_u64().unwrap_or_default();
    let updated = number("accountsUpdated");
    let unchanged = number("accountsProcessed").saturating_sub(updated);
    let counts = [
        ("updated", updated),
        ("unchanged", unchanged),
        ("skipped", number("accountsSkipped").saturating_sub(unchanged)),
        ("failed", number("accountsFailed")),
    ];
    let mut counts: Vec<String> = counts.iter().map(|(status, number)| format!("{number} {status}")).collect();
    if summary["accountsProcessed"].is_null() {
        // Another policy's summary has counts of its own.
        let own = summary.as_object().into_iter().flatten().filter(|(name, _)| *name != "totalAccounts");
        counts = own.filter_map(|(name, value)| Some(format!("{} {}", printable(name), value.as_u64()?))).collect();
    }
    let total = number("totalAccounts");
    let dry_run = if summary["dryRun"] == true { ", dry run: nothing was written" } else { "" };
    format!(
        "{table}\n{} at {}: {}{dry_run}",
        counted(usize::try_from(total).unwrap_or(usize::MAX), "account"),
        text(&summary["timestamp"]),
        counts.join(", "),
    )
}

/// Why the configured policy isn't followed, and by whom accounts were decided, as a line; nothing where it is.
fn rejected(summary: &Value) -> String {
    let rejected = &summary["policyRejected"];
    let Some(by) = rejected["decidedBy"].as_str() else { return String::new() };
    format!(
        "\npolicy rejected: {}: {}: {}; decided by {}",
        text(&rejected["source"]),
        text(&rejected["step"]),
        text(&rejected["reason"]),
        printable(by)
    )
}

/// Which policy decided, and with which settings, as a line.
fn policy(policy: &PolicyRef) -> String {
    let PolicyRef { name, version, digest, settings } = policy;
    let digest = digest.get(..12).unwrap_or(digest);
    let line = format!("{name} {version} (sha256 {digest}), settings {settings}");
    format!("\npolicy: {}", printable(&line))
}

/// What the policy in the shadow came to, as a line below the table; nothing where there's none.
fn shadow(shadow: &Shadow) -> String {
    let Some(policy) = &shadow.policy else { return String::new() };
    let Shadow { compared, different, failed, not_compared, .. } = shadow;
    let mut line = format!("\nshadow: {}: ", printable(policy));
    line += &match different {
        0 => format!("same decisions as the active policy for all {compared} accounts"),
        _ => {
            let more = if *different > shadow.differing.len() { ", ..." } else { "" };
            let named = printable(&shadow.differing.join(", "));
            format!("different decisions for {different} of {compared} accounts: {named}{more} (-v shows them)")
        }
    };
    for (count, what) in [(failed, "failed on"), (not_compared, "didn't compare")] {
        if *count > 0 {
            line += &format!(", {what} {count}");
        }
    }
    line
}

/// What the tick saw of a candidate under rollout, as a line below the table.
fn rollout(step: usize, evidence: &Evidence) -> String {
    let Evidence { compared, by_candidate, changes, different, failed, not_measured, .. } = evidence;
    format!(
        "\nrollout: step {step}: {compared} decisions compared, {by_candidate} of them by the candidate; {changes} changes, \
         {different} differences, {failed} failures, {not_measured} not measured"
    )
}

/// The table of target accounts, from plain items.
pub fn targets(items: &[Value]) -> String {
    let mut table = table(&["ACCOUNT", "NAME", "STAGING ACCOUNTS", "UPDATED AT"]);
    for item in items {
        let staging: Vec<String> =
            item["stagingAccounts"].as_array().into_iter().flatten().map(|entry| text(&entry["accountId"])).collect();
        table.add_row([text(&item["accountId"]), text(&item["accountName"]), ids(&staging), text(&item["updatedAt"])]);
    }
    table.to_string()
}

/// An empty table as all of ours look.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    if table.width().is_none() {
        table.set_width(120);
    }
    table
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// A list of ids, shortened where there are many.
fn ids(ids: &[String]) -> String {
    match ids {
        [first, .., last] if ids.len() > 4 => format!("{first} … {last} ({} in all)", ids.len()),
        _ => ids.join(" "),
    }
}

/// The part of a detail that depends on its status, on one line.
fn what(detail: &Value) -> String {
    let list = |name: &str| detail[name].as_array().map(|list| list.iter().map(text).collect::<Vec<_>>());
    let mut parts = Vec::new();
    for (name, sign) in [("added", "+"), ("removed", "-")] {
        if let Some(list) = list(name).filter(|list| !list.is_empty()) {
            parts.push(format!("{sign}{}", ids(&list)));
        }
    }
    for (name, label) in [("totalStaging", "staging account"), ("stagingAccountCount", "staging account")] {
        if !detail[name].is_null() {
            let plural = if detail[name] == 1 { "" } else { "s" };
            parts.push(format!("{} {label}{plural}", text(&detail[name])));
        }
    }
    for name in ["reason", "error"] {
        if !detail[name].is_null() {
            parts.push(text(&detail[name]));
        }
    }
    if let Some(regions) = detail["incompleteRegions"].as_array().filter(|_| detail["error"].is_null()) {
        let regions: Vec<String> =
            regions.iter().map(|at| format!("{} in {}", text(&at["code"]), text(&at["region"]))).collect();
        parts.push(format!("incomplete: {}", regions.join(", ")));
    }
    if let Some(held) = list("heldRemovals") {
        parts.push(format!("held back: -{}", ids(&held)));
    }
    parts.join(", ")
}
