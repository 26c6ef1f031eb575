//! Tapes that people, editors and full disks have changed: read or refused, with the file, the place and what was
//! expected there, and never a panic.

use std::fs;
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use staging_sync_runtime::case::{Case, Run};
use staging_sync_runtime::policy::Policy;
use staging_sync_workbench::judge::judge;

use crate::cases::all;
use crate::recording::directory;
use crate::support::policy;

/// What an editor may leave somewhere.
fn anything() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("text"),
        json!("111122223333"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"S": 1}),
        json!({"code": "X"}),
    ])
}

/// The paths of all values, as JSON pointers.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| pointers(value, format!("{at}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(place, value)| pointers(value, format!("{at}/{place}"), found));
        }
        _ => {}
    }
    found.push(at);
}

/// Puts something at a pointer, or takes away what is there.
fn change(tape: &mut Value, pointer: &str, to: Option<Value>) {
    let Some(to) = to else {
        let Some((parent, key)) = pointer.rsplit_once('/') else { return };
        match tape.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(key)),
            Some(Value::Array(list)) => drop(list.remove(key.parse().expect("a place"))),
            _ => {}
        }
        return;
    };
    if let Some(value) = tape.pointer_mut(pointer) {
        *value = to;
    }
}

fn tapes() -> &'static [Value] {
    static TAPES: OnceLock<Vec<Value>> = OnceLock::new();
    TAPES.get_or_init(|| all().iter().map(|case| serde_json::from_str(&case.tape.text()).expect("JSON")).collect())
}

/// Runs a case if it can be read; otherwise what the error says.
async fn read_and_run(text: &str, policy: &Policy) -> Result<Run, String> {
    let dir = directory("damaged");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("tape.json"), text).expect("a file");
    let case = Case::read(&dir)?;
    if let Ok(judged) = judge(&case, policy).await {
        let defects = judged.broken.iter().filter(|violation| violation.what.contains("a defect"));
        assert_eq!(defects.count(), 0, "{text}");
    }
    case.run(policy).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_tape_is_replayed_or_refused_by_file_and_path(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(anything())), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut tape = which.get(tapes()).clone();
        for (at, to) in changes {
            let mut found = Vec::new();
            pointers(&tape, String::new(), &mut found);
            change(&mut tape, at.get::<String>(&found), to);
        }
        let mut text = serde_json::to_string_pretty(&tape).expect("JSON");
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let ran = tokio.expect("a runtime").block_on(async { read_and_run(&text, &policy().await).await });
        match ran {
            Ok(run) => prop_assert!(!run.result().to_string().contains("a defect"), "{}", text),
            Err(error) => {
                let (file, says) = error.split_once("tape.json: ").unwrap_or((&error, ""));
                prop_assert!(file.ends_with("damaged/"), "{}", error);
                let placed = says.starts_with("$") || says.contains(" line ");
                prop_assert!(placed, "{}", error);
            }
        }
    }
}
