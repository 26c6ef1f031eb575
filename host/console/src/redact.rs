//! What isn't for everybody who may look: external ids, which settings of policies may hold.

use serde_json::{Map, Value};
use staging_sync_runtime::journal::PolicyRef;

/// A policy without what isn't for everybody.
pub fn shown_policy(mut policy: PolicyRef) -> PolicyRef {
    hide(&mut policy.settings);
    policy
}

/// Hides the external ids that settings may hold.
pub fn hide(value: &mut Value) {
    match value {
        Value::Object(object) => hide_in(object),
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => {}
    }
}

/// The same in an object.
pub fn hide_in(object: &mut Map<String, Value>) {
    for (name, value) in object.iter_mut() {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().contains("externalid") {
            true => *value = "(not shown)".into(),
            false => hide(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_shown_without_external_ids() {
        let mut settings =
            json!({"removals": "own", "external_id-template": "x", "more": [{"externalIdTemplate": "y"}]});
        hide(&mut settings);
        let hidden = "(not shown)";
        assert_eq!(
            settings,
            json!({"removals": "own", "external_id-template": hidden, "more": [{"externalIdTemplate": hidden}]})
        );
    }
}
