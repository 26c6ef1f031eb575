//! The web console: what ticks did to a fleet, as pages for people and JSON for programs. It only reads.
//!
//! `live` is what a running `serve` knows, `journal` reads what ticks left; `fleet`, `account`, `ticks`, `policies` and
//! `simulation` are what is shown, in the form in which programs get it. `pages` makes HTML of it, `routes` says what is
//! where, and `http` lets nobody in who shouldn't be.

#![warn(missing_docs)]

mod account;
mod console;
mod fleet;
mod http;
mod journal;
mod live;
mod pages;
mod policies;
mod query;
mod routes;
mod simulation;
mod ticks;

pub use console::{Console, Sources};
pub use http::{AllowedHost, Extra, Reply, Server};
pub use live::Live;
pub use policies::{Manifests, Verdicts};
pub use simulation::PolicyLoader;
