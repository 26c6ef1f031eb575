//! A policy for another operation, `staging_drift_report`: it reports what a sync would change and why, but
//! changes nothing. It doesn't import `update`, so no host would let it.

pub mod report;

/// What `wit-bindgen` makes of the WIT package. Natively its imports are stubs that must not be called.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "policy" });

    #[cfg(target_arch = "wasm32")]
    export!(Policy with_types_in self);

    #[cfg(target_arch = "wasm32")]
    use super::Policy;
}

use bindings::drs::staging_sync::{account, types};
use types::{AccountOutcome, Operation, Outcome, PolicyInfo, SettingError, Tick};

/// The policy, as the host sees it.
pub struct Policy;

impl bindings::Guest for Policy {
    fn info() -> PolicyInfo {
        PolicyInfo {
            name: "staging-drift-report".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            operations: vec![Operation { name: "staging_drift_report".into(), title: "staging drift report".into() }],
            settings_schema: r#"{"type": "object"}"#.into(),
        }
    }

    // POLICY_SETTINGS may be another policy's: whatever is in them is none of this one's business.
    fn validate_settings(_: String) -> Result<(), Vec<SettingError>> {
        Ok(())
    }

    fn sync(tick: Tick) -> Outcome {
        report::account(&tick, &account::describe(), account::discover)
    }

    fn summarize(tick: Tick, outcomes: Vec<AccountOutcome>) -> String {
        report::summary(&tick, &outcomes).to_string()
    }
}
