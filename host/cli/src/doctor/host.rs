//! Checks of the host's own needs: settings, certificates, a policy, and the objects that it reads from S3.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::Value;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{self, AwsApi, AwsError, Call};
use staging_sync_runtime::policy::{COMPONENT, Release};
use staging_sync_runtime::store::Fetched;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::{Location, is_s3};
use staging_sync_runtime::text::counted;
use staging_sync_runtime::{Config, Service};

use super::check::Check;
use crate::{CommandError, journal};

/// The operation of the schedule.
const OPERATION: &str = "sync_staging_accounts";

/// The configuration of a host in this environment.
pub struct Settings {
    pub config: Config,
    /// The table, if one is named.
    pub table: Option<String>,
}

/// Variables, region and endpoints. That no table is named is found by the check of the table.
pub async fn environment() -> (Check, Option<Settings>) {
    const NAME: &str = "environment";
    const NEXT: &str = "set the named variables; `staging-sync tick --help` lists all variables";
    const MISTYPED: &str = "correct DRS_REGIONS, unless the region is newer than this program";
    let region = match aws::region_and_endpoints().await {
        Ok(region) => region,
        Err(error) => return (Check::failed(NAME, error.message, NEXT), None),
    };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let table = set("TARGET_ACCOUNTS_TABLE").map(|table| table.trim().to_owned());
    let config = Config::read(&|name| match name {
        "AWS_REGION" => Some(region.clone()),
        "TARGET_ACCOUNTS_TABLE" => Some(table.clone().unwrap_or_else(|| "none".into())),
        name => std::env::var(name).ok(),
    });
    match config {
        Ok(config) => {
            let dry_run = if config.dry_run { ", DRY_RUN: ticks write nothing" } else { "" };
            let drs = match config.regions.as_slice() {
                few if few.len() <= 4 => few.join(", "),
                many => format!("{} regions", many.len()),
            };
            let found = format!("region {region}, DRS in {drs}{dry_run}");
            let check = match config.unknown_regions() {
                None => Check::ok(NAME, found),
                Some(unknown) => Check::warning(NAME, format!("{found}; {unknown}"), MISTYPED),
            };
            (check, Some(Settings { config, table }))
        }
        Err(error) => (Check::failed(NAME, error.message, NEXT), None),
    }
}

/// The certificates that connections to AWS trust, and whether there are any.
pub async fn certificates() -> (Check, bool) {
    match aws::certificates().await {
        Ok(found) => (Check::ok("certificates", found), true),
        Err(error) => {
            let next = "install CA certificates, or set AWS_CA_BUNDLE to a PEM file that contains them";
            (Check::failed("certificates", error.message, next), false)
        }
    }
}

/// AWS where it can't be reached: policies that are files need none.
struct Nowhere;

impl AwsApi for Nowhere {
    fn call<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let message = "AWS can't be reached".into();
        Box::pin(async { Err(AwsError { code: AwsError::NOT_SENT.into(), message, retryable: false }) })
    }
}

/// The policy as a host loads it, its settings judged by it.
pub async fn policy(settings: &Settings, live: Option<&Arc<SdkApi>>) -> (Check, Option<Arc<Release>>) {
    const NAME: &str = "policy";
    const NEXT: &str =
        "fix POLICY or POLICY_SETTINGS; for details, run `staging-sync policy inspect` or `staging-sync policy status`";
    // The journal has a check of its own.
    let config = Config { journal: None, ..settings.config.clone() };
    let on_s3 = config.policies.iter().any(|policy| is_s3(policy));
    let objects = match (on_s3, live) {
        (false, _) => None,
        (true, None) => return (Check::behind(NAME, "credentials"), None),
        (true, Some(_)) => match Objects::from_env().await {
            Ok(objects) => Some(Arc::new(objects)),
            Err(error) => return (Check::failed(NAME, error.message, NEXT), None),
        },
    };
    let aws_api: Arc<dyn AwsApi> = match live {
        Some(live) => Arc::clone(live) as _,
        None => Arc::new(Nowhere),
    };
    let service = match Service::with(config, aws_api, objects) {
        Ok(service) => service,
        Err(error) => return (Check::failed(NAME, error.message, NEXT), None),
    };
    let release = match service.release(OPERATION).await {
        Ok(release) => release,
        Err(error) => return (Check::failed(NAME, error.message, NEXT), None),
    };
    let found = format!("{release}, with settings {}", release.settings());
    let check = match service.rejected().await.as_slice() {
        [] => Check::ok(NAME, found),
        rejected => Check::failed(NAME, format!("rejected: {}; decided by {found}", rejected.join("; ")), NEXT),
    };
    (check, Some(release))
}

/// What is read from S3: configured policies, and the outcomes of segments.
pub async fn bucket(settings: &Settings) -> Check {
    const NAME: &str = "bucket";
    const NEXT: &str = "check the URI, and allow these credentials s3:GetObject on it";
    let policies = settings.config.policies.iter().filter(|policy| is_s3(policy)).cloned();
    // No segment leaves outcomes under this name.
    let outcomes = settings.config.outcomes_prefix.as_ref().map(|prefix| format!("{prefix}staging-sync-doctor"));
    let places: Vec<(String, bool)> = policies.map(|at| (at, true)).chain(outcomes.map(|at| (at, false))).collect();
    if places.is_empty() {
        return Check::ok(NAME, "not needed: neither POLICY nor OUTCOMES_PREFIX is on S3");
    }
    let objects = match Objects::from_env().await {
        Ok(objects) => Arc::new(objects),
        Err(error) => return Check::failed(NAME, error.message, NEXT),
    };
    let (mut read, mut unclear) = (Vec::new(), Vec::new());
    for (at, must_exist) in places {
        let found = match Location::parse(&at, Some(&objects)) {
            Ok(location) => location.get(None, COMPONENT).await,
            Err(problem) => return Check::failed(NAME, problem, NEXT),
        };
        match found {
            Ok(Fetched::Missing) if must_exist => {
                return Check::failed(NAME, format!("{at}: the object doesn't exist"), NEXT);
            }
            Ok(_) => read.push(at),
            // Who may read and not list is told this of what isn't there, as the function is.
            Err(error) if !must_exist && error.message.contains("AccessDenied") => unclear.push(error.message),
            Err(error) => return Check::failed(NAME, error.message, NEXT),
        }
    }
    match unclear.as_slice() {
        [] => Check::ok(NAME, format!("can be read: {}", read.join(", "))),
        unclear => Check::warning(
            NAME,
            unclear.join("; "),
            "if these credentials may not list the bucket, nothing: S3 then returns AccessDenied for missing objects; \
             otherwise, allow s3:GetObject and s3:PutObject under OUTCOMES_PREFIX",
        ),
    }
}

/// What is read of the journal: freezes, and the state after the last tick. Nothing is written to try that.
pub async fn journal(settings: &Settings, live: &Arc<SdkApi>) -> Check {
    const NAME: &str = "journal";
    const NEXT: &str = "check JOURNAL, and that these credentials may s3:GetObject and s3:PutObject below it; while freezes \
                        can't be read, a host that starts writes nothing";
    let Some(place) = &settings.config.journal else {
        return Check::ok(NAME, "not needed: JOURNAL isn't set, so changes aren't recorded");
    };
    let journal = match journal::open(place, Arc::clone(live) as _).await {
        Ok(journal) => journal,
        Err(CommandError(error)) => return Check::failed(NAME, error, NEXT),
    };
    let freezes = match journal.read_freezes().await {
        Ok(freezes) => freezes,
        Err(error) => return Check::failed(NAME, error, NEXT),
    };
    let frozen = freezes.at(SystemTime::now()).count();
    match journal.read_latest().await {
        Ok(Some((Some(latest), _))) => {
            let found = format!("can be read; last tick at {}, {}", latest.at, counted(frozen, "freeze"));
            Check::ok(NAME, found)
        }
        Ok(Some((None, _))) => {
            Check::warning(NAME, "its latest.json isn't of this version", "use a newer staging-sync")
        }
        Ok(None) => {
            Check::ok(NAME, format!("can be read; no tick has been recorded yet, {}", counted(frozen, "freeze")))
        }
        Err(error) => Check::failed(NAME, error, NEXT),
    }
}
