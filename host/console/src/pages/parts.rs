//! Small parts of pages: texts of others, statuses, times, lists of ids, notices.

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::text::printable;

/// How much of a text of others a row shows, in characters.
const ROW: usize = 120;

/// How much of one a page shows where it's alone.
const ALONE: usize = 4_000;

/// What stays as it is in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text that others wrote, as text: what would act on its surroundings is shown as code points, and its direction stays
/// its own.
pub fn text(text: &str) -> Markup {
    html! { bdi { (clipped(text, ALONE)) } }
}

/// The same in a row of a table, where it's short.
pub fn short(text: &str) -> Markup {
    html! { bdi { (clipped(text, ROW)) } }
}

/// The same where there's no markup.
pub fn plain(text: &str) -> String {
    clipped(text, ROW)
}

fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => printable(text),
        Some((end, _)) => {
            let rest = text.get(end..).unwrap_or_default().chars().count();
            format!("{}… ({rest} more characters)", printable(text.get(..end).unwrap_or_default()))
        }
    }
}

/// A part of a path.
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// A link to an account.
pub fn account(id: &str) -> Markup {
    // Another key than an account's id may be as long as it likes.
    let class = (id.len() == 12).then_some("whole");
    html! { a class=[class] href={ "/accounts/" (part(id)) } { (short(id)) } }
}

/// A link to a tick, in as many words as its time; the time alone where it can't be a tick.
pub fn tick(id: &str, at: &str) -> Markup {
    html! {
        @match TickId::parse(id) {
            Some(id) => a href={ "/ticks/" (part(id.as_str())) } { (time(at)) },
            None => (time(at)),
        }
    }
}

/// A time in UTC.
pub fn time(at: &str) -> Markup {
    let shown = at.strip_suffix('Z').map_or_else(|| at.to_owned(), |at| at.replacen('T', " ", 1));
    html! { time datetime=(plain(at)) { (plain(&shown)) } }
}

/// A status: a word, a shape and a colour.
pub fn status(status: &str) -> Markup {
    let (class, shape) = match status {
        "updated" => ("updated", "▲"),
        "unchanged" => ("unchanged", "●"),
        "skipped" => ("skipped", "○"),
        "failed" | "rejected" => ("failed", "✖"),
        "frozen" | "held" | "incomplete" => ("held", "■"),
        _ => ("other", "◆"),
    };
    html! { span class={ "status " (class) } { span.shape aria-hidden="true" { (shape) } " " (plain(status)) } }
}

/// Ids, one beside the other; an empty list is told.
pub fn ids(ids: &[String]) -> Markup {
    html! {
        @if ids.is_empty() { span.quiet { "none" } }
        @for (place, id) in ids.iter().enumerate() {
            @if place > 0 { ", " }
            code { (plain(id)) }
        }
    }
}

/// What was added and removed.
pub fn changes(added: &[String], removed: &[String]) -> Markup {
    html! {
        @for id in added { ins { code { "+" (plain(id)) } } " " }
        @for id in removed { del { code { "−" (plain(id)) } } " " }
    }
}

/// Things to know about a page, if there are any.
pub fn notices(notices: &[String]) -> Markup {
    html! {
        @if !notices.is_empty() {
            div.notice role="note" { @for notice in notices { p { (text(notice)) } } }
        }
    }
}

/// A table that can be scrolled to the side where it's wider than the window.
pub fn table(name: &str, content: &Markup) -> Markup {
    html! { div.wide role="region" aria-label=(name) tabindex="0" { table { (content) } } }
}

/// Milliseconds, for people.
pub fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        _ => format!("{:.1} s", milliseconds as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_texts() {
        let shown = text("<script>alert(1)</script>\u{202e}\"x\"").into_string();
        assert_eq!(shown, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}&quot;x&quot;</bdi>");
        let long = "é".repeat(100_000);
        assert!(short(&long).into_string().ends_with("é… (99880 more characters)</bdi>"));
        assert_eq!(part("../a b/é\""), "..%2Fa%20b%2F%C3%A9%22");
    }
}
