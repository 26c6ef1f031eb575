//! An account: its state, what DRS said, its changes, and the commands that change what happens to it.

use maud::{Markup, html};
use staging_sync_runtime::account::AccountId;
use staging_sync_workbench::explain::{Explanation, Observed};

use super::{layout, parts};
use crate::account::{Change, Detail};
use crate::console::Console;
use crate::query::Query;

/// The page.
pub fn account(console: &Console, detail: &Detail, query: &Query) -> Markup {
    let account = &detail.account;
    let title = account.account_name.as_deref().unwrap_or("Unknown");
    let content = html! {
        (parts::notices(&detail.notices))
        (state(detail))
        @if let Some(explanation) = &detail.explanation { (explained(explanation)) }
        (timeline(detail, query))
        @if AccountId::parse(&account.account_id).is_some() { (commands(&account.account_id, detail)) }
    };
    layout::page(console, title, "", &content)
}

fn state(detail: &Detail) -> Markup {
    let account = &detail.account;
    html! {
        dl {
            dt { "Account" } dd { code { (parts::text(&account.account_id)) } }
            dt { "Status" } dd {
                (parts::status(&account.status))
                @if let Some(reason) = &account.reason { " " (parts::text(reason)) }
            }
            dt { "Stored staging accounts" } dd {
                @match (&account.staging_accounts, account.staging_account_count) {
                    (Some(ids), _) => (parts::ids(ids)),
                    (None, Some(count)) => (count),
                    (None, None) => span.quiet { "not known" },
                }
            }
            @if !account.held_removals.is_empty() {
                dt { "Removals held back" } dd { (parts::ids(&account.held_removals)) }
            }
            @if !account.incomplete_regions.is_empty() {
                dt { "Regions that couldn't be read" }
                dd { @for region in &account.incomplete_regions { div { (parts::text(region)) } } }
            }
            @if let Some(change) = &account.last_change {
                dt { "Last change" } dd { (parts::tick(&change.tick, &change.at)) " UTC" }
            }
            @for freeze in &detail.freezes {
                dt { @if freeze.veto.is_some() { "Veto" } @else { "Frozen" } }
                dd {
                    @if let Some(until) = freeze.until { "until " (parts::time(&until.to_string())) " UTC, " }
                    "by " (parts::text(&freeze.author)) ": " (parts::text(&freeze.comment))
                    @if let Some(veto) = &freeze.veto {
                        @for id in &veto.add { div { "isn't added: " code { (id) } } }
                        @for id in &veto.remove { div { "isn't removed: " code { (id) } } }
                    }
                }
            }
        }
    }
}

fn explained(explanation: &Explanation) -> Markup {
    let told = &explanation.told;
    html! {
        section aria-labelledby="why" {
            h2 id="why" { "What happened at " (parts::tick(&told.tick, &told.at)) " UTC" }
            @for problem in explanation.record_problems.iter().chain(&explanation.tape_problem) {
                div.notice role="note" { p { (parts::status("failed")) " " (parts::text(problem)) } }
            }
            dl {
                dt { "Result" } dd {
                    (parts::status(&told.status)) " " (parts::changes(&told.added, &told.removed))
                    @if told.dry_run { "dry run: nothing was written " }
                    @for reason in [&told.reason, &told.error].into_iter().flatten() { (parts::text(reason)) " " }
                }
                @if !told.held_removals.is_empty() {
                    dt { "Held back" } dd {
                        (parts::ids(&told.held_removals))
                        @if let Some(reason) = &told.held_reason { ": " (parts::text(reason)) }
                    }
                }
                @if let Some(by) = &told.by { dt { "By" } dd { (parts::text(by)) } }
                @if let Some(comment) = &told.comment { dt { "Comment" } dd { (parts::text(comment)) } }
                @if let Some(policy) = &explanation.policy {
                    dt { "Settings" } dd { code { (parts::text(&policy.settings.to_string())) } }
                }
            }
            @match &explanation.observed {
                Some(observed) => (observations(observed)),
                None => @if explanation.author.is_none() && explanation.tape_problem.is_none() {
                    p.quiet { "The tape couldn't be kept, so what DRS said isn't known." }
                },
            }
        }
    }
}

fn observations(observed: &Observed) -> Markup {
    html! {
        h3 { "What DRS said, region by region" }
        @if observed.answers.is_empty() { p.quiet { "Nothing was asked." } } @else {
            (parts::table("What DRS said", &html! {
                thead { tr { th scope="col" { "Call" } th scope="col" { "Region" } th scope="col" { "Answer" } } }
                tbody { @for answer in &observed.answers { tr {
                    td { (parts::short(answer.call.split(' ').next().unwrap_or_default())) }
                    td { (parts::short(answer.region.as_deref().unwrap_or("–"))) }
                    td { @if answer.failed { (parts::status("failed")) " " } (parts::text(&answer.said)) }
                } } }
            }))
        }
        dl {
            @for stored in &observed.stored { dt { "Stored when it was read" } dd { (parts::ids(stored)) } }
            @for written in &observed.written {
                dt { "Written" } dd {
                    (parts::ids(&written.list)) ", if "
                    @match &written.condition {
                        Some(list) => { "the list was still " (parts::ids(list)) },
                        None => "there was no list yet",
                    }
                    @if let Some(error) = &written.error { div { (parts::status("failed")) " " (parts::text(error)) } }
                }
            }
        }
    }
}

fn timeline(detail: &Detail, query: &Query) -> Markup {
    let path = format!("/accounts/{}", parts::part(&detail.account.account_id));
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "Changes" }
            @if detail.timeline.is_empty() { p.quiet { "No changes are recorded." } }
            ol.timeline { @for change in &detail.timeline { li { (one_change(change, &path)) } } }
            @if let Some(older) = &detail.older {
                p { a href={ (path) (query.with(&["tick", "operation"], &[("before", Some(older))])) } { "Older changes" } }
            }
        }
    }
}

fn one_change(change: &Change, path: &str) -> Markup {
    let told = &change.told;
    html! {
        p {
            (parts::tick(&told.tick, &told.at)) " " (parts::changes(&told.added, &told.removed))
            a href={ (path) "?tick=" (parts::part(&told.tick)) "#why" } { "Explain " span.hidden { "the change of " (told.at) } }
        }
        @if let Some(by) = &told.by { p.reason { "by " (parts::short(by)) @if let Some(comment) = &told.comment { ": " (parts::short(comment)) } } }
        dl.lists {
            dt { "Before" } dd { @match &change.before { Some(ids) => (parts::ids(ids)), None => span.quiet { "not known" } } }
            dt { "After" } dd { @match &change.after { Some(ids) => (parts::ids(ids)), None => span.quiet { "not known" } } }
        }
    }
}

/// The commands that people would want now; the console itself changes nothing.
fn commands(id: &str, detail: &Detail) -> Markup {
    html! {
        section aria-labelledby="commands" {
            h2 id="commands" { "Commands" }
            p { "The console changes nothing. In a shell with " code { "JOURNAL" } " and credentials:" }
            dl.commands {
                @if !detail.timeline.is_empty() {
                    dt { "Take the last change back" }
                    dd { code.copy { "staging-sync undo --account " (id) " --comment \"WHY\"" } }
                }
                dt { "Keep it as it is for 4 hours" }
                dd { code.copy { "staging-sync freeze --account " (id) " --until 4h --comment \"WHY\"" } }
                @if detail.freezes.iter().any(|freeze| freeze.account == id) {
                    dt { "End its freezes and vetoes" } dd { code.copy { "staging-sync unfreeze --account " (id) } }
                }
                dt { "Explain its last record" } dd { code.copy { "staging-sync explain --account " (id) } }
                dt { "List its changes" } dd { code.copy { "staging-sync history --account " (id) " --since 90d" } }
            }
        }
    }
}
