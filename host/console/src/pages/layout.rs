//! What all pages have: the head, the way to the other pages, and the foot.

use maud::{DOCTYPE, Markup, html};

use super::parts;
use crate::console::Console;

/// The pages that are linked from all others.
const PAGES: [(&str, &str); 4] =
    [("/", "Fleet"), ("/ticks", "Ticks"), ("/policies", "Policies"), ("/simulate", "Simulate")];

/// A page with a heading; `place` is the one of the linked pages that it is, or is below.
pub fn page(console: &Console, title: &str, place: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (parts::plain(title)) " · staging-sync" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    p.brand { a href="/" { "staging-sync" } }
                    nav aria-label="Pages" {
                        ul {
                            @for (path, name) in PAGES {
                                li { a href=(path) aria-current=[(path == place).then_some("page")] { (name) } }
                            }
                        }
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (parts::text(title)) }
                    (content)
                }
                footer {
                    p {
                        "Shows " (parts::text(console.title())) ". Read-only. All times are in UTC. "
                        a href="/api/v1/openapi.json" { "The same as JSON" } "."
                    }
                }
            }
        }
    }
}
