//! The fleet: a row an account, filtered and sorted as the address says.

use maud::{Markup, html};

use super::{layout, parts};
use crate::console::Console;
use crate::fleet::{Account, Fleet, PAGE, STATUSES, Selection};
use crate::query::Query;

/// The parameters that a link of this page keeps.
const KEPT: [&str; 5] = ["q", "status", "sort", "order", "operation"];

/// The columns, by the value of `sort`.
const COLUMNS: [(&str, &str); 7] = [
    ("name", "Name"),
    ("id", "Account"),
    ("status", "Status"),
    ("staging", "Staging accounts"),
    ("regions", "Regions not read"),
    ("changed", "Last change"),
    ("frozen", "Frozen until"),
];

/// The page.
pub fn fleet(console: &Console, fleet: &Fleet, query: &Query) -> Markup {
    let selection = Selection::of(query);
    let selected = selection.select(&fleet.accounts);
    let pages = selected.len().div_ceil(PAGE).max(1);
    let page = selection.page.min(pages);
    let first = (page - 1) * PAGE;
    let rows: Vec<&Account> = selected.iter().skip(first).take(PAGE).copied().collect();
    let content = html! {
        (parts::notices(&fleet.notices))
        (operations(console, query))
        (summary(fleet))
        (filter(query, &selection))
        p role="status" {
            @if selected.len() == fleet.accounts.len() { (selected.len()) " accounts" }
            @else { (selected.len()) " of " (fleet.accounts.len()) " accounts" }
            @if pages > 1 { ", rows " (first + 1) " to " (first + rows.len()) }
        }
        @if rows.is_empty() {
            p.quiet { @if fleet.accounts.is_empty() { "No accounts are known." } @else { "No account matches." } }
        } @else {
            (parts::table("Accounts", &table(query, &selection, &rows)))
        }
        (pager(query, page, pages))
    };
    layout::page(console, "Fleet", "/", &content)
}

/// The way from one operation to another, where the service has several.
fn operations(console: &Console, query: &Query) -> Markup {
    html! {
        @let operations = console.operations();
        @if !operations.is_empty() {
            nav aria-label="Operations" {
                ul.choices {
                    @for operation in &operations {
                        li {
                            a href={ "/" (query.with(&[], &[("operation", Some(operation))])) }
                                aria-current=[(query.get("operation") == Some(operation)).then_some("true")] {
                                (parts::short(operation))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The last tick, in numbers.
fn summary(fleet: &Fleet) -> Markup {
    let count = |status: &str| fleet.accounts.iter().filter(|account| account.status == status).count();
    html! {
        @if let (Some(tick), Some(at)) = (&fleet.tick, &fleet.at) {
            p {
                "Last tick: " (parts::tick(tick, at)) " UTC"
                @if let Some(duration) = fleet.duration_ms { ", " (parts::duration(duration)) }
                @if fleet.dry_run { ", dry run: nothing was written" }
                @if let Some(policy) = &fleet.policy {
                    ", by " a href="/policies" { (parts::short(&format!("{} {}", policy.name, policy.version))) }
                }
                "."
            }
            @if let Some(error) = &fleet.error {
                div.notice role="note" { p { (parts::status("failed")) " The last tick failed as a whole: " (parts::text(error)) } }
            }
            @if fleet.journal_failed > 0 {
                div.notice role="note" {
                    p { "The journal missed " (fleet.journal_failed) " records in the last tick; the host's log says why." }
                }
            }
            ul.counts {
                @for status in ["updated", "unchanged", "skipped", "failed"] {
                    li { a href={ "/?status=" (status) } { (parts::status(status)) } " " strong { (count(status)) } }
                }
                @let frozen = fleet.accounts.iter().filter(|account| account.frozen.is_some()).count();
                @let held = fleet.accounts.iter().filter(|account| !account.held_removals.is_empty()).count();
                @let incomplete = fleet.accounts.iter().filter(|account| !account.incomplete_regions.is_empty()).count();
                @for (status, count) in [("frozen", frozen), ("held", held), ("incomplete", incomplete)] {
                    @if count > 0 { li { a href={ "/?status=" (status) } { (parts::status(status)) } " " strong { (count) } } }
                }
            }
        }
    }
}

fn filter(query: &Query, selection: &Selection) -> Markup {
    html! {
        form.filter method="get" action="/" role="search" {
            div {
                label for="q" { "Name, id or reason" }
                input type="search" id="q" name="q" value=(query.get("q").unwrap_or_default()) maxlength="200";
            }
            div {
                label for="status" { "Status" }
                select id="status" name="status" {
                    option value="" { "any" }
                    @for status in STATUSES {
                        option value=(status) selected[selection.status == Some(status)] { (status) }
                    }
                }
            }
            @for name in ["sort", "order", "operation"] {
                @if let Some(value) = query.get(name) { input type="hidden" name=(name) value=(value); }
            }
            button type="submit" { "Show" }
            @if !selection.search.is_empty() || selection.status.is_some() {
                a href={ "/" (query.with(&["sort", "order", "operation"], &[])) } { "Show all" }
            }
        }
    }
}

fn table(query: &Query, selection: &Selection, rows: &[&Account]) -> Markup {
    html! {
        thead { tr {
            @for (sort, name) in COLUMNS {
                @let is_sorted = selection.sort == sort;
                @let order = if is_sorted && !selection.descending { Some("desc") } else { None };
                @let direction = if selection.descending { "descending" } else { "ascending" };
                th scope="col" aria-sort=[is_sorted.then_some(direction)] {
                    a href={ "/" (query.with(&KEPT, &[("sort", Some(sort)), ("order", order)])) } {
                        (name)
                        @if is_sorted { span aria-hidden="true" { @if selection.descending { " ▾" } @else { " ▴" } } }
                    }
                }
            }
        } }
        tbody { @for account in rows { (row(account)) } }
    }
}

fn row(account: &Account) -> Markup {
    html! {
        tr {
            th scope="row" {
                @match &account.account_name {
                    Some(name) => (parts::short(name)),
                    None => span.quiet { "Unknown" },
                }
            }
            td { (parts::account(&account.account_id)) }
            td {
                (parts::status(&account.status))
                @if !account.held_removals.is_empty() { br; (parts::status("held")) }
                @if let Some(reason) = &account.reason { div.reason { (parts::short(reason)) } }
            }
            td.number { @match account.staging_account_count { Some(count) => (count), None => span.quiet { "not known" } } }
            td {
                @for region in account.incomplete_regions.iter().take(4) { div.reason { (parts::short(region)) } }
                @if account.incomplete_regions.len() > 4 { div { "and " (account.incomplete_regions.len() - 4) " more" } }
            }
            td { @if let Some(change) = &account.last_change { (parts::tick(&change.tick, &change.at)) } }
            td {
                @if let Some(freeze) = &account.frozen {
                    @if let Some(until) = freeze.until { (parts::time(&until.to_string())) }
                    div.reason { (parts::short(&freeze.comment)) }
                }
            }
        }
    }
}

fn pager(query: &Query, page: usize, pages: usize) -> Markup {
    let link = |page: usize| format!("/{}", query.with(&KEPT, &[("page", Some(&page.to_string()))]));
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages of accounts" {
                @if page > 1 { a rel="prev" href=(link(page - 1)) { "Previous" } }
                span { "Page " (page) " of " (pages) }
                @if page < pages { a rel="next" href=(link(page + 1)) { "Next" } }
            }
        }
    }
}
