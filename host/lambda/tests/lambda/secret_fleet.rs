//! A fleet with secrets in it, and whether a text holds them: what a tick prints must not, however much is asked for.

use serde_json::json;
use staging_sync_lab::{Fleet, Lab};

/// Some that look different in a URL.
const EXTERNAL_IDS: [&str; 4] = ["external-id-one", "external/id:two@x", "external-id-three", "external-id-four"];

/// A target that is updated, one whose external id is wrong, one whose session comes in an answer that is cut
/// off, and one that DRS throttles.
pub fn fleet() -> Fleet {
    let mut fleet = json!({"targets": [{}, {}, {}, {}], "accounts": {}, "regions": ["us-east-1", "eu-west-1"]});
    for (number, external_id) in EXTERNAL_IDS.iter().enumerate() {
        let id = format!("{:012}", 100_000_000_000_u64 + number as u64);
        let asked = if number == 1 { "external-id-wrong" } else { external_id };
        fleet["targets"][number] = json!({
            "accountId": id,
            "roleArn": format!("arn:aws:iam::{id}:role/Sync"),
            "externalId": external_id,
            "stagingAccounts": [{"accountId": "222222222222", "externalId": format!("{external_id}-stored")}],
        });
        fleet["accounts"][&id] = json!({
            "roles": {"Sync": {"externalId": asked}},
            "regions": {"us-east-1": {"stagingAccounts": ["333333333333"]}},
        });
    }
    let cut_off = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <SecretAccessKey>{}</SecretAccessKey><SessionToken>",
        "SECRETKEY".repeat(5),
    );
    fleet["faults"] = json!([
        {"service": "sts", "account": "100000000002", "body": cut_off},
        {"service": "drs", "account": "100000000003", "error": {"code": "ThrottlingException"}},
    ]);
    Fleet::from_json(&fleet.to_string()).expect("a fleet")
}

/// Fails if a text holds what only AWS, the table and the SDK should know.
pub fn holds_no_secret(lab: &Lab, text: &str) {
    assert!(text.contains("100000000000"), "expected the tick's lines, found {text}");
    let mut secrets: Vec<String> = EXTERNAL_IDS.iter().map(ToString::to_string).collect();
    secrets.extend(EXTERNAL_IDS.iter().map(|id| id.replace('/', "%2F").replace(':', "%3A").replace('@', "%40")));
    secrets.push("drs-orchestration-333333333333".into()); // of the entry that the tick adds
    let env = lab.env();
    secrets.extend(env.iter().filter(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY").map(|(_, key)| key.clone()));
    for secret in &secrets {
        let found = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(found, None, "a line holds {secret}");
    }
    // The lab draws sessions' keys and tokens from these letters, 40 and more of them.
    let is_key = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    let longest = text.split(|c| !is_key(c)).max_by_key(|run| run.len()).unwrap_or_default();
    assert!(longest.len() < 40, "a key or a token: {longest}");
}

/// Makes sure that there were secrets to print.
pub fn expect_secrets_used(lab: &Lab) {
    let stored = serde_json::to_string(&lab.items().expect("items")).expect("JSON");
    assert!(stored.contains("drs-orchestration-333333333333"), "an entry was added: {stored}");
}
