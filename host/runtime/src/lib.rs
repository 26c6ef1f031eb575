//! A scheduler runtime for sandboxed policies: it owns AWS, time, concurrency, limits and safety, and leaves
//! every decision to a WebAssembly component.
//!
//! Data flows one way, in the order of the modules below; a module may use those that come after it, never
//! those before it. The last two are the words that all use. Four stand beside the flow: `config`, `error`,
//! `log` and `metrics`.

pub mod config;
pub mod error;
pub mod log;
pub mod metrics;

pub mod activation;
pub mod aws;
pub mod capability;
pub mod case;
pub mod change;
pub mod digest;
pub mod event;
pub mod fanout;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod removals;
pub mod service;
pub mod summary;
pub mod tape;
pub mod target;
pub mod tick;

pub mod account;
pub mod bindings;
pub mod text;

pub use config::Config;
pub use error::{Error, ErrorKind};
pub use event::Event;
pub use service::Service;
pub use tick::{Runtime, Tick};
