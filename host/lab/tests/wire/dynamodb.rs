//! The table: conditions, pages, and who may use it where.

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use serde_json::{Map, Value, json};

use crate::support::*;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn item(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(item) => item,
        other => panic!("{other} is no item"),
    }
}

#[tokio::test]
async fn a_conditional_update_is_refused_when_the_condition_fails() {
    let lab = lab().await;
    let update = |expected: &str| {
        table(&lab)
            .update_item()
            .table_name(TABLE)
            .key("accountId", text(TARGET))
            .update_expression("SET accountName = :new")
            .condition_expression("attribute_exists(accountId) AND accountName = :old")
            .expression_attribute_values(":old", text(expected))
            .expression_attribute_values(":new", text("RENAMED"))
            .send()
    };
    assert_eq!(failure(update("other").await), (400, "ConditionalCheckFailedException".into()));
    update("DEMO_TARGET").await.unwrap();
    assert_eq!(lab.plain_items().unwrap()[0]["accountName"], "RENAMED");
    assert_eq!(lab.calls()[0].target.as_deref(), Some(TARGET));
    assert_eq!(lab.calls()[0].error.as_deref(), Some("ConditionalCheckFailedException"));
}

#[tokio::test]
async fn scans_page_at_a_megabyte_and_split_into_segments() {
    let lab = lab_with(|fleet| {
        fleet.targets.clear();
        for n in 0..30 {
            let id = format!("2000000000{n:02}");
            fleet.targets.push(item(json!({ "accountId": id, "notes": "x".repeat(100_000) })));
        }
    })
    .await;
    let client = table(&lab);
    let mut pages = client.scan().table_name(TABLE).consistent_read(true).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().items().len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 30);
    assert!(sizes.len() >= 3 && sizes[0] <= 11, "{sizes:?}");

    let mut seen = 0;
    for segment in 0..4 {
        let call = client.scan().table_name(TABLE).segment(segment).total_segments(4).select(Select::Count);
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            seen += page.unwrap().count();
        }
    }
    assert_eq!(seen, 30);
}

#[tokio::test]
async fn only_the_hub_uses_the_table_and_only_in_its_region() {
    let lab = lab().await;
    let session = assume(&lab, None).await;
    let get = |client: aws_sdk_dynamodb::Client, table: &str| {
        client.get_item().table_name(table).key("accountId", text(TARGET)).send()
    };
    let role = get(dynamodb(&lab, session, "us-east-1"), TABLE).await;
    assert_eq!(failure(role), (400, "AccessDeniedException".into()));
    let region = get(dynamodb(&lab, hub(&lab), "eu-west-1"), TABLE).await;
    assert_eq!(failure(region), (400, "ResourceNotFoundException".into()));
    assert_eq!(failure(get(table(&lab), "another").await), (400, "ResourceNotFoundException".into()));
    let known = table(&lab).describe_table().table_name(TABLE).send().await.unwrap();
    assert_eq!(known.table().unwrap().table_status().unwrap().as_str(), "ACTIVE");
}

#[tokio::test]
async fn the_table_is_edited_in_process() {
    let lab = lab().await;
    let added = json!({ "accountId": "000011112222", "tags": { "$dynamodb": { "SS": ["a", "b"] } }, "weight": 3 });
    lab.put_item(&item(added.clone())).unwrap();
    lab.delete_item(TARGET).unwrap();
    let items = lab.plain_items().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0], added);
    assert_eq!(lab.items().unwrap()[0]["weight"], json!({ "N": "3" }));
    let read = table(&lab).get_item().table_name(TABLE).key("accountId", text("000011112222")).send().await.unwrap();
    assert_eq!(read.item().unwrap()["tags"], AttributeValue::Ss(vec!["a".into(), "b".into()]));
}
