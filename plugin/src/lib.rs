//! The bindings: the connection of the policy's pure functions to the host. No rule lives here.
//!
//! Reading order: `decide` (one account, from top to bottom), the `skip`, `settings` and `diff` that it
//! uses, then `summary`.

pub mod decide;
pub mod diff;
pub mod settings;
pub mod skip;
pub mod summary;

#[cfg(test)]
mod fixture;

/// What `wit-bindgen` makes of the WIT package. Natively its imports are stubs that must not be called.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "policy",
        additional_derives: [PartialEq],
    });

    // A native build would export symbols named `sync` and `info`; the first one is libc's.
    #[cfg(target_arch = "wasm32")]
    export!(Policy with_types_in self);

    #[cfg(target_arch = "wasm32")]
    use super::Policy;
}

pub use bindings::drs::staging_sync::types;

use bindings::drs::staging_sync::{account, logging};
use types::{AccountOutcome, Operation, Outcome, PolicyInfo, SettingError, Tick};

/// The default policy, as the host sees it.
pub struct Policy;

impl bindings::Guest for Policy {
    fn info() -> PolicyInfo {
        PolicyInfo {
            name: "staging-account-sync".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            operations: vec![Operation { name: "sync_staging_accounts".into(), title: "staging account sync".into() }],
            settings_schema: settings::SCHEMA.into(),
        }
    }

    fn validate_settings(settings: String) -> Result<(), Vec<SettingError>> {
        settings::parse(&settings).map(|_| ())
    }

    fn sync(tick: Tick) -> Outcome {
        log_panics();
        decide::decide(&tick, &account::describe(), account::discover, account::update)
    }

    fn summarize(tick: Tick, outcomes: Vec<AccountOutcome>) -> String {
        log_panics();
        summary::summarize(&tick, &outcomes)
    }
}

/// Logs a panic before it ends the instance: the host only sees that it ended, and adds the last logged error to that.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| logging::log(logging::Level::Error, &panic.to_string())));
}
