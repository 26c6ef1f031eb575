//! AWS errors that are caused by settings, and what to change. Each is logged once per tick, however many calls fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::AwsError;

/// What a setting, here or in the organization, makes impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// A policy of the organization (SCP, RCP) denies it, whatever the role may do.
    Organization,
    /// The role's permissions boundary denies it.
    Boundary,
    /// An account hasn't activated the host's region for STS.
    StsRegion,
    /// The answer's certificate isn't by an authority that is trusted.
    Certificate,
    /// FIPS or dual-stack endpoints are asked for, and there's no such host.
    Endpoint,
}

impl Cause {
    fn of(service: &str, error: &AwsError) -> Option<Self> {
        let says = |text: &str| error.message.contains(text);
        match error.code.as_str() {
            "RegionDisabledException" if service == "sts" => Some(Self::StsRegion),
            code if code.starts_with("AccessDenied") => match () {
                _ if says("explicit deny in a service control policy") => Some(Self::Organization),
                _ if says("explicit deny in a resource control policy") => Some(Self::Organization),
                _ if says("service control policy allows") => Some(Self::Organization),
                _ if says("explicit deny in a permissions boundary") => Some(Self::Boundary),
                _ if says("permissions boundary allows") => Some(Self::Boundary),
                _ => None,
            },
            AwsError::NETWORK if says("invalid peer certificate") => Some(Self::Certificate),
            AwsError::NETWORK if says("dns error") && other_endpoints() => Some(Self::Endpoint),
            _ => None,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Organization => {
                "a policy of the organization denies it, whatever the role allows: if no account uses DRS in these regions, remove \
                 them from DRS_REGIONS; otherwise, exempt the role in that policy; until then, nothing is removed from the \
                 lists of the accounts that are asked there"
            }
            Self::Boundary => {
                "a permissions boundary denies it, whatever the role's own policies say: allow the action in the boundary"
            }
            Self::StsRegion => {
                "the region isn't active for STS in some target accounts: activate it there (IAM console, Account \
                 settings; an opt-in region by `aws account enable-region`), or run the host in a region that every \
                 target account has"
            }
            Self::Certificate => {
                "the certificate isn't from a trusted authority: if a proxy intercepts TLS, set AWS_CA_BUNDLE to the PEM file of its \
                 authority"
            }
            Self::Endpoint => {
                "AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT is set, but the service has no such endpoint in these regions: remove them from DRS_REGIONS, or unset the variable"
            }
        }
    }
}

/// Whether others than the standard endpoints are asked for.
fn other_endpoints() -> bool {
    let set = |name| std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    set("AWS_USE_FIPS_ENDPOINT") || set("AWS_USE_DUALSTACK_ENDPOINT")
}

/// The causes that were met, and how often.
#[derive(Debug, Default)]
pub(super) struct Advice(Mutex<BTreeMap<Cause, Met>>);

#[derive(Debug, Default)]
struct Met {
    calls: u64,
    services: BTreeSet<String>,
    regions: BTreeSet<String>,
    example: String,
}

impl Advice {
    /// Remembers the error of a call, if it's one of these.
    pub(super) fn note(&self, service: &str, region: Option<&str>, error: &AwsError) {
        let Some(cause) = Cause::of(service, error) else { return };
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = met.entry(cause).or_default();
        met.calls += 1;
        met.services.insert(service.to_owned());
        met.regions.extend(region.map(str::to_owned));
        if met.example.is_empty() {
            met.example = error.to_string();
        }
    }

    /// Tells what was met since the last time: a line for each cause.
    pub(super) fn tell(&self) {
        let met = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let list = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
        for (cause, Met { calls, services, regions, example }) in met {
            let regions = (!regions.is_empty()).then(|| list(regions));
            tracing::warn!(calls, services = list(services), regions, example, "AWS: {}", cause.text());
        }
    }
}
