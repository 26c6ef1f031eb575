//! The demonstration fleet, and what a fleet that can't be right is told.

use staging_sync_lab::{Fleet, Lab};

use crate::support::{assume_role, drs};

#[tokio::test]
async fn the_demo_fleet_is_what_the_readme_says() {
    let lab = Lab::start(Fleet::demo().unwrap()).await.unwrap();
    let items = lab.plain_items().unwrap();
    assert_eq!(items.len(), 12);
    let env = lab.env();
    assert!(env.contains(&("DRS_REGIONS", "us-east-1,us-west-2,eu-west-1,af-south-1".into())));
    assert!(env.contains(&("TARGET_ACCOUNTS_TABLE", "drs-orchestration-target-accounts".into())));

    let role = "arn:aws:iam::789012345678:role/DRSOrchestrationRole";
    let session = assume_role(&lab, role, "drs-orchestration-789012345678", None).await;
    let mut pages = drs(&lab, session, "us-east-1").list_staging_accounts().into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().accounts().len());
    }
    assert_eq!(sizes, [50, 4]);
}

#[test]
fn mistakes_in_a_fleet_are_named_by_their_path() {
    for (fleet, expected) in [
        (r#"{"acounts": {}}"#, "fleet: acounts: unknown field `acounts`"),
        (
            r#"{"accounts": {"111122223333": {"regions": {"us-east-1": {"stagingAccounts": [1]}}}}}"#,
            "fleet: accounts.111122223333.regions.us-east-1.stagingAccounts[0]: invalid type: integer `1`, expected a string",
        ),
        (
            r#"{"accounts": {"111122223333": {"regions": {"us-east-1": "off"}}}}"#,
            "fleet: accounts.111122223333.regions.us-east-1: invalid value: string \"off\", expected \"uninitialized\"",
        ),
        (r#"{"accounts": {"1": {}}}"#, "fleet: accounts.1: expected an account id of 12 digits, found \"1\""),
        (r#"{"targets": [{}]}"#, "fleet: targets[0].accountId: expected the table's key"),
        (r#"{"faults": [{"region": "eu-west-1"}]}"#, "fleet: faults[0]: expected one effect: error,"),
        (r#"{"faults": [{"service": "ec2", "hang": true}]}"#, "fleet: faults[0].service: unknown variant `ec2`"),
        (r#"{"faults": [{"hang": true, "reset": true}]}"#, "fleet: faults[0]: expected one effect: error,"),
        (
            r#"{"targets": [{"accountId": "1", "tags": {"$dynamodb": {"SS": 1}}}]}"#,
            "fleet: targets[0].tags.$dynamodb: expected DynamoDB JSON",
        ),
    ] {
        let error = Fleet::from_json(fleet).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
