//! Quotas per second: token buckets in the simulation's time.

use std::collections::HashMap;
use std::str::FromStr;

use tokio::time::Instant;

/// Rates by service, as AWS counts: an account may do so much a second, and has that much in hand.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// DRS calls to one region by one target account.
    pub drs: f64,
    /// DRS calls to all regions by one target account.
    pub drs_account: Option<f64>,
    /// STS calls by the hub account.
    pub sts: f64,
    /// DynamoDB capacity units of the table, for reads and for writes.
    pub dynamodb: f64,
}

impl Default for Rates {
    /// STS: its documented default. DynamoDB: a new on-demand table. DRS documents none for its listings: a guess on the
    /// careful side.
    fn default() -> Self {
        Self { drs: 10.0, drs_account: None, sts: 600.0, dynamodb: 4_000.0 }
    }
}

/// One setting of `--throttle`, like `sts=300`.
#[derive(Debug, Clone)]
pub struct Rate {
    service: Service,
    rate: f64,
}

#[derive(Debug, Clone, Copy)]
enum Service {
    Drs,
    DrsAccount,
    Sts,
    Dynamodb,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected drs=RATE, drs-account=RATE, sts=RATE or dynamodb=RATE, with a rate above 0 a second".to_owned()
        };
        let (service, rate) = text.split_once('=').ok_or_else(expected)?;
        let service = match service {
            "drs" => Service::Drs,
            "drs-account" => Service::DrsAccount,
            "sts" => Service::Sts,
            "dynamodb" => Service::Dynamodb,
            _ => return Err(expected()),
        };
        let rate = rate.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite()).ok_or_else(expected)?;
        Ok(Self { service, rate })
    }
}

impl Rates {
    /// The default rates, but for these.
    pub fn with(settings: &[Rate]) -> Self {
        let mut rates = Self::default();
        for Rate { service, rate } in settings {
            match service {
                Service::Drs => rates.drs = *rate,
                Service::DrsAccount => rates.drs_account = Some(*rate),
                Service::Sts => rates.sts = *rate,
                Service::Dynamodb => rates.dynamodb = *rate,
            }
        }
        rates
    }
}

/// What is left of each quota.
#[derive(Default)]
pub struct Quotas {
    left: HashMap<(&'static str, u32, u32), Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Quotas {
    /// Takes `cost` of a quota that refills at `rate` a second, if it's there. A quota is one of a kind for an account
    /// and a region, by their numbers.
    pub fn take(&mut self, kind: &'static str, account: u32, region: u32, rate: f64, cost: f64) -> bool {
        let now = Instant::now();
        // A call that costs more than a second's worth takes all that there is.
        let most = rate.max(1.0);
        let bucket = self.left.entry((kind, account, region)).or_insert(Bucket { tokens: most, at: now });
        bucket.tokens = (bucket.tokens + (now - bucket.at).as_secs_f64() * rate).min(most);
        bucket.at = now;
        let cost = cost.min(most);
        let fits = bucket.tokens >= cost;
        if fits {
            bucket.tokens -= cost;
        }
        fits
    }
}
