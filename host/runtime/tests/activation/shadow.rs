//! A policy in the shadow decides on the same observations, without effect and without cost.

use serde_json::json;
use staging_sync_lab::Lab;
use staging_sync_runtime::policy::{Limits, Policy, Release};
use staging_sync_runtime::tick::Policies;
use staging_sync_runtime::{Event, Runtime, Tick};
use std::sync::Arc;

use crate::guest::{ADDED, Guest};
use crate::support::{self, id, stored_ids, targets};
use crate::{folder, publish, service, tick, trapping, version};

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_nothing_and_costs_no_call() {
    let fleet = || targets((0..10).map(|_| (vec!["333333333333".into()], vec![])));
    let alone = {
        let (lab, folder) = (Lab::start(fleet()).await.expect("a lab"), folder());
        tick(&service(&lab, &publish(folder.path(), &version("1.0.0"), None, None), &[])).await;
        lab.calls().len()
    };
    for shadow in [version("2.0.0"), trapping("2.0.0"), Guest { sync: "(loop $l (br $l))".into(), ..version("2.0.0") }]
    {
        let (lab, folder) = (Lab::start(fleet()).await.expect("a lab"), folder());
        let path = publish(folder.path(), &version("1.0.0"), None, Some(&shadow));
        let summary = tick(&service(&lab, &path, &[("POLICY_FUEL", "20000000")])).await;
        assert_eq!(summary[id(1)], json!(0));
        assert_eq!(lab.calls().len(), alone, "{shadow:?}");
        assert_eq!(stored_ids(&lab), vec![["333333333333", ADDED]; 10]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_differences_are_counted() {
    let lab = Lab::start(targets((0..3).map(|_| (vec!["333333333333".into()], vec![])))).await.expect("a lab");
    let variables = [("MAX_REMOVALS_PERCENT", "100")];
    let (config, live) = support::config_and_live(&lab, &variables, support::patience()).expect("a configuration");
    let release = async |settings: &str| {
        Arc::new(Release::new(support::policy().await, settings).await.expect("accepted settings"))
    };
    let policies = Policies {
        shadow: Some(release(r#"{"removals": "none"}"#).await),
        ..Policies::only((*release("{}").await).clone())
    };
    let runtime = Arc::new(Runtime::new(config, policies, Arc::new(live)));
    let tick = async || {
        let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a report");
        (report.shadow.different, report.shadow.failed, report.counts.updated)
    };
    assert_eq!(tick().await, (3, 0, 3), "the shadow would remove nothing");
    assert_eq!(tick().await, (0, 0, 0), "and then nothing is left to differ on");
    assert_eq!(stored_ids(&lab), vec![Vec::<String>::new(); 3]);
}

/// A shadow has a budget of its own: whatever it does costs the accounts nothing, and it's off when it has failed often.
#[tokio::test(flavor = "multi_thread")]
async fn a_looping_shadow_does_not_starve_the_fleet() {
    let fleet = targets((0..120).map(|_| (vec!["333333333333".into()], vec!["444444444444".into()])));
    let lab = Lab::start(fleet).await.expect("a lab");
    let (config, live) = support::config_and_live(&lab, &[], support::patience()).expect("a configuration");
    let looping = Guest { sync: "(loop $l (br $l))".into(), everywhere: true, ..version("2.0.0") };
    let limits = Limits { fuel: 20_000_000, ..Limits::default() };
    let shadow = Policy::from_bytes(&looping.component(), limits).await.expect("a policy");
    let active = Release::new(support::policy().await, "{}").await.expect("accepted settings");
    let shadow = Some(Arc::new(Release::new(shadow, "{}").await.expect("accepted settings")));
    let runtime = Arc::new(Runtime::new(config, Policies { shadow, ..Policies::only(active) }, Arc::new(live)));
    let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a report");
    assert_eq!(report.counts.updated, 120);
    assert_eq!((report.shadow.failed, report.shadow.compared + report.shadow.not_compared), (10, 120));
}
