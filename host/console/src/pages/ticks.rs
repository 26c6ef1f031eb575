//! Ticks over time as charts and as a table, and one tick.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::chart::{Chart, Series};
use super::{layout, parts};
use crate::console::{Console, SPANS, span};
use crate::query::Query;
use crate::ticks::{TickDetail, TickNumbers, Ticks};

/// How many rows the tables have.
const ROWS: usize = 200;

/// The page of ticks.
pub fn ticks(console: &Console, ticks: &Ticks, query: &Query) -> Markup {
    let (chosen, name, _) = span(query);
    let content = html! {
        (parts::notices(&ticks.notices))
        nav aria-label="Time" {
            ul.choices {
                @for (value, name, _) in SPANS {
                    li {
                        a href={ "/ticks" (query.with(&["operation"], &[("since", Some(value))])) }
                            aria-current=[(value == chosen).then_some("true")] { (name) }
                    }
                }
            }
        }
        p {
            (ticks.ticks.len()) @if ticks.more { " (the newest)" } " ticks and changes by operators in the last " (name)
            ". A tick in which nothing changed, failed or was held leaves no record in the journal, so it may be missing here."
        }
        @if ticks.ticks.is_empty() { p.quiet { "No ticks are known." } } @else {
            (charts(&ticks.ticks))
            (parts::table("Ticks", &table(&ticks.ticks)))
            @if ticks.ticks.len() > ROWS {
                p { "The table has the newest " (ROWS) "; " a href={ "/api/v1/ticks" (query.with(&["since", "operation"], &[])) } { "all as JSON" } "." }
            }
        }
    };
    layout::page(console, "Ticks", "/ticks", &content)
}

/// Seconds since 1970 of a time like `2026-02-02T22:45:00Z`; none if it isn't one.
fn seconds(at: &str) -> Option<f64> {
    let time: staging_sync_runtime::tape::Now = serde_json::from_value(at.into()).ok()?;
    Some(time.time().duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}

fn charts(ticks: &[TickNumbers]) -> Markup {
    // The oldest first; without operator's changes, which have no calls, and merges of segments, which have no time.
    let ticks: Vec<(f64, &TickNumbers)> = ticks
        .iter()
        .rev()
        .filter(|tick| tick.author.is_none() && tick.duration_ms > 0)
        .filter_map(|tick| Some((seconds(&tick.at)?, tick)))
        .collect();
    let (Some((first, _)), Some((last, _))) = (ticks.first(), ticks.last()) else { return html! {} };
    let days = last - first > 86_400.0;
    let label = |x: f64| {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(x.max(0.0) as u64);
        let text = staging_sync_runtime::tick::instant_text(time);
        let (date, time) = text.split_once('T').unwrap_or_default();
        match days {
            true => date.get(5..).unwrap_or_default().to_owned(),
            false => time.trim_end_matches('Z').to_owned(),
        }
    };
    let series = |name: &str, of: &dyn Fn(&TickNumbers) -> f64| Series {
        name: name.to_owned(),
        points: ticks.iter().map(|(x, tick)| (*x, of(tick))).collect(),
    };
    let services: BTreeSet<&str> = ticks.iter().flat_map(|(_, tick)| tick.calls.keys()).map(String::as_str).collect();
    let calls = services
        .iter()
        .map(|service| series(service, &|tick| tick.calls.get(*service).map_or(0.0, |calls| calls.made as f64)));
    let charts = [
        ("Duration", "seconds a tick", vec![series("duration", &|tick| tick.duration_ms as f64 / 1e3)]),
        (
            "Outcomes",
            "accounts a tick",
            vec![
                series("updated", &|tick| tick.counts.accounts_updated as f64),
                series("failed", &|tick| tick.counts.accounts_failed as f64),
                series("held", &|tick| tick.counts.accounts_held as f64),
            ],
        ),
        ("Calls of AWS", "calls a tick", calls.collect()),
        (
            "Calls that failed",
            "calls a tick",
            vec![
                series("throttled", &|tick| tick.all_calls().throttled as f64),
                series("failed otherwise", &|tick| tick.all_calls().failed as f64),
            ],
        ),
    ];
    html! {
        div.charts {
            @for (title, unit, series) in charts { (Chart { title, unit, label: &label, series }.figure()) }
        }
    }
}

fn table(ticks: &[TickNumbers]) -> Markup {
    html! {
        thead { tr {
            @for name in ["Began", "Operation", "Took", "Accounts", "Updated", "Unchanged", "Skipped", "Failed", "Held", "Calls", "Throttled"] {
                th scope="col" { (name) }
            }
        } }
        tbody {
            @for tick in ticks.iter().take(ROWS) {
                tr {
                    th scope="row" { (parts::tick(&tick.tick, &tick.at)) }
                    td {
                        (parts::short(&tick.operation))
                        @if let Some(author) = &tick.author { div.reason { "by " (parts::short(author)) } }
                        @if tick.dry_run { div.reason { "dry run" } }
                        @if let Some((segment, total)) = tick.segment { div.reason { "segment " (segment) " of " (total) } }
                        @if let Some(error) = &tick.error { div.reason { (parts::status("failed")) " " (parts::short(error)) } }
                    }
                    td.number { (parts::duration(tick.duration_ms)) }
                    @let counts = tick.counts;
                    @for count in [counts.total_accounts, counts.accounts_updated, tick.unchanged(), tick.skipped(), counts.accounts_failed, counts.accounts_held] {
                        td.number { (count) }
                    }
                    @let calls = tick.all_calls();
                    @if tick.calls.is_empty() { td.number { "–" } td.number { "–" } } @else {
                        td.number { (calls.made) } td.number { (calls.throttled) }
                    }
                }
            }
        }
    }
}

/// The page of one tick.
pub fn tick(console: &Console, detail: &TickDetail) -> Markup {
    let numbers = &detail.numbers;
    let content = html! {
        (parts::notices(&detail.notices))
        @if let Some(error) = &numbers.error {
            div.notice role="note" { p { (parts::status("failed")) " " (parts::text(error)) } }
        }
        dl {
            dt { "Began" } dd { (parts::time(&numbers.at)) " UTC" }
            dt { "Id" } dd { code { (parts::text(&numbers.tick)) } }
            dt { "Operation" } dd { (parts::text(&numbers.operation)) @if numbers.dry_run { ", dry run: nothing was written" } }
            @if let Some((segment, total)) = numbers.segment { dt { "Segment" } dd { (segment) " of " (total) ", counted from 0" } }
            @if let Some(author) = &numbers.author { dt { "By" } dd { (parts::text(author)) } }
            @if let Some(comment) = &detail.comment { dt { "Comment" } dd { (parts::text(comment)) } }
            dt { "Took" } dd { (parts::duration(numbers.duration_ms)) }
            @if let Some(policy) = &numbers.policy { dt { "Policy" } dd { (parts::text(policy)) } }
            @if let Some(policy) = &detail.policy_with_settings {
                dt { "Settings" } dd { code { (parts::text(&policy.settings.to_string())) } }
            }
            @if let Some(differences) = detail.shadow_differences.filter(|differences| *differences > 0) {
                dt { "Shadow" } dd { (differences) " accounts would be decided differently" }
            }
        }
        ul.counts {
            @for (status, count) in [("updated", numbers.counts.accounts_updated), ("unchanged", numbers.unchanged()),
                ("skipped", numbers.skipped()), ("failed", numbers.counts.accounts_failed), ("held", numbers.counts.accounts_held)] {
                li { (parts::status(status)) " " strong { (count) } }
            }
        }
        @if !numbers.calls.is_empty() {
            h2 { "Calls of AWS" }
            (parts::table("Calls of AWS", &html! {
                thead { tr { @for name in ["Service", "Made", "Throttled", "Failed otherwise"] { th scope="col" { (name) } } } }
                tbody { @for (service, calls) in &numbers.calls { tr {
                    th scope="row" { (parts::short(service)) }
                    td.number { (calls.made) } td.number { (calls.throttled) } td.number { (calls.failed) }
                } } }
            }))
        }
        h2 { "Accounts that changed, failed or were held" }
        @if detail.accounts.is_empty() { p.quiet { "None." } } @else {
            @if detail.accounts.len() > ROWS {
                p { "The first " (ROWS) " of " (detail.accounts.len()) "; "
                    a href={ "/api/v1/ticks/" (parts::part(&numbers.tick)) } { "all as JSON" } "." }
            }
            (parts::table("Accounts of the tick", &accounts(detail)))
        }
    };
    layout::page(console, "Tick", "/ticks", &content)
}

fn accounts(detail: &TickDetail) -> Markup {
    html! {
        thead { tr { @for name in ["Account", "Name", "Status", "Changes", "Why"] { th scope="col" { (name) } } } }
        tbody { @for told in detail.accounts.iter().take(ROWS) {
            @let id = told.account_id.as_deref().unwrap_or_default();
            tr {
                th scope="row" { a href={ "/accounts/" (parts::part(id)) "?tick=" (parts::part(&detail.numbers.tick)) "#why" } { (parts::short(id)) } }
                td { (parts::short(told.account_name.as_deref().unwrap_or("Unknown"))) }
                td { (parts::status(&told.status)) }
                td { (parts::changes(&told.added, &told.removed))
                    @if !told.held_removals.is_empty() { div { (parts::status("held")) " " (parts::ids(&told.held_removals)) } } }
                td {
                    @for text in [&told.reason, &told.error, &told.held_reason].into_iter().flatten() { div { (parts::short(text)) } }
                    @for region in &told.incomplete_regions { div { (parts::short(region)) } }
                }
            }
        } }
    }
}
