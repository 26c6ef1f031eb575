//! The policies: which decide, and what is published beside them.

use maud::{Markup, html};
use staging_sync_workbench::policy_status::PolicyStatus;

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
                Some(rollout) => pre tabindex="0" { (parts::text(&serde_json::to_string_pretty(rollout).unwrap_or_default())) },
                None => p.quiet { "No rollout is under way." },
            }
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
