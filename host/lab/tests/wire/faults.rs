//! Each kind of fault, as a client sees it.

use serde_json::json;
use staging_sync_lab::{Fault, Lab, Mutate, Per};

use crate::support::*;

/// Calls ListStagingAccounts once; the number of accounts, or status and code.
async fn list(lab: &Lab, region: &'static str) -> Result<usize, (u16, String)> {
    let session = assume(lab, None).await;
    match drs(lab, session, region).list_staging_accounts().send().await {
        Ok(answer) => Ok(answer.accounts().len()),
        error => Err(failure(error)),
    }
}

#[tokio::test]
async fn an_error_strikes_as_often_as_it_says() {
    let fault = Fault {
        region: Some("eu-west-1".into()),
        operation: Some("ListStagingAccounts".into()),
        times: Some(2),
        per: Some(Per::Account),
        ..Fault::error("ThrottlingException")
    };
    let lab = lab_with(|fleet| fleet.faults = vec![fault]).await;
    let throttled = Err((429, "ThrottlingException".to_owned()));
    assert_eq!(list(&lab, "eu-west-1").await, throttled);
    assert_eq!(list(&lab, "us-east-1").await, Ok(2));
    assert_eq!(list(&lab, "eu-west-1").await, throttled);
    assert_eq!(list(&lab, "eu-west-1").await, Ok(3));
}

#[tokio::test]
async fn each_service_words_errors_in_its_own_protocol() {
    let lab = lab_with(|fleet| fleet.faults = vec![Fault::error("ServiceUnavailable")]).await;
    let unavailable = (503, "ServiceUnavailable".to_owned());
    let identity = sts(&lab, hub(&lab), "us-east-1").get_caller_identity().send().await;
    assert_eq!(failure(identity), unavailable);
    assert_eq!(failure(drs(&lab, hub(&lab), "us-east-1").list_staging_accounts().send().await), unavailable);
    assert_eq!(failure(table(&lab).scan().table_name(TABLE).send().await), unavailable);
}

#[tokio::test]
async fn the_second_page_can_fail_alone() {
    let lab = lab_with(|fleet| {
        fleet.accounts.get_mut(TARGET).unwrap().page_size = Some(2);
        fleet.faults = vec![Fault { page: Some(2), ..Fault::error("InternalServerException") }];
    })
    .await;
    let client = drs(&lab, assume(&lab, None).await, "eu-west-1");
    let first = client.list_staging_accounts().send().await.unwrap();
    let second = client.list_staging_accounts().set_next_token(first.next_token).send().await;
    assert_eq!(failure(second), (500, "InternalServerException".into()));

    let scan = || table(&lab).scan().table_name(TABLE).limit(1);
    let first = scan().send().await.unwrap();
    let second = scan().set_exclusive_start_key(first.last_evaluated_key).send().await;
    assert_eq!(failure(second), (500, "InternalServerException".into()));
}

#[tokio::test]
async fn a_raw_body_and_a_reset_reach_the_client() {
    let faults = vec![
        Fault { times: Some(1), operation: Some("ListStagingAccounts".into()), ..Fault::body("<html>") },
        Fault { times: Some(1), operation: Some("Scan".into()), ..Fault::reset() },
    ];
    let lab = lab_with(|fleet| fleet.faults = faults).await;
    assert_eq!(list(&lab, "eu-west-1").await, Err((200, "none".into())));
    let error = table(&lab).scan().table_name(TABLE).send().await.unwrap_err();
    assert!(error.as_service_error().is_none() && error.raw_response().is_none(), "{error:?}");
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    assert_eq!(table(&lab).scan().table_name(TABLE).send().await.unwrap().count(), 2);
}

#[tokio::test]
async fn a_hanging_call_ends_with_the_client_or_the_lab() {
    let lab = lab_with(|fleet| fleet.faults = vec![Fault::hang()]).await;
    let client = table(&lab);
    let call = tokio::spawn(client.scan().table_name(TABLE).send());
    lab.wait_for_calls(|calls| calls.len() == 1).await;
    call.abort(); // the client goes
    let call = tokio::spawn(table(&lab).scan().table_name(TABLE).send());
    lab.wait_for_calls(|calls| calls.len() == 2).await;
    assert!(lab.calls().iter().all(|call| call.status.is_none()));
    lab.shutdown().await; // the lab goes
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn an_edit_comes_between_read_and_write() {
    let mutate = Mutate {
        set: [("accountName".to_owned(), json!("EDITED"))].into_iter().collect(),
        remove: vec!["stagingAccounts".into()],
        ..Mutate::default()
    };
    let fault = Fault { operation: Some("GetItem".into()), account: Some(TARGET.into()), ..Fault::mutate(mutate) };
    let lab = lab_with(|fleet| fleet.faults = vec![fault]).await;
    let get = |id: &str| {
        let key = aws_sdk_dynamodb::types::AttributeValue::S(id.into());
        table(&lab).get_item().table_name(TABLE).key("accountId", key).send()
    };
    get("123456789012").await.unwrap();
    assert_eq!(lab.plain_items().unwrap()[0]["accountName"], "DEMO_TARGET");
    get(TARGET).await.unwrap();
    assert_eq!(lab.plain_items().unwrap()[0], json!({ "accountId": TARGET, "accountName": "EDITED" }));

    let delete = Mutate { delete: true, key: Some("123456789012".into()), ..Mutate::default() };
    lab.edit(|fleet| fleet.faults = vec![Fault::mutate(delete)]);
    get(TARGET).await.unwrap();
    assert_eq!(lab.plain_items().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_can_expire_early() {
    let fault = Fault { after: 1, times: Some(1), region: Some("eu-west-1".into()), ..Fault::expire_session() };
    let lab = lab_with(|fleet| fleet.faults = vec![fault]).await;
    let session = assume(&lab, None).await;
    let client = drs(&lab, session.clone(), "eu-west-1");
    client.list_staging_accounts().send().await.unwrap();
    for _ in 0..2 {
        assert_eq!(failure(client.list_staging_accounts().send().await), (403, "ExpiredTokenException".into()));
    }
    let identity = sts(&lab, session, "us-east-1").get_caller_identity().send().await;
    assert_eq!(failure(identity), (403, "ExpiredToken".into()));
}

#[tokio::test]
async fn delays_are_waited_out() {
    let lab = lab_with(|fleet| {
        fleet.latency_ms = 10;
        fleet.faults = vec![Fault { jitter_ms: 5, ..Fault::latency(20) }];
    })
    .await;
    let start = std::time::Instant::now();
    table(&lab).scan().table_name(TABLE).send().await.unwrap();
    assert!(start.elapsed().as_millis() >= 30); // a delay is a lower bound, whatever else the machine does
}
