//! Quotas of AWS below what a tick would send: accounts wait for their calls, and none fails for that.

use std::time::Duration;

use staging_sync_lab::{Fault, Fleet, Lab, Per, Service};
use staging_sync_runtime::aws::sdk_api::Patience;
use staging_sync_runtime::{Event, Tick};
use tokio::time::Instant;

use crate::support::{policy, runtime, targets};

/// So many accounts, each with something to add.
fn fleet(accounts: usize) -> Fleet {
    targets((0..accounts).map(|_| (vec![], vec!["300000000001".into()])))
}

fn quota(service: Service, operation: &str, per_second: u32, per: Option<Per>) -> Fault {
    Fault {
        service: Some(service),
        operation: Some(operation.into()),
        beyond_per_second: Some(per_second),
        per,
        ..Fault::error("ThrottlingException")
    }
}

/// The numbers of updated and of failed accounts of a tick with these quotas.
async fn tick(fleet: Fleet, quotas: Vec<Fault>, concurrency: &str) -> (usize, usize) {
    tick_with(fleet, quotas, concurrency, Patience::default()).await
}

async fn tick_with(mut fleet: Fleet, quotas: Vec<Fault>, concurrency: &str, patience: Patience) -> (usize, usize) {
    fleet.faults.extend(quotas);
    let lab = Lab::start(fleet).await.expect("a lab");
    let variables = [("MAX_CONCURRENCY", concurrency)];
    let runtime = runtime(&lab, &variables, policy().await, patience).await.expect("a runtime");
    let deadline = Some(Instant::now() + Duration::from_secs(280));
    let tick = Tick { deadline, ..Tick::of(Event::of("sync_staging_accounts")) };
    let counts = runtime.tick(tick, |_, _| ()).await.expect("a summary").counts;
    (counts.updated, counts.failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_fails_because_sts_takes_few_calls_a_second() {
    let quotas = vec![quota(Service::Sts, "AssumeRole", 40, None)];
    assert_eq!(tick(fleet(120), quotas, "128").await, (120, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_fails_because_drs_takes_few_calls_of_an_account_a_second() {
    let mut fleet = fleet(4);
    fleet.regions = (1..=12).map(|number| format!("eu-west-{number}")).chain(["us-east-1".into()]).collect();
    let quotas = vec![quota(Service::Drs, "ListStagingAccounts", 2, Some(Per::Account))];
    assert_eq!(tick(fleet, quotas, "128").await, (4, 0));
}

/// One account that DRS always throttles costs the others nothing: they are decided before it's given up.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_always_throttled_slows_down_no_other() {
    let mut fleet = fleet(40);
    let bad = crate::support::id(7);
    fleet.faults.push(Fault {
        service: Some(Service::Drs),
        account: Some(bad.clone()),
        ..Fault::error("ThrottlingException")
    });
    let lab = Lab::start(fleet).await.expect("a lab");
    let patience = Patience { throttled: Duration::from_secs(2), ..Patience::default() };
    let runtime = runtime(&lab, &[], policy().await, patience).await.expect("a runtime");
    let counts = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary").counts;
    assert_eq!((counts.updated, counts.failed), (39, 1));
    // The others had all their answers before the bad one had its second throttled one.
    let calls = lab.calls();
    let bad_ones = || calls.iter().enumerate().filter(|(_, call)| call.error.as_deref() == Some("ThrottlingException"));
    let third = bad_ones().nth(2).map(|(place, _)| place).expect("it's tried again");
    let listed = calls.iter().take(third).filter(|call| call.operation == "ListStagingAccounts").count();
    assert_eq!(listed, 39 + 2);
}

/// What the quotas of a large fleet come to: as in the field, more calls than STS and DRS take, and no account fails.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_accounts_in_34_regions_are_done_within_the_quotas() {
    let mut fleet = fleet(200);
    fleet.regions = (1..=33).map(|number| format!("eu-west-{number}")).chain(["us-east-1".into()]).collect();
    let quotas = vec![
        quota(Service::Sts, "AssumeRole", 50, None),
        quota(Service::Drs, "ListStagingAccounts", 10, Some(Per::Account)),
    ];
    assert_eq!(tick(fleet, quotas, "128").await, (200, 0));
}

/// The wait for a permit of our own isn't a time-out of AWS, however long it is: here ten times as long as an answer may take.
#[tokio::test(flavor = "multi_thread")]
async fn no_account_fails_because_its_calls_wait_for_permits() {
    let mut fleet = fleet(6);
    fleet.regions = (1..=19).map(|number| format!("eu-west-{number}")).chain(["us-east-1".into()]).collect();
    fleet.faults.push(Fault { service: Some(Service::Drs), ..Fault::latency(500) });
    let patience = Patience { read: Duration::from_secs(1), ..Patience::default() };
    assert_eq!(tick_with(fleet, vec![], "4", patience).await, (6, 0));
}
