//! Tests of the decision against a host that does as the WIT package says.

use proptest::prelude::*;

use super::*;
use crate::diff::ADDED_BY;
use crate::fixture::{TARGET, account, broken, entry as stored, error, id, listing, receipt, tick, view};

/// What the host was asked for, and what the policy made of it.
struct Run {
    asked: Option<Vec<String>>,
    change: Option<Change>,
    outcome: Outcome,
}

/// Decides `account` with a host that answers `views` and takes every change.
fn run(tick: &Tick, account: &Account, views: Result<Vec<RegionView>, AwsError>) -> Run {
    let mut asked = None;
    let mut change = None;
    let discover = |regions: &[String]| {
        asked = Some(regions.to_vec());
        views
    };
    let update = |asked: &Change| {
        change = Some(asked.clone());
        let added = Vec::from_iter(asked.add.iter().map(|new| new.id.clone()));
        let before = account.staging_accounts.len();
        receipt(before, added, asked.remove.clone(), vec![])
    };
    let outcome = decide(tick, account, discover, update);
    Run { asked, change, outcome }
}

fn both(first: &[u8], second: &[u8]) -> Result<Vec<RegionView>, AwsError> {
    Ok(vec![view("eu-west-1", first), view("us-east-1", second)])
}

#[test]
fn skipped_without_a_call() {
    let mut hub = account(&[stored(1, None)]);
    hub.is_current = true;
    let run = run(&tick("{}"), &hub, both(&[2], &[]));
    assert_eq!((run.asked, run.change), (None, None));
    assert_eq!(run.outcome.status, Status::Skipped);
    assert_eq!(run.outcome.reason.as_deref(), Some("Current account - no staging accounts"));
}

#[test]
fn adds_complete_entries_and_removes_stale_ones() {
    let run = run(&tick("{}"), &account(&[stored(4, None), stored(1, None)]), both(&[TARGET, 3], &[1, 2, 3]));
    let change = run.change.unwrap();
    assert_eq!(change.remove, [id(4)]);
    let names = change.add.iter().map(|entry| (entry.id.clone(), entry.discovered_from.as_str()));
    assert!(names.eq([(id(2), "us-east-1"), (id(3), "eu-west-1")]));
    let expected = NewStagingAccount {
        id: id(2),
        name: "Staging Account 000000000002".into(),
        role_arn: "arn:aws-us-gov:iam::000000000002:role/DRSOrchestrationRole".into(),
        external_id: "drs-orchestration-000000000002".into(),
        discovered_from: "us-east-1".into(),
    };
    assert_eq!(change.add[0], expected);

    assert_eq!(run.asked, Some(vec![]), "no region named: all of the tick's");
    assert_eq!(run.outcome.status, Status::Updated);
    assert_eq!((run.outcome.added, run.outcome.removed), (vec![id(2), id(3)], vec![id(4)]));
    assert_eq!(run.outcome.staging_account_count, 3);
}

#[test]
fn settings_shape_the_entry() {
    let mut target = account(&[]);
    target.role_arn = Some("not an ARN".into());
    let settings = r#"{"stagingRoleName": "Sync", "externalIdTemplate": "fixed"}"#;
    let change = run(&tick(settings), &target, both(&[1], &[])).change.unwrap();
    assert_eq!(change.add[0].role_arn, "arn:aws:iam::000000000001:role/Sync");
    assert_eq!(change.add[0].external_id, "fixed");
}

#[test]
fn unchanged_counts_the_stored_entries() {
    let run = run(&tick("{}"), &account(&[stored(1, None), stored(2, None)]), both(&[2], &[1]));
    assert_eq!(run.change, None);
    assert_eq!((run.outcome.status, run.outcome.staging_account_count), (Status::Unchanged, 2));
    assert_eq!((run.outcome.extra, run.outcome.error), (None, None));
}

#[test]
fn a_refused_discovery_fails() {
    let run = run(&tick("{}"), &account(&[stored(1, None)]), Err(error("AccessDenied", "no sts:AssumeRole")));
    assert_eq!(run.change, None);
    assert_eq!(run.outcome.status, Status::Failed);
    assert_eq!(run.outcome.error.as_deref(), Some("AWS: AccessDenied: no sts:AssumeRole"));
}

#[test]
fn settings_that_do_not_fit_fail_without_a_call() {
    let mut nowhere = tick("{}");
    nowhere.regions.clear();
    for (tick, words) in [
        (
            tick(r#"{"regions": ["us-east-1", "sa-east-1"]}"#),
            &["names sa-east-1,", "POLICY_SETTINGS", "DRS_REGIONS"][..],
        ),
        (tick(r#"{"removals": 1, "x": 1}"#), &["$.removals: ", "$.x: "]),
        (nowhere, &["DRS_REGIONS"]),
    ] {
        let run = run(&tick, &account(&[stored(1, None)]), both(&[], &[]));
        assert_eq!((run.asked, run.change), (None, None));
        assert_eq!(run.outcome.status, Status::Failed);
        let error = run.outcome.error.unwrap();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn some_regions_only_keep_what_they_do_not_name() {
    let target = account(&[stored(3, Some(ADDED_BY)), stored(1, None)]);
    let limited = run(&tick(r#"{"regions": ["us-east-1"]}"#), &target, Ok(vec![view("us-east-1", &[])]));
    assert_eq!(limited.asked, Some(vec!["us-east-1".to_string()]));
    assert_eq!((limited.change, limited.outcome.status), (None, Status::Unchanged));
    assert_eq!(limited.outcome.extra.as_deref(), Some(r#"{"kept":["000000000001","000000000003"]}"#));
    assert_eq!(limited.outcome.held_removals, [""; 0]);

    // All of them, in another order, are no limit.
    let all = run(&tick(r#"{"regions": ["us-east-1", "eu-west-1"]}"#), &target, both(&[], &[]));
    assert_eq!(all.outcome.removed, [id(1), id(3)]);
}

#[test]
fn incomplete_with_nothing_to_add_fails() {
    let views = vec![
        broken("us-east-1", &[], "AccessDeniedException", "no"),
        broken("eu-west-1", &[2], "ThrottlingException", "Rate exceeded"),
    ];
    let run = run(&tick("{}"), &account(&[stored(1, None), stored(2, None)]), Ok(views));
    assert_eq!(run.change, None);
    assert_eq!(run.outcome.status, Status::Failed);
    assert_eq!(
        run.outcome.error.as_deref(),
        Some("AWS: ThrottlingException in eu-west-1 (Rate exceeded); AccessDeniedException in us-east-1 (no)")
    );
    assert_eq!(
        (run.outcome.held_removals, run.outcome.held_reason),
        (vec![id(1)], Some("Incomplete discovery".into()))
    );
}

#[test]
fn incomplete_still_adds() {
    let target = account(&[stored(1, None)]);
    let run = run(&tick("{}"), &target, Ok(vec![view("us-east-1", &[2])]));
    assert_eq!(run.outcome.status, Status::Updated);
    assert_eq!((run.outcome.added, run.outcome.held_removals), (vec![id(2)], vec![id(1)]));
    let missing = RegionError { region: "eu-west-1".into(), code: "NoAnswer".into() };
    assert_eq!(run.outcome.incomplete_regions, [missing]);
}

#[test]
fn a_message_is_said_once() {
    let unread = ["a", "b"].map(|region| (region.to_string(), error("Denied", "no")));
    assert_eq!(describe(&BTreeMap::from(unread)), "AWS: Denied in a (no); Denied in b");
}

#[test]
fn what_the_host_holds_is_reported() {
    let target = account(&[stored(1, None), stored(2, None)]);
    let decided = |removed, held| {
        let update = |_: &Change| receipt(2, vec![], removed, held);
        decide(&tick("{}"), &target, |_| both(&[], &[]), update)
    };
    let all = decided(vec![], vec![id(1), id(2)]);
    assert_eq!(all.status, Status::Failed);
    assert_eq!(all.error.as_deref(), Some("Removals held: seen once only"));
    assert_eq!(all.held_removals, [id(1), id(2)]);
    assert_eq!(all.staging_account_count, 2);

    let some = decided(vec![id(1)], vec![id(2)]);
    assert_eq!(some.status, Status::Updated);
    assert_eq!((some.removed, some.held_removals), (vec![id(1)], vec![id(2)]));
    assert_eq!(some.held_reason.as_deref(), Some("seen once only"));
}

proptest! {
    /// Whatever is stored and said: nothing is removed if a region is unread or removals are off, what was
    /// found is added regardless, and the outcome tells which.
    #[test]
    fn unknown_is_never_empty(
        entries in prop::collection::vec((0..8u8, any::<bool>()), 0..8),
        named in prop::collection::vec(0..8u8, 0..6),
        unread in any::<bool>(),
        settings in prop::sample::select(vec!["{}", r#"{"removals": "own"}"#, r#"{"removals": "none"}"#]),
    ) {
        let target = listing(&entries);
        let code = unread.then_some("TimeoutError");
        let second = RegionView { error: code.map(|code| error(code, "")), ..view("us-east-1", &[]) };
        let run = run(&tick(settings), &target, Ok(vec![view("eu-west-1", &named), second]));
        let outcome = run.outcome;

        let missing = named.iter().any(|n| *n != TARGET && entries.iter().all(|(stored, _)| stored != n));
        prop_assert_eq!(missing, !outcome.added.is_empty());
        let expected = match (run.change.is_some(), unread) {
            (true, _) => Status::Updated,
            (false, true) => Status::Failed,
            (false, false) => Status::Unchanged,
        };
        prop_assert_eq!(outcome.status, expected);
        prop_assert_eq!(outcome.error.is_some(), expected == Status::Failed);
        if unread || settings.contains("none") {
            prop_assert!(run.change.is_none_or(|change| change.remove.is_empty()));
        } else {
            prop_assert!(outcome.held_removals.is_empty());
        }
    }
}
