//! AssumeRole and GetCallerIdentity.

use crate::support::*;

#[tokio::test]
async fn assume_role_gives_credentials_of_the_targets_account() {
    let lab = lab().await;
    let session = assume(&lab, None).await;
    let identity = sts(&lab, session, "eu-west-1").get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some(TARGET));
    assert_eq!(identity.arn(), Some("arn:aws:sts::111122223333:assumed-role/DRSOrchestrationRole/test"));

    let calls = lab.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].operation.as_str(), calls[0].status), ("AssumeRole", Some(200)));
    assert_eq!((calls[0].account.as_deref(), calls[0].target.as_deref()), (Some("999988887777"), Some(TARGET)));
    assert_eq!((calls[1].region.as_str(), calls[1].account.as_deref()), ("eu-west-1", Some(TARGET)));
}

#[tokio::test]
async fn assume_role_refuses_as_aws_does() {
    let lab = lab().await;
    let client = sts(&lab, hub(&lab), "us-east-1");
    let assume = |arn: &str, external_id: Option<&str>| {
        let call = client.assume_role().role_arn(arn).role_session_name("test");
        call.set_external_id(external_id.map(str::to_owned)).send()
    };
    for (arn, external_id) in [
        (ROLE, Some("drs-orchestration-cross-account")),
        (ROLE, None),
        ("arn:aws:iam::111122223333:role/Other", Some(EXTERNAL_ID)),
        ("arn:aws:iam::000011112222:role/DRSOrchestrationRole", Some(EXTERNAL_ID)),
    ] {
        let error = assume(arn, external_id).await.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some("AccessDenied"), "{arn} {external_id:?}");
        let expected = format!(
            "User: arn:aws:iam::999988887777:user/lab is not authorized to perform: sts:AssumeRole on resource: {arn}"
        );
        assert_eq!(error.meta().message(), Some(expected.as_str()));
    }
    assert_eq!(failure(assume("not an arn of a role", None).await), (400, "ValidationError".into()));
    let unnamed = client.assume_role().role_arn(ROLE).send().await;
    assert_eq!(failure(unnamed), (400, "ValidationError".into()));
    let short = client.assume_role().role_arn(ROLE).role_session_name("test").duration_seconds(899).send().await;
    assert_eq!(failure(short), (400, "ValidationError".into()));
    let policy = client.assume_role().role_arn(ROLE).role_session_name("test").external_id(EXTERNAL_ID);
    assert_eq!(failure(policy.policy("{}").send().await), (400, "MalformedPolicyDocument".into()));

    // A role doesn't trust other roles.
    let session = crate::support::assume(&lab, None).await;
    let chained = sts(&lab, session, "us-east-1").assume_role().role_arn(ROLE).role_session_name("test");
    assert_eq!(failure(chained.external_id(EXTERNAL_ID).send().await), (403, "AccessDenied".into()));
}

#[tokio::test]
async fn a_session_policy_is_enforced() {
    let lab = lab().await;
    let policy = r#"{"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": ["drs:ListStaging*"], "Resource": "*"}}"#;
    let session = assume(&lab, Some(policy)).await;
    let client = drs(&lab, session, "eu-west-1");
    assert_eq!(client.list_staging_accounts().send().await.unwrap().accounts().len(), 3);
    let refused = client.describe_source_servers().send().await;
    assert_eq!(failure(refused), (403, "AccessDeniedException".into()));
}

#[tokio::test]
async fn a_roles_own_policy_is_enforced() {
    let lab = lab().await;
    let session = assume_role(&lab, "arn:aws:iam::123456789012:role/service/Reader", "any-id", None).await;
    let client = drs(&lab, session, "eu-west-1");
    assert_eq!(client.describe_source_servers().send().await.unwrap().items().len(), 1);
    assert_eq!(failure(client.list_staging_accounts().send().await), (403, "AccessDeniedException".into()));
}
