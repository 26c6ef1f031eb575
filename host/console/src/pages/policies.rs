//! The policies: which decide, and what is published beside them.

use maud::{Markup, html};
use serde_json::Value;
use staging_sync_workbench::policy_status::PolicyStatus;
use staging_sync_workbench::rollout_status::decision;

use super::{layout, parts};
use crate::console::Console;
use crate::policies::{Policies, Source};

/// The page.
pub fn policies(console: &Console, policies: &Policies) -> Markup {
    let content = html! {
        (parts::notices(&policies.notices))
        section aria-labelledby="in-use" {
            h2 id="in-use" { "In use" }
            @if policies.in_use.is_empty() { p.quiet { "No tick has ended yet, so no policy has decided anything." } }
            @for used in &policies.in_use {
                dl {
                    dt { "Operation" } dd { (parts::text(&used.operation)) }
                    dt { "Policy of the last tick" } dd { (parts::text(&format!("{} {}", used.policy.name, used.policy.version))) }
                    dt { "SHA-256" } dd { code { (parts::text(&used.policy.digest)) } }
                    dt { "Settings" } dd { code { (parts::text(&used.policy.settings.to_string())) } }
                }
            }
        }
        @for rejected in &policies.rejected {
            div.notice role="note" {
                p { (parts::status("rejected")) " " (parts::text(&rejected.source)) " isn't followed. Step: "
                    strong { (rejected.rejected.step) } ". " (parts::text(&rejected.rejected.reason)) }
            }
        }
        @if policies.sources.is_empty() {
            p { "What is published isn't shown: name the manifest in " code { "POLICY" } "." }
        }
        @for source in &policies.sources { (one_source(source)) }
    };
    layout::page(console, "Policies", "/policies", &content)
}

fn one_source(source: &Source) -> Markup {
    let parts_of_it = ["active", "previous", "shadow"];
    let others = source.policies.keys().map(String::as_str).filter(|part| !parts_of_it.contains(part));
    html! {
        section {
            h2 { "Published at " code { (parts::text(&source.location)) } }
            @if let Some(problem) = &source.problem {
                div.notice role="note" { p { (parts::status("failed")) " " (parts::text(problem)) } }
            } @else if source.policies.is_empty() {
                p { "A policy without a manifest: it has no previous one and no shadow." }
            }
            @if !source.policies.is_empty() {
                div.cards {
                    @for part in parts_of_it.into_iter().chain(others) {
                        article {
                            h3 { (parts::text(part)) }
                            @match source.policies.get(part) {
                                Some(policy) => (one_policy(policy)),
                                None => p.quiet { "none" },
                            }
                        }
                    }
                }
            }
            h3 { "Rollout" }
            @match &source.rollout {
                Some(rollout) => (one_rollout(rollout)),
                None => p.quiet { "No rollout is under way." },
            }
        }
    }
}

/// A rollout, as `staging-sync policy rollout status --json` tells it.
fn one_rollout(rollout: &Value) -> Markup {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    let columns = [
        ("Step", "step", None),
        ("Share", "share", None),
        ("Verdict", "verdict", None),
        ("Clean ticks", "cleanTicks", Some("ticks")),
        ("Changes seen", "changes", Some("minChanges")),
        ("Compared", "compared", None),
        ("By the candidate", "byCandidate", None),
        ("Differences", "differences", None),
        ("Failures", "failures", None),
        ("Not measured", "notMeasured", None),
    ];
    let rows = |name: &str| rollout[name].as_array().cloned().unwrap_or_default();
    if let Some(problem) = rollout["problem"].as_str() {
        return html! { p { "Its state can't be read, so the active policy decides every account: " (parts::text(problem)) } };
    }
    html! {
        p {
            strong { (parts::text(&text(&rollout["state"]))) } ", step " (text(&rollout["step"])) " of " (rows("steps").len())
            ", since " (parts::text(&text(&rollout["since"]))) " by " (parts::text(&text(&rollout["by"])))
            @if let Some(reason) = rollout["reason"].as_str() { ": " (parts::text(reason)) }
            @if let Some(why) = rollout["superseded"].as_str() { ". It isn't in force: " (parts::text(why)) }
        }
        (parts::table("Steps of the rollout", &html! {
            thead { tr { @for (name, ..) in columns { th scope="col" { (name) } } } }
            tbody {
                @for step in rows("steps") {
                    tr {
                        @for (_, member, of) in columns {
                            td { (parts::text(&text(&step[member]))) @if let Some(of) = of { " of " (text(&step[of])) } }
                        }
                    }
                }
            }
        }))
        @if !rows("differences").is_empty() {
            (parts::table("Differences", &html! {
                thead { tr { th scope="col" { "Step" } th scope="col" { "Account" } th scope="col" { "Active" } th scope="col" { "Candidate" } } }
                tbody {
                    @for difference in rows("differences") {
                        tr {
                            td { (text(&difference["step"])) }
                            td { (parts::account(&text(&difference["accountId"]))) }
                            td { (parts::short(&decision(&difference["active"]))) }
                            td { (parts::short(&decision(&difference["candidate"]))) }
                        }
                    }
                }
            }))
        }
    }
}

fn one_policy(policy: &PolicyStatus) -> Markup {
    let entry = &policy.entry;
    html! {
        p { strong { (parts::text(&entry.name)) " " (parts::text(&entry.version)) } }
        dl {
            dt { "SHA-256" } dd { code { (parts::text(&entry.sha256)) } }
            dt { "Settings" } dd {
                @match &entry.settings {
                    Some(settings) => code { (parts::text(&serde_json::Value::Object(settings.clone()).to_string())) },
                    None => "of POLICY_SETTINGS",
                }
            }
            dt { "Cases" } dd { @match &entry.cases { Some(cases) => (parts::text(&cases.file)), None => "none" } }
            dt { "Signature" } dd { (policy.signature_state) }
            @if let Some(operations) = &policy.operations { dt { "Serves" } dd { (parts::text(&operations.join(", "))) } }
            dt { "Accepted" } dd {
                @match (&policy.rejected, &policy.operations) {
                    (Some(rejected), _) => { (parts::status("rejected")) " Step: " strong { (rejected.step) } ". " (parts::text(&rejected.reason)) },
                    (None, Some(_)) => "yes",
                    (None, None) => span.quiet { "not known here" },
                }
            }
        }
    }
}
