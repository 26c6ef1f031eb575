//! Random fleets with random faults: what every tick makes of table and summary, against a model of the rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use staging_sync_lab::{Account, Fault, Fleet, Lab, Region, Role};
use staging_sync_runtime::{Event, Tick};

use crate::support::{patience, policy, runtime};

/// The first is one that an account can be without.
const REGIONS: [&str; 2] = ["af-south-1", "us-east-1"];
const ROLE: &str = "DRSOrchestrationRole";

/// What a target account is to the sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Current,
    NoRole,
    RoleOfAnother,
    Denied,
    Malformed,
    Fine,
}

/// How a region answers.
#[derive(Debug, Clone)]
pub enum Answer {
    Names(BTreeSet<u8>),
    /// Throttles twice first, which is within the tries of a call.
    NamesInTheEnd(BTreeSet<u8>),
    /// The list breaks off after a page with the target itself and one more.
    BreaksOff(BTreeSet<u8>),
    Fails(&'static str),
    IsMalformed,
    IsUninitialized,
    IsNotOptedIn,
}

#[derive(Debug, Clone)]
pub struct Target {
    kind: Kind,
    stored: Vec<u8>,
    answers: [Answer; 2],
}

pub fn id(number: usize) -> String {
    format!("1000000000{number:02}")
}

fn staging(number: &u8) -> String {
    format!("2000000000{number:02}")
}

impl Answer {
    /// The ids that are found in a region, and whether those are all.
    fn found(&self, region: &str) -> (BTreeSet<u8>, bool) {
        match self {
            Self::Names(ids) | Self::NamesInTheEnd(ids) => (ids.clone(), true),
            Self::BreaksOff(ids) if ids.len() > 1 => (ids.iter().take(1).copied().collect(), false),
            Self::BreaksOff(ids) => (ids.clone(), true),
            Self::Fails(_) | Self::IsMalformed => (BTreeSet::new(), false),
            Self::IsUninitialized => (BTreeSet::new(), true),
            Self::IsNotOptedIn => (BTreeSet::new(), region == REGIONS[0]),
        }
    }

    fn truth(&self) -> BTreeSet<u8> {
        match self {
            Self::Names(ids) | Self::NamesInTheEnd(ids) | Self::BreaksOff(ids) => ids.clone(),
            _ => BTreeSet::new(),
        }
    }
}

/// What a tick must make of an account.
#[derive(Debug, PartialEq)]
struct Expected {
    status: &'static str,
    added: BTreeSet<u8>,
    removed: BTreeSet<u8>,
    held: BTreeSet<u8>,
}

/// The rules of the design, in a few lines.
fn model(kind: Kind, stored: &BTreeSet<u8>, answers: &[Answer; 2]) -> Expected {
    let nothing = |status| Expected { status, added: [].into(), removed: [].into(), held: [].into() };
    match kind {
        Kind::Current | Kind::NoRole => return nothing("skipped"),
        Kind::RoleOfAnother | Kind::Denied | Kind::Malformed => return nothing("failed"),
        Kind::Fine => {}
    }
    if answers.iter().all(|answer| matches!(answer, Answer::IsNotOptedIn)) {
        return nothing("failed");
    }
    let answers = || answers.iter().zip(REGIONS);
    let complete = answers().all(|(answer, region)| answer.found(region).1);
    let found: BTreeSet<u8> = answers().flat_map(|(answer, region)| answer.found(region).0).collect();
    let added = &found - stored;
    let stale = stored - &found;
    let (removed, held) = if complete { (stale, [].into()) } else { ([].into(), stale) };
    let status = match (added.is_empty() && removed.is_empty(), complete) {
        (false, _) => "updated",
        (true, true) => "unchanged",
        (true, false) => "failed",
    };
    Expected { status, added, removed, held }
}

pub fn fleet(targets: &[Target]) -> Fleet {
    let mut fleet = Fleet { regions: REGIONS.map(Into::into).into(), ..Fleet::default() };
    for (number, target) in targets.iter().enumerate() {
        let id = id(number);
        let entry = |number: &u8| json!({"accountId": staging(number), "note": format!("of {number}")});
        let mut item = json!({
            "accountId": id,
            "roleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
            "stagingAccounts": target.stored.iter().map(entry).collect::<Vec<_>>(),
        });
        match target.kind {
            Kind::Current => item["isCurrentAccount"] = true.into(),
            Kind::NoRole => item["roleArn"] = "".into(),
            Kind::RoleOfAnother => item["roleArn"] = format!("arn:aws:iam::999988887777:role/{ROLE}").into(),
            Kind::Malformed => item["stagingAccounts"] = json!("none"),
            Kind::Denied | Kind::Fine => {}
        }
        fleet.targets.extend(item.as_object().cloned());
        let roles = if target.kind == Kind::Denied { BTreeMap::new() } else { [(ROLE.into(), Role::default())].into() };
        let mut account = Account { roles, page_size: Some(2), ..Account::default() };
        for (region, answer) in REGIONS.iter().zip(&target.answers) {
            let answers = match answer {
                Answer::IsUninitialized => Region::Uninitialized,
                Answer::IsNotOptedIn => Region::NotOptedIn,
                other => Region::extended(other.truth().iter().map(staging)),
            };
            account.regions.insert(region.to_string(), answers);
            let here = |fault: Fault| Fault {
                account: Some(id.clone()),
                region: Some(region.to_string()),
                operation: Some("ListStagingAccounts".into()),
                ..fault
            };
            fleet.faults.extend(match answer {
                Answer::NamesInTheEnd(_) => Some(here(Fault { times: Some(2), ..Fault::error("ThrottlingException") })),
                Answer::BreaksOff(_) => Some(here(Fault { page: Some(2), ..Fault::reset() })),
                Answer::Fails(code) => Some(here(Fault::error(code))),
                Answer::IsMalformed => Some(here(Fault::body(r#"{"accounts": "none"}"#))),
                _ => None,
            });
        }
        fleet.accounts.insert(id, account);
    }
    fleet
}

/// The stored entries of every account, as they are.
fn lists(lab: &Lab) -> Vec<Vec<Value>> {
    let items = lab.plain_items().expect("items");
    items.iter().map(|item| item["stagingAccounts"].as_array().cloned().unwrap_or_default()).collect()
}

fn ids(entries: &[Value]) -> BTreeSet<u8> {
    let number = |entry: &Value| entry["accountId"].as_str()?.get(10..)?.parse().ok();
    entries.iter().filter_map(number).collect()
}

fn check(
    targets: &[Target],
    before: &[Vec<Value>],
    after: &[Vec<Value>],
    summary: &Value,
) -> Result<(), TestCaseError> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for (number, target) in targets.iter().enumerate() {
        let (before, after) = (&before[number], &after[number]);
        let detail = &summary["details"][number];
        prop_assert_eq!(&detail["accountId"], &json!(id(number)));
        let of = |name: &str| -> BTreeSet<u8> {
            let list = detail[name].as_array().into_iter().flatten();
            list.filter_map(|id| id.as_str()?.get(10..)?.parse().ok()).collect()
        };
        let status = detail["status"].as_str().unwrap_or_default();
        *counts.entry(status).or_default() += 1;
        let expected = model(target.kind, &ids(before), &target.answers);
        prop_assert_eq!(status, expected.status, "{}", detail);
        let found =
            Expected { status: expected.status, added: of("added"), removed: of("removed"), held: of("heldRemovals") };
        prop_assert_eq!(&found, &expected);

        // Entries that stay are as they were and where they were; what is new comes after them, sorted.
        let stays = |entry: &&Value| !expected.removed.is_superset(&ids(std::slice::from_ref(*entry)));
        let kept: Vec<&Value> = before.iter().filter(stays).collect();
        prop_assert_eq!(after.iter().take(kept.len()).collect::<Vec<_>>(), kept.clone());
        let new: Vec<String> = after[kept.len()..]
            .iter()
            .map(|entry| entry["accountId"].as_str().unwrap_or_default().to_owned())
            .collect();
        prop_assert_eq!(new, expected.added.iter().map(staging).collect::<Vec<_>>());

        // Said once more without the model: what is gone was named by no region, and every region was read.
        for gone in &ids(before) - &ids(after) {
            for (answer, region) in target.answers.iter().zip(REGIONS) {
                let (named, complete) = answer.found(region);
                prop_assert!(complete && !named.contains(&gone), "{} is gone from {}", gone, id(number));
            }
        }
    }
    let count = |status: &str| counts.get(status).copied().unwrap_or_default();
    for (field, expected) in [
        ("totalAccounts", targets.len()),
        ("accountsProcessed", count("updated") + count("unchanged")),
        ("accountsUpdated", count("updated")),
        ("accountsSkipped", count("skipped") + count("unchanged")),
        ("accountsFailed", count("failed")),
    ] {
        prop_assert_eq!(&summary[field], &json!(expected), "{}", field);
    }
    Ok(())
}

async fn ticks(targets: Vec<Target>) -> Result<(), TestCaseError> {
    let lab = Lab::start(fleet(&targets)).await.expect("a lab");
    let variables = [("MAX_REMOVALS_PERCENT", "100")]; // what an account alone comes to
    let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
    let tick = || runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ());

    // Under the faults, twice: the second finds nothing left that it may do.
    let mut before = lists(&lab);
    for _ in 0..2 {
        let summary = tick().await.expect("a summary").summary;
        let after = lists(&lab);
        check(&targets, &before, &after, &summary)?;
        before = after;
    }
    let summary = tick().await.expect("a summary").summary;
    prop_assert_eq!(&summary["accountsUpdated"], &json!(0), "ticks under the same faults converge");

    // The faults pass: what DRS says is stored, and stays.
    lab.edit(|fleet| fleet.faults.clear());
    for _ in 0..2 {
        tick().await.expect("a summary");
        for (target, after) in targets.iter().zip(lists(&lab)) {
            let unknown = matches!(target.answers[1], Answer::IsNotOptedIn);
            if target.kind == Kind::Fine && !unknown {
                let truth: BTreeSet<u8> = target.answers.iter().flat_map(Answer::truth).collect();
                prop_assert_eq!(ids(&after), truth);
            }
        }
    }
    Ok(())
}

/// The blast radius: what a tick may do at most, whatever accounts and regions say.
async fn blast_radius(targets: Vec<Target>) -> Result<(), TestCaseError> {
    let lab = Lab::start(fleet(&targets)).await.expect("a lab");
    let runtime = runtime(&lab, &[], policy().await, patience()).await.expect("a runtime");
    for _ in 0..2 {
        let before = lists(&lab);
        runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary");
        let after = lists(&lab);
        let (mut lost, mut emptied, mut would_be) = (0, 0, 0);
        for ((target, before), after) in targets.iter().zip(&before).zip(&after) {
            let (before, after) = (ids(before), ids(after));
            lost += usize::from(!before.is_subset(&after));
            emptied += usize::from(!before.is_empty() && after.is_empty());
            let alone = model(target.kind, &before, &target.answers);
            would_be += usize::from(!before.is_empty() && alone.removed == before && alone.added.is_empty());
        }
        prop_assert!(lost <= 3, "{} of {} accounts lost staging accounts", lost, targets.len());
        let with_list = before
            .iter()
            .zip(&targets)
            .filter(|(before, target)| !before.is_empty() && target.kind != Kind::Malformed)
            .count();
        if would_be >= 3 && 2 * would_be > with_list {
            prop_assert_eq!(emptied, 0, "{} of {} would be emptied", would_be, with_list);
        }
    }
    Ok(())
}

fn some_ids() -> impl Strategy<Value = BTreeSet<u8>> {
    prop::collection::btree_set(0..6_u8, 0..5)
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => some_ids().prop_map(Answer::Names),
        1 => some_ids().prop_map(Answer::NamesInTheEnd),
        2 => some_ids().prop_map(Answer::BreaksOff),
        2 => prop::sample::select(vec!["ThrottlingException", "AccessDeniedException", "InternalServerException"])
            .prop_map(Answer::Fails),
        1 => Just(Answer::IsMalformed),
        1 => Just(Answer::IsUninitialized),
        1 => Just(Answer::IsNotOptedIn),
    ]
}

pub fn target() -> impl Strategy<Value = Target> {
    let kind = prop_oneof![
        8 => Just(Kind::Fine),
        1 => prop::sample::select(vec![
            Kind::Current, Kind::NoRole, Kind::RoleOfAnother, Kind::Denied, Kind::Malformed,
        ]),
    ];
    let stored = prop::collection::vec(0..6_u8, 0..5);
    (kind, stored, [answer(), answer()]).prop_map(|(kind, stored, answers)| Target { kind, stored, answers })
}

/// A target that DRS says nothing about, more often than not.
pub fn mostly_empty() -> impl Strategy<Value = Target> {
    let empty = (target(), prop::collection::vec(0..6_u8, 1..3)).prop_map(|(target, stored)| {
        let answers = [Answer::IsUninitialized, Answer::Names(BTreeSet::new())];
        Target { stored, answers, ..target }
    });
    prop_oneof![2 => empty, 1 => target()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tick_does_what_the_rules_say(targets in prop::collection::vec(target(), 1..6)) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(ticks(targets))?;
    }

    #[test]
    fn no_tick_goes_beyond_the_blast_radius(targets in prop::collection::vec(mostly_empty(), 1..9)) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(blast_radius(targets))?;
    }
}
