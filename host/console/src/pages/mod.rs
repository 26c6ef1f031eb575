//! Pages: HTML of what is known, escaped throughout, that needs no script.

mod account;
mod chart;
mod fleet;
mod layout;
mod parts;
mod policies;
mod simulate;
mod ticks;

pub use account::account;
pub use fleet::fleet;
pub use policies::policies;
pub use simulate::simulate;
pub use ticks::{tick, ticks};

use hyper::StatusCode;
use maud::html;

use crate::console::Console;

/// What went wrong, as a page.
pub fn problem(console: &Console, status: StatusCode, message: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    let page = layout::page(console, reason, "", &html! { p { (parts::text(message)) } });
    page.into_string()
}
