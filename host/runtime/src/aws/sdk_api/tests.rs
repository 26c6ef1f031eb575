//! Direct calls compared with the SDK's: the same answers from the service must have the same results, attempts and effects.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use proptest::prelude::*;
use tokio::time::sleep;

use super::*;

/// What the service does with a request for a page.
#[derive(Debug, Clone)]
enum Answer {
    /// Answers with a status and a body.
    Http(u16, String),
    /// Answers 200, with a part of the body at a time, so many milliseconds apart.
    Slowly(u64, Vec<&'static str>),
    /// Answers 200, with a part of a body, and nothing more.
    Stalls(&'static str),
    /// Answers 200, with a part of a body, and breaks the connection.
    Breaks(&'static str),
    /// Doesn't answer in time.
    TimesOut,
    /// Breaks the connection.
    Refuses,
    /// Never answers.
    Never,
}
use Answer::*;

impl Answer {
    fn response(self) -> Result<HttpResponse, ConnectorError> {
        let part = |part: &'static str| Ok(Frame::data(Bytes::from(part)));
        let (status, body) = match self {
            Http(status, body) => (status, SdkBody::from(body)),
            Slowly(ms, parts) => {
                let parts = stream::iter(parts).then(move |text| async move {
                    sleep(Duration::from_millis(ms)).await;
                    part(text)
                });
                (200, streamed(parts))
            }
            Stalls(text) => (200, streamed(stream::iter([part(text)]).chain(stream::pending()))),
            Breaks(text) => (200, streamed(stream::iter([part(text), Err(std::io::Error::other("reset"))]))),
            TimesOut => return Err(ConnectorError::timeout("no answer".into())),
            Refuses | Never => return Err(ConnectorError::io("refused".into())),
        };
        Ok(HttpResponse::new(status.try_into().expect("a status"), body))
    }
}

fn streamed(parts: impl futures_util::Stream<Item = std::io::Result<Frame<Bytes>>> + Send + Sync + 'static) -> SdkBody {
    SdkBody::from_body_1_x(StreamBody::new(parts))
}

/// AWS, as far as it's asked here.
#[derive(Debug, Clone, Default)]
struct Service {
    /// What requests for a page are answered; the last one answers all further ones.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<HttpRequest>>>,
    /// How many connections the client gave up.
    given_up: Arc<AtomicUsize>,
}

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let given_up = Arc::clone(&self.given_up);
        if let Some(capture) = request.extension::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                let given_up = Arc::clone(&given_up);
                let give_up = move || {
                    given_up.fetch_add(1, Ordering::Relaxed);
                };
                Some(ConnectionMetadata::builder().proxied(false).poison_fn(give_up).build())
            });
        }
        if !request.uri().contains("ListStagingAccounts") {
            return HttpConnectorFuture::ready(Http(200, ASSUMED.into()).response());
        }
        self.requests.lock().expect("requests").push(request.try_clone().expect("a request"));
        let mut answers = self.answers.lock().expect("answers");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        match answer.expect("an answer") {
            Never => HttpConnectorFuture::new(std::future::pending()),
            answer => HttpConnectorFuture::ready(answer.response()),
        }
    }
}

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

const PAGE_SIZE: i32 = 50;

const PAGE: &str = r#"{"accounts":[{"accountID":"111122223333"}]}"#;

/// A host's AWS clients, and the service that they ask.
struct Host {
    api: SdkApi,
    service: Service,
}

impl Host {
    /// One that has asked for nothing: its first call for a page goes by the SDK.
    async fn new() -> Self {
        let service = Service::default();
        let connector = SharedHttpConnector::new(service.clone());
        let http = LimitedHttpClient::new(http_client_fn(move |_, _| connector.clone()), 1);
        let endpoint = Endpoint {
            url: "http://127.0.0.1:1".into(),
            region: "us-east-1".into(),
            credentials: Credentials::new("AKIAEXAMPLE", "secret", None, None, "test"),
        };
        let patience = Patience::default();
        let host = Self { api: SdkApi::new(&sdk_at(endpoint, http.clone(), patience), http, patience), service };
        let role = role();
        let request = Request::AssumeRole {
            role_arn: role.role.arn.clone(),
            role_session_name: "staging-sync".into(),
            external_id: None,
            policy: Arc::clone(&role.policy),
        };
        host.api.call(&Call { region: None, principal: Principal::Host, request }).await.expect("a session");
        host
    }

    /// One whose calls for a first page are direct.
    async fn with_direct_calls() -> Self {
        Self::learned(PAGE_SIZE).await
    }

    /// One whose calls go by the SDK: the request that it learned was for another size of page.
    async fn by_the_sdk() -> Self {
        Self::learned(PAGE_SIZE + 1).await
    }

    async fn learned(max_results: i32) -> Self {
        let host = Self::new().await;
        host.answer([Http(200, PAGE.into())]);
        host.list_so_many(max_results, None).await.expect("a page");
        host.service.requests.lock().expect("requests").clear();
        host
    }

    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.service.answers.lock().expect("answers") = answers.into_iter().collect();
    }

    async fn list(&self, next_token: Option<&str>) -> Result<Value, AwsError> {
        self.list_so_many(PAGE_SIZE, next_token).await
    }

    async fn list_so_many(&self, max_results: i32, next_token: Option<&str>) -> Result<Value, AwsError> {
        let request = Request::ListStagingAccounts { max_results, next_token: next_token.map(str::to_owned) };
        let principal = Principal::Role(Arc::new(role()));
        self.api.call(&Call { region: Some("eu-west-1".into()), principal, request }).await
    }

    /// Everything that a few calls come to.
    async fn outcome(&self, calls: usize, answers: impl IntoIterator<Item = Answer>) -> String {
        self.answer(answers);
        let mut outcome = String::new();
        for _ in 0..calls {
            writeln!(outcome, "{:?}", self.list(None).await).expect("text");
        }
        let requests = self.service.requests.lock().expect("requests").drain(..).count();
        let given_up = self.service.given_up.swap(0, Ordering::Relaxed);
        format!("{outcome}{requests} requests, {given_up} connections given up, room: {}", self.api.has_room())
    }
}

fn role() -> Session {
    let account = AccountId::parse("111122223333").expect("an account");
    let role = Role { account, arn: "arn:aws:iam::111122223333:role/r".into(), external_id: None };
    Session { role, policy: "{}".into() }
}

/// Whether the SDK made a request.
fn by_sdk(request: &HttpRequest) -> bool {
    request.headers().contains_key("amz-sdk-invocation-id")
}

#[tokio::test]
async fn after_the_sdks_first_request_first_pages_are_asked_for_directly_and_others_by_the_sdk() {
    let host = Host::new().await;
    host.answer([Http(200, PAGE.into())]);
    for next_token in [None, None, Some("t"), None] {
        host.list(next_token).await.expect("a page");
    }
    let requests = host.service.requests.lock().expect("requests");
    assert_eq!(requests.iter().map(by_sdk).collect::<Vec<_>>(), [true, false, true, false]);
    let [sdk, direct, ..] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((direct.method(), direct.uri()), (sdk.method(), sdk.uri()));
    for name in ["user-agent", "x-amz-user-agent", "x-amz-security-token"] {
        assert_eq!(direct.headers().get(name), sdk.headers().get(name), "{name}");
    }
    let scope = |request: &HttpRequest| {
        let header = request.headers().get("authorization").expect("a signature").to_owned();
        header.split_once(", ").expect("a scope").0.to_owned()
    };
    assert_eq!(scope(direct), scope(sdk));
}

#[tokio::test(start_paused = true)]
async fn what_isnt_a_page_ends_as_by_the_sdk() {
    let error =
        |status: u16, code: &str| Http(status, format!(r#"{{"__type":"{code}","message":"because","code":"{code}"}}"#));
    let page = || Http(200, PAGE.into());
    let answers: Vec<Vec<Answer>> = vec![
        vec![page()],
        vec![Http(204, String::new())],
        vec![Http(200, String::new())],
        vec![Http(200, "<html>".into())],
        vec![Http(302, String::new()), page()],
        vec![Http(404, "not here".into())],
        vec![error(403, "AccessDeniedException")],
        vec![error(400, "UninitializedAccountException")],
        vec![error(429, "ThrottlingException"), page()],
        vec![Http(429, String::new()), page()],
        vec![error(400, "ThrottlingException"), error(400, "ThrottlingException"), page()],
        vec![error(500, "InternalServerException"), page()],
        vec![Http(503, String::new()), Http(502, String::new()), page()],
        vec![Http(503, "busy".into())],
        vec![error(503, "InternalServerException"), error(403, "AccessDeniedException")],
        vec![error(403, "RequestTimeTooSkewed"), page()],
        vec![TimesOut, page()],
        vec![TimesOut],
        vec![Refuses, Refuses, page()],
        vec![Refuses],
        vec![Slowly(10, vec![r#"{"accounts":[{"acc"#, r#"ountID":"11112222"#, r#"3333"}]}"#])],
        vec![Slowly(900, vec![r#"{"accounts":[{"acc"#, r#"ountID":"11112222"#, r#"3333"}]}"#])],
        vec![Slowly(900, vec![r#"{"accounts":[{"acc"#, r#"ountID":"11112222"#])],
        vec![Stalls(r#"{"accounts":["#), page()],
        vec![Stalls(r#"{"accounts":["#)],
        vec![Stalls("")],
        vec![Breaks(r#"{"accounts":["#), page()],
        vec![Breaks(PAGE), page()],
        vec![Breaks("")],
    ];
    for answers in answers {
        let (sdk, direct) = (Host::by_the_sdk().await, Host::with_direct_calls().await);
        let expected = sdk.outcome(1, answers.clone()).await;
        assert_eq!(direct.outcome(1, answers.clone()).await, expected, "{answers:?}");
        // And after it: the same as long as the SDK has all calls, and when it hasn't.
        let (next, calls) = ([page(), page(), Http(500, String::new()), page()], 40);
        let expected = sdk.outcome(calls, next.clone()).await;
        assert_eq!(direct.outcome(calls, next).await, expected, "after {answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_use_up_and_give_back_the_budget_of_the_region_as_by_the_sdk() {
    let (sdk, direct) = (Host::by_the_sdk().await, Host::with_direct_calls().await);
    let steps = [(60, TimesOut), (100, Http(200, PAGE.into())), (20, TimesOut), (600, Http(200, PAGE.into()))];
    let again = [(8, Refuses), (250, Http(200, PAGE.into())), (60, Http(503, String::new()))];
    for (calls, answer) in steps.into_iter().chain(again) {
        let expected = sdk.outcome(calls, [answer.clone()]).await;
        assert_eq!(direct.outcome(calls, [answer.clone()]).await, expected, "{calls} calls: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_direct_call_that_is_dropped_leaves_room_for_others() {
    let host = Host::with_direct_calls().await;
    host.answer([Never]);
    assert!(host.api.has_room());
    tokio::time::timeout(Duration::from_secs(1), async {
        let watch = async {
            tokio::task::yield_now().await;
            assert!(!host.api.has_room());
            std::future::pending::<()>().await;
        };
        tokio::join!(host.list(None), watch)
    })
    .await
    .expect_err("it never ends");
    assert!(host.api.has_room());
    host.answer([Http(200, PAGE.into())]);
    host.list(None).await.expect("a page");
}

/// Texts that are, or nearly are, pages of a listing.
fn bodies() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[0-9]{12}".prop_map(|id| format!("{id:?}")),
        r#""(\\u00e9|\\ud83d\\ude00|\\ud83d|\\n|\\x|é|[a-z])*""#,
        Just("null".to_owned()),
        Just("7".to_owned()),
        Just("-1.5e400".to_owned()),
        Just("{}".to_owned()),
        Just(r#"[[{"accountID":"a"}],true,"x"]"#.to_owned()),
    ];
    let object = |members: BoxedStrategy<(String, String)>| {
        prop::collection::vec(members, 0..4).prop_map(|members| {
            let members = members.iter().map(|(name, value)| format!("{name:?}:{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
    };
    let name = |known: &'static str| prop_oneof![4 => Just(known.to_owned()), 1 => "[a-z]{0,3}"];
    let account = object((name("accountID"), text.clone()).boxed());
    let accounts = prop::collection::vec(prop_oneof![8 => account, 1 => text.clone()], 0..4);
    let accounts = accounts.prop_map(|accounts| format!("[{}]", accounts.join(" ,\n")));
    let page = object(
        prop_oneof![(name("accounts"), prop_oneof![6 => accounts, 1 => text.clone()]), (name("nextToken"), text)]
            .boxed(),
    );
    prop_oneof![
        6 => page.clone(),
        1 => (page.clone(), 0_usize..80).prop_map(|(page, end)| page.chars().take(end).collect()),
        1 => (page, "[ ,{}x\"]{1,2}").prop_map(|(page, rest)| page + &rest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_page_says_what_it_says_to_the_sdk(body in bodies()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        let (expected, outcome) = runtime.block_on(async {
            let (sdk, direct) = (Host::by_the_sdk().await, Host::with_direct_calls().await);
            let answer = Http(200, body.clone());
            (sdk.outcome(1, [answer.clone()]).await, direct.outcome(1, [answer]).await)
        });
        prop_assert_eq!(outcome, expected, "{}", body);
    }
}
