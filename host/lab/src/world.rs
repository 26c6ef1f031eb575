//! The processing of a request: the caller, the faults, and the service that answers.

use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws_credential_types::Credentials as Keys;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use hyper::header::DATE;
use hyper::http::request::Parts;

use crate::bucket::Bucket;
use crate::calls::{Call, CallLog, InFlight};
use crate::dynamodb::Table;
use crate::error::{AwsError, Credentials};
use crate::fault::{Counters, End, Strike, Subject};
use crate::fleet::{Fleet, Service};
use crate::policy::{action, any_matches};
use crate::reply::{Reply, Stop, reply};
use crate::request::{Input, Request};
use crate::session::{Caller, HUB_ACCESS_KEY, HUB_SECRET_KEY, Random, Sessions};
use crate::signature::{self, Claim};
use crate::tls::Counter;
use crate::{Error, drs, s3, sts};

/// Everything behind the endpoint.
pub(crate) struct World {
    /// Its `targets` are in `table` instead.
    fleet: RwLock<Arc<Fleet>>,
    pub table: Table,
    pub bucket: Bucket,
    pub calls: CallLog,
    pub handshakes: Counter,
    sessions: Sessions,
    counters: Mutex<Counters>,
    random: Random,
}

/// The connection ends without an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Cut {
    /// By a reset.
    Reset,
    /// Because the lab stops.
    Stopped,
}

impl World {
    pub fn new(mut fleet: Fleet) -> Result<Self, Error> {
        let targets = std::mem::take(&mut fleet.targets);
        Ok(Self {
            table: Table::new(&fleet.hub, &targets)?,
            bucket: Bucket::default(),
            fleet: RwLock::new(Arc::new(fleet)),
            calls: CallLog::default(),
            handshakes: Counter::default(),
            sessions: Sessions::default(),
            counters: Mutex::default(),
            random: Random::default(),
        })
    }

    pub fn fleet(&self) -> Arc<Fleet> {
        let guard: RwLockReadGuard<_> = self.fleet.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.clone()
    }

    /// Edits the fleet. Faults that were changed count anew.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Fleet) -> T) -> T {
        let mut fleet = self.fleet.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = fleet.faults.clone();
        let edited = edit(Arc::make_mut(&mut fleet));
        if fleet.faults != before {
            *self.counters.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Counters::default();
        }
        edited
    }

    /// Answers one request; `stop` ends what would take longer than the lab.
    pub async fn answer(&self, parts: &Parts, body: Bytes, stop: &mut Stop) -> Result<Reply, Cut> {
        let fleet = self.fleet();
        let request_id = self.random.request_id();
        let claim = signature::claim(&parts.headers);
        let request = Request::read(parts, &body, claim.as_ref().ok());
        let caller = self.authenticate(&fleet, &request, claim.as_ref(), parts, &body);
        let region = claim.as_ref().map_or("", |claim| claim.region);
        let account = caller.as_ref().ok().map(|caller| caller.account().to_owned());
        let call = self.calls.begin(Call {
            service: request.service.map_or("", Service::name).to_owned(),
            operation: request.operation.clone(),
            region: region.to_owned(),
            target: request.target().map(str::to_owned).or_else(|| account.clone()),
            account,
            page_token: request.continues(),
            bytes: body.len(),
            object: request.s3().and_then(s3::Input::object),
            conditional: request.s3().is_some_and(s3::Input::conditional),
            status: None,
            error: None,
        });
        tracing::debug!(service = request.service.map(Service::name), request.operation, region, "call");

        let strike = match &caller {
            Ok(caller) => self.strike(&fleet, &request, caller, region, &call),
            Err(_) => Strike::default(),
        };
        let jitter = jitter(&fleet, call.number, 0, fleet.jitter_ms);
        let delay = strike.delay_ms.saturating_add(fleet.latency_ms).saturating_add(jitter);
        if delay > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay)) => {}
                () = stop.stopped() => return Err(Cut::Stopped),
            }
        }
        for mutate in &strike.mutations {
            if let Err(error) = self.table.mutate(mutate) {
                tracing::warn!(%error, "a fault's edit of the table failed");
            }
        }
        let outcome = match (caller, strike.end) {
            (Err(refused), _) => Err(refused),
            (Ok(_), Some(End::Reset)) => return Err(Cut::Reset),
            (Ok(_), Some(End::Hang)) => {
                stop.stopped().await;
                return Err(Cut::Stopped);
            }
            (Ok(_), Some(End::Body(body))) => Ok(reply(200, content_type(request.service), body)),
            (Ok(_), Some(End::Error(error))) => {
                let message = error.message.unwrap_or_else(|| format!("{} from the lab's faults", error.code));
                Err(AwsError { status: error.status, ..AwsError::new(&error.code, message) })
            }
            (Ok(caller), Some(End::LoseAnswer)) => {
                // Whether it was done or refused, nobody hears of it.
                let _ = self.process(&request, &caller, region, body, &request_id).await;
                return Err(Cut::Reset);
            }
            (Ok(caller), end) => {
                if let (Some(End::ExpireSession), Caller::Session(session)) = (end, &caller) {
                    session.end();
                }
                self.process(&request, &caller, region, body, &request_id).await
            }
        };
        let (reply, code) = match outcome {
            Ok(reply) => (reply, None),
            Err(error) => {
                let mut reply = error.reply(request.service, &request_id);
                if error.code == "PermanentRedirect" {
                    s3::tell_region(&mut reply, &fleet.hub.region);
                }
                (reply, Some(error.code))
            }
        };
        call.answered(reply.status().as_u16(), code);
        let reply = with_date(reply, &fleet);
        Ok(with_request_id(reply, request.service, &request_id))
    }

    fn authenticate(
        &self,
        fleet: &Fleet,
        request: &Request,
        claim: Result<&Claim, &Credentials>,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<Caller, AwsError> {
        // A request of no known service is refused as DRS refuses it.
        let service = request.service.unwrap_or(Service::Drs);
        let claim = claim.map_err(|problem| AwsError::credentials(service, *problem))?;
        if request.service.is_some() {
            claim.check_scope(service, fleet.now())?;
        }
        let unknown = || AwsError::credentials(service, Credentials::Unknown);
        let (caller, secret) = if claim.access_key == HUB_ACCESS_KEY {
            if claim.session_token.is_some() {
                return Err(unknown());
            }
            let account = fleet.hub.account.clone();
            let arn = format!("arn:{}:iam::{account}:user/lab", partition(&fleet.hub.region));
            (Caller::Hub { account, arn }, HUB_SECRET_KEY.to_owned())
        } else {
            let session = self.sessions.find(claim.access_key).ok_or_else(unknown)?;
            if claim.session_token != Some(session.token.as_str()) {
                return Err(unknown());
            }
            let secret = session.secret_key.clone();
            (Caller::Session(session), secret)
        };
        let keys = Keys::new(claim.access_key, secret, None, None, "lab");
        claim.verify(keys, service, parts, body)?;
        Ok(caller)
    }

    fn strike(&self, fleet: &Fleet, request: &Request, caller: &Caller, region: &str, call: &InFlight) -> Strike {
        let Some(service) = request.service else { return Strike::default() };
        if fleet.faults.is_empty() {
            return Strike::default();
        }
        let account = match (service, request.target()) {
            (Service::DynamoDb, target) => target,
            (_, target) => target.or_else(|| Some(caller.account())),
        };
        let page = match &request.input {
            Input::Drs(input) => drs::page(&request.operation, input, drs::Place { account: caller.account(), region }),
            Input::DynamoDb(peek) => self.table.page(&request.operation, peek),
            Input::S3(input) => input.page(&request.operation),
            Input::Sts(_) | Input::Invalid(_) | Input::Unknown => None,
        };
        let subject = Subject { service, operation: &request.operation, region, account, page };
        let mut counters = self.counters.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        counters.strike(&fleet.faults, &subject, |fault, most| jitter(fleet, call.number, fault as u64 + 1, most))
    }

    /// Answers a call that nothing has struck.
    async fn process(
        &self,
        request: &Request,
        caller: &Caller,
        region: &str,
        body: Bytes,
        request_id: &str,
    ) -> Result<Reply, AwsError> {
        let (Some(service), operation) = (request.service, request.operation.as_str()) else {
            return Err(AwsError::unknown_operation());
        };
        if let Input::Unknown = request.input {
            return Err(AwsError::unknown_operation());
        }
        if matches!(caller, Caller::Session(session) if session.expired()) {
            return Err(AwsError::credentials(service, Credentials::Expired));
        }
        let fleet = self.fleet();
        if operation != "GetCallerIdentity" {
            authorize(&fleet, service, operation, caller)?;
        }
        let body = match &request.input {
            Input::Sts(form) => sts::answer(operation, form, caller, &fleet, &self.sessions, request_id),
            Input::Drs(input) => {
                let account = caller.account();
                drs::answer(operation, input, drs::Place { account, region }, fleet.accounts.get(account))
            }
            Input::DynamoDb(_) if region == fleet.hub.region => self.table.answer(operation, body).await,
            Input::DynamoDb(_) => Err(AwsError::new("ResourceNotFoundException", "Requested resource not found")),
            Input::S3(input) => {
                let (name, hub) = (&fleet.hub.bucket, &fleet.hub.region);
                let may_list = fleet.hub.may_list;
                let place = s3::Place { bucket: &self.bucket, name, region: hub, may_list };
                return s3::answer(operation, input, &body, region, place);
            }
            Input::Invalid(error) => Err(error.clone()),
            Input::Unknown => Err(AwsError::unknown_operation()),
        };
        Ok(reply(200, content_type(request.service), body?))
    }
}

/// Whether the caller may do this at all.
fn authorize(fleet: &Fleet, service: Service, operation: &str, caller: &Caller) -> Result<(), AwsError> {
    let denied = |why: &str| Err(AwsError::access_denied(service, caller.arn(), operation, "", why));
    let action = action(service, operation);
    let no_identity_policy = format!("no identity-based policy allows the {action} action");
    let session = match (service, caller) {
        // The hub may use its table and bucket and assume roles, but not DRS in the accounts; a role, nothing of the hub's.
        (Service::Sts | Service::DynamoDb | Service::S3, Caller::Hub { .. }) => return Ok(()),
        (Service::Drs, Caller::Hub { .. }) | (Service::DynamoDb | Service::S3, Caller::Session(_)) => {
            return denied(&no_identity_policy);
        }
        (Service::Sts | Service::Drs, Caller::Session(session)) => session,
    };
    if session.policy.as_ref().is_some_and(|policy| !policy.allows(&action)) {
        return denied(&format!("no session policy allows the {action} action"));
    }
    let role = fleet.accounts.get(&session.account).and_then(|account| account.roles.get(&session.role));
    if role.and_then(|role| role.allow.as_deref()).is_some_and(|allow| !any_matches(allow, &action)) {
        return denied(&no_identity_policy);
    }
    Ok(())
}

fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn content_type(service: Option<Service>) -> &'static str {
    match service {
        Some(Service::Sts) => "text/xml",
        Some(Service::S3) => "application/xml",
        Some(Service::DynamoDb) => "application/x-amz-json-1.0",
        Some(Service::Drs) | None => "application/json",
    }
}

/// The reply with the `Date` of the lab's clock, where it's off; the server adds the right one otherwise.
fn with_date(mut reply: Reply, fleet: &Fleet) -> Reply {
    let date =
        (fleet.clock_offset_seconds != 0).then(|| DateTime::from(fleet.now()).fmt(Format::HttpDate).ok()).flatten();
    if let Some(date) = date.and_then(|date| date.parse().ok()) {
        reply.headers_mut().insert(DATE, date);
    }
    reply
}

fn with_request_id(mut reply: Reply, service: Option<Service>, request_id: &str) -> Reply {
    let header = if service == Some(Service::S3) { "x-amz-request-id" } else { "x-amzn-requestid" };
    if let Ok(id) = request_id.parse() {
        reply.headers_mut().insert(header, id);
    }
    reply
}

/// A number from 0 to `most`, equal for equal seeds, call numbers and causes of delay (SplitMix64).
fn jitter(fleet: &Fleet, call: u64, cause: u64, most: u64) -> u64 {
    let mut z = fleet.seed ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ cause.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % most.saturating_add(1)
}
