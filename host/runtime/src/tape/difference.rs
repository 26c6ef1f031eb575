//! Where two JSON values differ, leaf by leaf.

use serde_json::Value;

/// Tells `found` the path (like `details[0].status`) of each leaf in which two values differ, and both leaves; what isn't
/// there is null.
pub fn differing_leaves(one: &Value, other: &Value, found: &mut dyn FnMut(&str, &Value, &Value)) {
    walk(one, other, "", found);
}

fn walk(one: &Value, other: &Value, path: &str, found: &mut dyn FnMut(&str, &Value, &Value)) {
    match (one, other) {
        (Value::Object(members), Value::Object(others)) => {
            let added = others.keys().filter(|key| !members.contains_key(*key));
            for key in members.keys().chain(added) {
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                walk(&one[key], &other[key], &path, found);
            }
        }
        (Value::Array(list), Value::Array(others)) => {
            for place in 0..list.len().max(others.len()) {
                let null = Value::Null;
                let (one, other) = (list.get(place).unwrap_or(&null), others.get(place).unwrap_or(&null));
                walk(one, other, &format!("{path}[{place}]"), found);
            }
        }
        _ if one == other => {}
        _ => found(path, one, other),
    }
}
