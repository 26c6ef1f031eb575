//! The web console: what ticks did to a fleet, as pages for people and JSON for programs. It only reads.
//!
//! `live` is what a running `serve` knows, `journal` reads what ticks left; `fleet`, `account`, `ticks`, `policies` and
//! `simulation` are what is shown, in the form in which programs get it. `pages` makes HTML of it, `routes` says what is
//! where, `guard` lets nobody in who shouldn't be, and `server` keeps connections few and short.

// The futures of a tick, which a simulation runs, are nested more deeply than the compiler looks by default.
#![recursion_limit = "256"]
#![warn(missing_docs)]

mod account;
mod console;
mod fleet;
mod guard;
mod journal;
mod live;
mod pages;
mod policies;
mod query;
mod redact;
mod reply;
mod routes;
mod server;
mod simulation;
mod ticks;

pub use console::{Console, Sources};
pub use guard::AllowedHost;
pub use live::Live;
pub use policies::{Manifests, Verdicts};
pub use reply::{Extra, Reply};
pub use server::Server;
pub use simulation::PolicyLoader;
