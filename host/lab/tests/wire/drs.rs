//! ListStagingAccounts and DescribeSourceServers.

use aws_sdk_drs::error::DisplayErrorContext;
use aws_sdk_drs::types::{DescribeSourceServersRequestFilters, ExtensionStatus};
use staging_sync_lab::Region;

use crate::support::*;

#[tokio::test]
async fn staging_accounts_come_with_the_account_itself() {
    let lab = lab().await;
    let session = assume(&lab, None).await;
    let answer = drs(&lab, session, "eu-west-1").list_staging_accounts().send().await.unwrap();
    let ids: Vec<_> = answer.accounts().iter().filter_map(|account| account.account_id()).collect();
    assert_eq!(ids, [TARGET, "444455556666", "777788889999"]);
    assert_eq!(answer.next_token(), None);
}

#[tokio::test]
async fn source_servers_show_where_they_are_staged() {
    let lab = lab().await;
    let client = drs(&lab, assume(&lab, None).await, "us-east-1");
    let answer = client.describe_source_servers().send().await.unwrap();
    let [extended, own] = answer.items() else { panic!("{answer:?}") };
    let staging = extended.staging_area().unwrap();
    assert_eq!(extended.source_server_id(), Some("s-0a1b2c3d4e5f60001"));
    assert_eq!(staging.status(), Some(&ExtensionStatus::Extended));
    assert_eq!(staging.staging_account_id(), Some("777788889999"));
    let hints = extended.source_properties().unwrap().identification_hints().unwrap();
    assert_eq!(hints.hostname(), Some("web-01"));
    assert_eq!(own.staging_area().unwrap().status(), Some(&ExtensionStatus::NotExtended));

    let filter = DescribeSourceServersRequestFilters::builder().staging_account_ids("777788889999").build();
    let filtered = client.describe_source_servers().filters(filter).send().await.unwrap();
    assert_eq!(filtered.items(), std::slice::from_ref(extended));
}

#[tokio::test]
async fn regions_that_cannot_answer_say_why() {
    let lab = lab().await;
    let session = assume(&lab, None).await;
    for (region, status, code) in [
        ("ap-south-1", 400, "UninitializedAccountException"), // in no list
        ("eu-central-1", 403, "UnrecognizedClientException"),
    ] {
        let answer = drs(&lab, session.clone(), region).list_staging_accounts().send().await;
        assert_eq!(failure(answer), (status, code.into()), "{region}");
    }
    let hub = drs(&lab, hub(&lab), "eu-west-1").list_staging_accounts().send().await;
    assert_eq!(failure(hub), (403, "AccessDeniedException".into()));
}

#[tokio::test]
async fn more_than_fifty_ids_take_two_pages() {
    let ids: Vec<String> = (0..51).map(|n| format!("3000000000{n:02}")).collect();
    let lab = lab_with(|fleet| {
        fleet.accounts.get_mut(TARGET).unwrap().regions.insert("eu-west-1".into(), Region::extended(&ids));
    })
    .await;
    let client = drs(&lab, assume(&lab, None).await, "eu-west-1");
    let first = client.list_staging_accounts().send().await.unwrap();
    assert_eq!(first.accounts().len(), 50);
    let token = first.next_token().unwrap();
    let second = client.list_staging_accounts().next_token(token).send().await.unwrap();
    assert_eq!((second.accounts().len(), second.next_token()), (2, None)); // the account itself is the 52nd
    assert_eq!(lab.calls().iter().filter(|call| call.page_token).count(), 1);

    let garbage = client.list_staging_accounts().next_token("garbage").send().await;
    assert_eq!(failure(garbage), (400, "ValidationException".into()));
    let elsewhere = drs(&lab, assume(&lab, None).await, "us-east-1").list_staging_accounts().next_token(token);
    assert_eq!(failure(elsewhere.send().await), (400, "ValidationException".into()));
    let too_many = client.list_staging_accounts().max_results(51).send().await;
    assert_eq!(failure(too_many), (400, "ValidationException".into()));
}

#[tokio::test]
async fn a_small_page_size_and_an_edit_of_the_fleet_take_effect() {
    let lab = lab().await;
    let client = drs(&lab, assume(&lab, None).await, "eu-west-1");
    lab.edit(|fleet| fleet.accounts.get_mut(TARGET).unwrap().page_size = Some(1));
    let mut pages = client.list_staging_accounts().into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap_or_else(|e| panic!("{}", DisplayErrorContext(e))).accounts().len());
    }
    assert_eq!(sizes, [1, 1, 1]);
}
