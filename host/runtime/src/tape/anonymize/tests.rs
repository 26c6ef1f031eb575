//! Tests of what an anonymized tape still contains, and what it doesn't.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ID: &str = "999988887777";

fn tape(item: Value, error: &str, event: Value) -> Tape {
    let tape = json!({
        "version": 1, "now": "2026-02-02T22:45:00Z", "event": event,
        "config": {"table": "acme-accounts", "regions": ["us-east-1"]},
        "settings": {"stagingRoleName": "AcmeRole", "externalIdTemplate": "acme-secret", "removals": "own"},
        "host": [{"service": "dynamodb", "operation": "Scan", "request": {"TableName": "acme-accounts"},
            "response": {"Items": [item]}}],
        "targets": {ID: [{"service": "sts", "operation": "AssumeRole", "request": {"RoleSessionName": "staging-sync"},
            "error": {"code": "AccessDenied", "message": error}}]},
    });
    Tape::parse(&tape.to_string()).expect("a tape")
}

fn anonymous(tape: &Tape) -> (Tape, Left) {
    let mut tape = tape.clone();
    let left = anonymize(&mut tape, None).expect("a tape");
    (tape, left)
}

#[test]
fn what_says_who_it_was_is_gone_and_what_says_what_it_is_stays() {
    let item = json!({
        "accountId": {"S": ID}, "accountName": {"S": "Acme Prod"},
        "roleArn": {"S": format!("arn:aws:iam::{ID}:role/path/Drs{ID}AcmeBank")},
        "updatedAt": {"S": "2026-02-02T22:45:00.123456+00:00Z"},
        "stagingAccounts": {"L": [{"M": {
            "accountId": {"S": "111122223333"}, "accountName": {"S": "Staging Account 111122223333"},
            "roleArn": {"S": "arn:aws:iam::111122223333:role/AcmeRole"},
            "addedAt": {"S": "2026-02-02 by 999988887777"}, "addedBy": {"S": "jo@acme.example"},
            "discoveredFrom": {"S": "us-east-1"}, "note": {"S": "ask Jo"}, "acmeCostCenter": {"N": "999988887777"},
            "tags": {"M": {"owner-of-acme": {"SS": ["jo", "acme"]}}},
        }}]},
    });
    let error = format!(
        "User: arn:aws:sts::{ID}:assumed-role/AWSReservedSSO_Admin_0abc/jane.doe@corp.example with an explicit deny in \
         arn:aws:organizations::{ID}:policy/o-acme123/service_control_policy/p-xyz"
    );
    let (tape, left) = anonymous(&tape(item, &error, json!({"operation": "o", "accountIds": [ID], "by": "jo@acme"})));
    let text = tape.text();
    for gone in ["cme", "jo", "Jo", "doe", "SSO", "o-a", "p-xyz", ID, "111122223333"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    let stays =
        ["Staging Account 100000000001", ":role/role-", "us-east-1", "AccessDenied", ".123456+00:00Z", "\"own\""];
    for stays in stays {
        assert!(text.contains(stays), "{stays} in {text}");
    }
    assert_eq!(tape.targets.keys().collect::<Vec<_>>(), ["100000000002"]);
    assert_eq!(tape.event, json!({"operation": "o", "accountIds": ["100000000002"]}));
    assert_eq!(left, ["settings.removals: \"own\""]);
}

#[test]
fn parts_of_names_that_a_rule_may_depend_on_can_be_kept() {
    let item = json!({"accountId": {"S": ID}, "accountName": {"S": "KEEP-Acme"}});
    let mut tape = tape(item, "", json!({"operation": "o"}));
    let keep: Keep = Arc::new(|name| name.starts_with("KEEP-").then_some(0..5).into_iter().collect());
    let left = anonymize(&mut tape, Some(&keep)).expect("a tape");
    assert!(tape.text().contains("KEEP-account-1") && !tape.text().contains("Acme"), "{}", tape.text());
    assert!(left.contains(&"of names: KEEP-".to_owned()), "{left:?}");
}

/// A word that says who it was: no word of the format has the like.
fn word() -> impl Strategy<Value = String> {
    "[A-Z]{3}[0-9]{4}[xyz]{4}"
}

fn id() -> impl Strategy<Value = String> {
    "[2-9][0-9]{11}"
}

/// A text with words, ids and what stands around them.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![word(), id(), "[ :/@._-]{1,3}", Just("arn:aws:iam::".to_owned()), Just("role/".to_owned())];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

/// A value in DynamoDB's JSON, right or wrong.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(|text| json!({"S": text})),
        id().prop_map(|id| json!({"N": id})),
        prop::collection::vec(text(), 1..3).prop_map(|set| json!({"SS": set})),
        text().prop_map(|text| json!(text)),
        (word(), text()).prop_map(|(key, text)| json!({key: text})),
        Just(json!({"BOOL": true})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|list| json!({"L": list})),
            prop::collection::btree_map(name(), inner, 0..3).prop_map(|map| json!({"M": map})),
        ]
    })
}

/// An attribute's name: one that is known, or another.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(&ATTRIBUTES[..]).prop_map(str::to_owned), word()]
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |at: usize| {
        text.get(at..at + 11).filter(|word| {
            word.ends_with(['x', 'y', 'z']) && word.starts_with(|first: char| first.is_ascii_uppercase())
        })
    };
    let ids = text.split(|char: char| !char.is_ascii_digit()).filter(|digits| digits.len() == 12);
    (0..text.len())
        .filter_map(is_word)
        .filter(|word| word.is_ascii() && word[3..7].bytes().all(|byte| byte.is_ascii_digit()))
        .chain(ids)
}

proptest! {
    /// Whatever an item holds, and whatever AWS says: no id, name, role or external id of the original is on the tape.
    #[test]
    fn nothing_of_the_original_is_on_an_anonymous_tape(
        item in prop::collection::btree_map(name(), value(), 0..8),
        error in text(),
    ) {
        let original = tape(json!(item), &error, json!({"operation": "o", "accountIds": [ID], "queryParams": error}));
        let (anonymous, _) = anonymous(&original);
        let (before, after) = (original.text(), anonymous.text());
        for word in words_of(&before) {
            prop_assert!(!after.contains(word), "{word} of {before}\nin {after}");
        }
        // Equal things are equal still, so that a write that was made under a condition still is.
        prop_assert_eq!(original.host.len(), anonymous.host.len());
    }

    /// The new ids are in the order of the old ones.
    #[test]
    fn ids_keep_their_order(mut ids in prop::collection::btree_set(id(), 1..20)) {
        ids.insert("100000000003".into());
        let text = ids.iter().cloned().collect::<Vec<_>>().join(" ");
        let mut names = Names::of(&text, None);
        let new: Vec<String> = ids.iter().map(|id| names.id(id)).collect();
        prop_assert!(new.is_sorted());
        prop_assert!(new.iter().all(|new| !ids.contains(new)));
    }
}
