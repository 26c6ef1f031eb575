//! A scheduler runtime for sandboxed policies: it handles AWS, time, concurrency, limits and safety, and leaves
//! every decision to a WebAssembly component.
//!
//! Data flows in one direction. A module may use modules that come after it in this list, never earlier ones
//! (`tests/architecture.rs` checks it):
//!
//! `service`, `fanout`, `activation`, `case`, `tick`, `plan`, `event`, `config`, `policy`, `capability`, `outside`, `removals`, `journal`,
//! `tape`, `store`, `change`, `target`, `outcome`, `aws`, `summary`, `metrics`, `log`, `digest`, `bindings`, `error`, `account`, `text`, `threads`

#![warn(missing_docs)]

pub mod account;
pub mod activation;
pub mod aws;
pub mod bindings;
pub mod capability;
pub mod case;
pub mod change;
pub mod config;
pub mod digest;
pub mod error;
pub mod event;
pub mod fanout;
pub mod journal;
pub mod log;
pub mod metrics;
pub mod outcome;
mod outside;
pub mod plan;
pub mod policy;
pub mod removals;
pub mod rollout;
pub mod service;
pub mod store;
pub mod summary;
pub mod tape;
pub mod target;
pub mod text;
pub mod threads;
pub mod tick;

pub use config::Config;
pub use error::{Error, ErrorKind};
pub use event::Event;
pub use service::Service;
pub use tick::{Runtime, Tick};
