//! Two hosts, an operator who edits, one who undoes and one who freezes, all at once: nobody's update is lost.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use staging_sync_lab::{Lab, Region};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::{Access, Aws, Landed, Write};
use staging_sync_runtime::journal::freezes::{Freeze, Time};
use staging_sync_runtime::journal::{Operator, Undoing, Undone};
use staging_sync_runtime::target::Target;
use staging_sync_runtime::tick::instant_text;

use crate::journal::{fleet, items, reader, staging, tick};
use crate::support::{config_and_live, id, patience, policy, runtime};

/// People's entries stay, whatever DRS says.
const VARIABLES: [(&str, &str); 3] = [
    ("JOURNAL", "s3://policies/journal/"),
    ("MAX_REMOVALS_PERCENT", "100"),
    ("POLICY_SETTINGS", r#"{"removals": "own"}"#),
];

fn aws(lab: &Lab) -> Aws {
    let (config, live) = config_and_live(lab, &VARIABLES, patience()).expect("a way to the lab");
    Aws::new(Arc::new(live), config.table, &Access { listings: Vec::new(), updates: true })
}

/// Adds an entry on the condition that nobody writes at the same moment; otherwise once more.
async fn edit(aws: &Aws, account: &AccountId, number: usize) {
    loop {
        let item = aws.get_item(account).await.expect("an answer").expect("an item");
        let target = Target::read(&item).expect("a target");
        let mut list: Vec<Value> = target.staging_accounts.iter().map(|entry| entry.stored().clone()).collect();
        list.push(json!({"M": {"accountId": {"S": staging(50 + number)}, "note": {"S": "by an operator"}}}));
        let write = Write {
            account: account.clone(),
            read: target.stored_list,
            list: Some(json!({ "L": list })),
            updated_at: instant_text(SystemTime::now()),
        };
        if matches!(aws.replace(write).await, Ok(Landed::Done)) {
            return;
        }
    }
}

async fn undo(lab: &Lab, aws: &Aws, account: &AccountId) -> Undone {
    let journal = reader(lab, &VARIABLES);
    let now = SystemTime::now();
    let operator = Operator { operation: "undo", now, author: "somebody".into(), comment: None };
    let recorder = journal.begin_operator(operator).await;
    let undoing = Undoing {
        aws,
        journal: &journal,
        recorder: Some(&recorder),
        now: &instant_text(now),
        author: "somebody",
        comment: "back",
        veto: false,
    };
    let undone = undoing.last(account, None).await;
    recorder.finish_operator(vec![undone.record(account)]).await;
    undone
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_update_is_lost() {
    let mut undone = 0;
    for seed in 0..6 {
        let mut fleet = fleet();
        for item in &mut fleet.targets {
            for entry in item["stagingAccounts"].as_array_mut().expect("a list") {
                entry["addedBy"] = json!("staging-account-sync");
            }
        }
        (fleet.jitter_ms, fleet.seed) = (4, seed);
        let lab = Lab::start(fleet).await.expect("a lab");
        let host = async || runtime(&lab, &VARIABLES, policy().await, patience()).await.expect("a runtime");
        let (one, other) = (host().await, host().await);
        let (aws, account) = (aws(&lab), AccountId::parse(&id(0)).expect("an id"));
        for round in 0..4 {
            let named = if round % 2 == 0 { vec![3, 4] } else { vec![1, 3] };
            let region = Region::extended(named.into_iter().map(staging).collect::<Vec<_>>());
            lab.edit(|fleet| {
                fleet.accounts.get_mut(&id(0)).expect("an account").regions = [("us-east-1".to_owned(), region)].into();
            });
            let freeze = async {
                let journal = reader(&lab, &VARIABLES);
                let until = Some(Time::of(SystemTime::now() + std::time::Duration::from_secs(60)));
                let (author, comment) = ("somebody".to_owned(), "wait".to_owned());
                let freeze = Freeze { account: id(1), until, author, comment, veto: None };
                let change =
                    |all: &mut Vec<Freeze>| if round % 2 == 0 { all.push(freeze.clone()) } else { all.clear() };
                journal.change_freezes(SystemTime::now(), change).await.expect("a write");
            };
            let number = usize::try_from(seed).expect("a number") * 10 + round;
            let done = tokio::join!(
                tick(&one),
                tick(&other),
                edit(&aws, &account, number),
                undo(&lab, &aws, &account),
                freeze
            );
            undone += usize::from(matches!(done.3, Undone::Done { .. }));
            for summary in [done.0, done.1] {
                assert!(summary.get("journalFailed").is_none(), "{summary:#}");
            }
            // Every edit is there, once.
            let stored = items(&lab).remove(&id(0)).expect("an item").staging_accounts;
            for earlier in 0..=round {
                let edited = staging(50 + usize::try_from(seed).expect("a number") * 10 + earlier);
                let found = stored.iter().filter(|entry| entry.id.as_str() == edited).count();
                assert_eq!(found, 1, "seed {seed}, round {round}: {edited}");
            }
        }
        // Left alone, the list becomes what DRS says, and people's entries.
        reader(&lab, &VARIABLES).change_freezes(SystemTime::now(), Vec::clear).await.expect("a write");
        tick(&one).await;
        assert_eq!(tick(&other).await["accountsUpdated"], json!(0));
        undone += usize::from(matches!(undo(&lab, &aws, &account).await, Undone::Done { .. }));
    }
    assert!(undone > 0, "no undo came through");
}
