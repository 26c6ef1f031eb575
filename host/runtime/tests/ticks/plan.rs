//! A dry run and its plan against a tick: the same table to the byte, and no edit made between the two is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use staging_sync_lab::{Fleet, Lab, Mutate};
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Access, Aws};
use staging_sync_runtime::journal::freezes::Freezes;
use staging_sync_runtime::plan::{self, Applied, Plan, Status};
use staging_sync_runtime::tick::{Report, instant_text};
use staging_sync_runtime::{Event, Tick};

use crate::model::{Target, fleet, id, mostly_empty, target};
use crate::support::{config_and_live, patience, policy, runtime};

/// What somebody else does to an account between plan and apply.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Edit {
    None,
    /// Another attribute than the list.
    Renames,
    AddsAnEntry,
    /// An attribute of an entry; none where there's no entry.
    EditsAnEntry,
    EmptiesTheList,
    DeletesTheItem,
}

async fn tick(lab: &Lab, now: std::time::SystemTime, dry_run: bool) -> Report {
    let runtime = runtime(lab, &[], policy().await, patience()).await.expect("a runtime");
    let event = Event { dry_run: Some(dry_run), ..Event::of("sync_staging_accounts") };
    runtime.tick(Tick { now, ..Tick::of(event) }, |_, _| ()).await.expect("a summary")
}

/// The plan of a dry run, written to text and read again.
async fn planned(lab: &Lab, now: std::time::SystemTime) -> Plan {
    let report = tick(lab, now, true).await;
    let plan = Plan {
        format: plan::FORMAT,
        planned_at: report.tick.now,
        table: "targets".into(),
        region: "us-east-1".into(),
        policy: report.policy,
        event: json!({"operation": "sync_staging_accounts"}),
        accounts: report.planned,
    };
    Plan::read(&plan.text()).expect("a plan that its program reads")
}

async fn apply(lab: &Lab, plan: &Plan, now: std::time::SystemTime, dry_run: bool) -> Vec<Applied> {
    let (config, live): (_, SdkApi) = config_and_live(lab, &[], patience()).expect("a way to the lab");
    let aws = Aws::new(Arc::new(live), config.table, &Access { listings: Vec::new(), updates: true });
    let now = instant_text(now);
    let freezes = (&Freezes::default(), SystemTime::now());
    plan::apply(plan, &plan::Applying { aws: &aws, now: &now, dry_run, at_once: 4, freezes, journal: None }).await
}

fn edit(lab: &Lab, id: &str, edit: Edit) {
    let items = lab.plain_items().expect("items");
    let Some(item) = items.iter().find(|item| item["accountId"] == id) else { return };
    let mut list = item["stagingAccounts"].as_array().cloned().unwrap_or_default();
    let set = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
    let mutate = Mutate { key: Some(id.to_owned()), ..Mutate::default() };
    let mutate = match edit {
        Edit::None => return,
        Edit::Renames => Mutate { set: set("accountName", "Renamed".into()), ..mutate },
        Edit::DeletesTheItem => Mutate { delete: true, ..mutate },
        Edit::EmptiesTheList => Mutate { set: set("stagingAccounts", json!([])), ..mutate },
        Edit::AddsAnEntry => {
            list.push(json!({"accountId": "300000000001", "addedBy": "an operator"}));
            Mutate { set: set("stagingAccounts", list.into()), ..mutate }
        }
        Edit::EditsAnEntry => {
            if let Some(entry) = list.first_mut() {
                entry["note"] = "edited".into();
            }
            Mutate { set: set("stagingAccounts", list.into()), ..mutate }
        }
    };
    lab.update_item(&mutate).expect("an edit");
}

fn by_id(items: Vec<Value>) -> BTreeMap<String, Value> {
    items.into_iter().map(|item| (item["accountId"]["S"].as_str().unwrap_or_default().to_owned(), item)).collect()
}

async fn start(fleet: Fleet) -> Lab {
    Lab::start(fleet).await.expect("a lab")
}

/// Without an edit, plan and apply is a tick.
async fn same_as_a_tick(targets: Vec<Target>) -> Result<(), TestCaseError> {
    let (one, other) = (start(fleet(&targets)).await, start(fleet(&targets)).await);
    let now = std::time::SystemTime::now();
    let before = one.items().expect("items");
    let plan = planned(&one, now).await;
    apply(&one, &plan, now, true).await;
    prop_assert_eq!(one.items().expect("items"), before, "neither dry run writes");
    for applied in apply(&one, &plan, now, false).await {
        prop_assert_eq!(applied.status, Status::Applied);
    }
    let updated = tick(&other, now, false).await.counts.updated;
    prop_assert_eq!(plan.accounts.len(), updated);
    let after = other.items().expect("items");
    prop_assert_eq!(&one.items().expect("items"), &after);
    for applied in apply(&one, &plan, now, false).await {
        prop_assert_eq!(applied.status, Status::AlreadyAsPlanned);
    }
    prop_assert_eq!(&one.items().expect("items"), &after, "the second time there's nothing to do");
    Ok(())
}

/// An account whose list was edited keeps what the edit made of it; the others get what was planned.
async fn no_edit_is_lost(targets: Vec<(Target, Edit)>) -> Result<(), TestCaseError> {
    let (targets, edits): (Vec<Target>, Vec<Edit>) = targets.into_iter().unzip();
    let lab = start(fleet(&targets)).await;
    let now = std::time::SystemTime::now();
    let plan = planned(&lab, now).await;
    for (number, what) in edits.iter().enumerate() {
        edit(&lab, &id(number), *what);
    }
    let before = by_id(lab.items().expect("items"));
    let applied = apply(&lab, &plan, now, false).await;
    let after = by_id(lab.items().expect("items"));
    prop_assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "no item comes or goes");
    for (number, what) in edits.iter().enumerate() {
        let id = id(number);
        let Some(applied) = applied.iter().find(|one| one.account_id.as_str() == id) else {
            prop_assert_eq!(before.get(&id), after.get(&id), "an account that isn't planned is left alone");
            continue;
        };
        let planned = plan.accounts.iter().find(|one| one.account_id.as_str() == id).expect("its change");
        let list_as_read = matches!(what, Edit::None | Edit::Renames)
            || (*what == Edit::EditsAnEntry && planned.condition.staging_accounts.is_empty())
            || (*what == Edit::EmptiesTheList && planned.condition.staging_accounts.is_empty());
        match &applied.status {
            Status::Applied => {
                prop_assert!(list_as_read, "{:?} is overwritten", what);
                let (mut was, mut is) = (before[&id].clone(), after[&id].clone());
                for item in [&mut was, &mut is] {
                    item.as_object_mut()
                        .expect("an item")
                        .retain(|name, _| name != "stagingAccounts" && name != "updatedAt");
                }
                prop_assert_eq!(was, is, "another attribute is left alone");
            }
            other => {
                prop_assert!(!list_as_read, "{:?}: {:?}", what, other);
                prop_assert_eq!(before.get(&id), after.get(&id), "nothing is written");
                // Only where all that is to be added is there, and nothing of what is to be removed.
                let emptied = *what == Edit::EmptiesTheList && planned.added.is_empty();
                prop_assert_eq!(*other == Status::AlreadyAsPlanned, emptied, "{:?}", other);
            }
        }
    }
    Ok(())
}

fn edits() -> impl Strategy<Value = Edit> {
    use Edit::*;
    prop::sample::select(vec![None, None, Renames, AddsAnEntry, EditsAnEntry, EmptiesTheList, DeletesTheItem])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_plan_that_is_applied_is_a_tick(targets in prop::collection::vec(prop_oneof![target(), mostly_empty()], 1..7)) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(same_as_a_tick(targets))?;
    }

    #[test]
    fn an_edit_after_the_plan_is_never_lost(targets in prop::collection::vec((target(), edits()), 1..7)) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(no_edit_is_lost(targets))?;
    }
}
