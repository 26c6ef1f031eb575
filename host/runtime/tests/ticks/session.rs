//! Sessions of the target accounts' roles: whose they are, and how long they are kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use staging_sync_lab::Lab;
use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::aws::{Access, Aws, AwsApi, Known};
use staging_sync_runtime::target::Target;

use crate::support::{config_and_live, id, patience, targets};

/// Two policies on one way to AWS, the first of which may do less in a target account than the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_of_a_role_and_a_session_policy() {
    let lab = Lab::start(targets([(vec![], vec![id(7)])])).await.expect("a lab");
    let (config, live) = config_and_live(&lab, &[], patience()).expect("a configuration");
    let (aws_api, known): (Arc<dyn AwsApi>, _) = (Arc::new(live), Known::new(12));
    let (items, _) = of(&aws_api, &known, &config.table, &[]).scan_page(None, None).await.expect("a page");
    let role = Target::read(&items[0]).expect("a target").role().expect("a role");
    let regions = ["us-east-1".to_owned()];
    let none = BTreeSet::new();
    for listings in [&[Listing::SourceServers][..], &[Listing::StagingAccounts], &[Listing::SourceServers]] {
        let aws = of(&aws_api, &known, &config.table, listings);
        let answers = aws.discover(&role, listings[0], &regions, &none, &|_| false).await.expect("answers");
        assert_eq!(answers[0].error, None, "{listings:?}");
        assert!(answers[0].staging_account_ids().contains(&id(7)), "{listings:?}");
    }
    let assumed = lab.calls().into_iter().filter(|call| call.operation == "AssumeRole").count();
    assert_eq!(assumed, 2, "one session for each session policy, and each is used again");
}

fn of(aws_api: &Arc<dyn AwsApi>, known: &Arc<Known>, table: &str, listings: &[Listing]) -> Aws {
    let access = Access { listings: listings.to_vec(), updates: false };
    Aws::new(Arc::clone(aws_api), table, &access).knowing(Arc::clone(known))
}
