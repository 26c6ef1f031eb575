//! The state in the format of Prometheus: gauges of the last tick, counters since the start.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use staging_sync_runtime::aws;

use super::state::{Operation, State};
use crate::{COMMIT, VERSION};

/// What Prometheus knows the text by.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of a number: `operation`, and more.
type Labels = Vec<(&'static str, String)>;
/// Whole numbers with labels.
type Numbers = Family<Labels, Gauge<u64, AtomicU64>>;
/// Seconds with labels.
type Seconds = Family<Labels, Gauge<f64, AtomicU64>>;
/// Counters with labels.
type Counters = Family<Labels, Counter>;

/// The state in the text format of OpenMetrics.
pub fn text(state: &State) -> String {
    let mut registry = Registry::with_prefix("staging_sync");
    identities(&mut registry, state);
    times(&mut registry, state);
    last_ticks(&mut registry, state);
    counters(&mut registry, state);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => text,
        Err(_) => String::new(), // a String takes all that is written to it
    }
}

/// The label of an operation, and others.
fn labels<const N: usize>(operation: &Operation, others: [(&'static str, &str); N]) -> Labels {
    let others = others.map(|(name, value)| (name, value.to_owned()));
    [("operation", operation.name.clone())].into_iter().chain(others).collect()
}

/// Which program this is, and by which policies it goes.
fn identities(registry: &mut Registry, state: &State) {
    let build = Info::new(vec![("version", VERSION), ("commit", COMMIT)]);
    registry.register("build", "This program", build);
    let policies = Numbers::default();
    for operation in &state.operations {
        let Some(policy) = &operation.policy else { continue };
        let others = [("policy", &*policy.name), ("version", &*policy.version), ("digest", &*policy.digest)];
        policies.get_or_create(&labels(operation, others)).set(1);
    }
    registry.register("policy_info", "The policy in use", policies);
    let rejected = ConstGauge::new(state.rejected.len() as u64);
    registry.register("policies_rejected", "Policies in POLICY that aren't used because they were rejected", rejected);
}

/// When ticks ended.
fn times(registry: &mut Registry, state: &State) {
    let (ended, succeeded) = (Numbers::default(), Numbers::default());
    for operation in &state.operations {
        let last = operation.last.as_ref().map(|last| last.at);
        for (family, at) in [(&ended, last), (&succeeded, operation.succeeded_at)] {
            let Some(at) = at else { continue };
            let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            family.get_or_create(&labels(operation, [])).set(seconds);
        }
    }
    registry.register_with_unit("last_tick_end_timestamp", "When the last tick ended", Unit::Seconds, ended);
    let help = "When the last successful tick ended";
    registry.register_with_unit("last_success_timestamp", help, Unit::Seconds, succeeded);
}

/// The numbers of the last successful ticks.
fn last_ticks(registry: &mut Registry, state: &State) {
    let mut known: Vec<&str> = Vec::new();
    for metric in state.operations.iter().flat_map(|operation| &operation.numbers) {
        if known.contains(&metric.name) {
            continue;
        }
        known.push(metric.name);
        let of = |operation: &Operation| {
            operation.numbers.iter().find(|other| other.name == metric.name).map(|other| other.value)
        };
        let values = state.operations.iter().filter_map(|operation| Some((labels(operation, []), of(operation)?)));
        let help = format!("{} of the last successful tick, as in its log line", metric.name);
        let (name, fraction) = match metric.unit {
            "Milliseconds" => (metric.name.trim_end_matches("Ms"), Some(1e3)),
            "Microseconds" => (metric.name.trim_end_matches("Us"), Some(1e6)),
            _ => (metric.name, None),
        };
        let name = format!("last_tick_{}", snake_case(name));
        if let Some(fraction) = fraction {
            let seconds = Seconds::default();
            for (labels, value) in values {
                seconds.get_or_create(&labels).set(value as f64 / fraction);
            }
            registry.register_with_unit(name, help, Unit::Seconds, seconds);
        } else {
            let numbers = Numbers::default();
            for (labels, value) in values {
                numbers.get_or_create(&labels).set(value);
            }
            registry.register(name, help, numbers);
        }
    }
}

/// What adds up since the start.
fn counters(registry: &mut Registry, state: &State) {
    let ticks = Counters::default();
    for operation in &state.operations {
        ticks.get_or_create(&labels(operation, [("result", "succeeded")])).inc_by(operation.succeeded);
        ticks.get_or_create(&labels(operation, [("result", "failed")])).inc_by(operation.failed);
    }
    registry.register("ticks", "Ticks that ended", ticks);
    for (name, numbers, help) in [
        ("aws_calls", "Calls", "Calls of AWS"),
        ("aws_throttles", "Throttles", "Calls of AWS that were throttled in all their tries"),
        ("aws_errors", "Errors", "Calls of AWS that failed otherwise"),
    ] {
        let calls = Counters::default();
        for operation in &state.operations {
            for service in aws::Counter::SERVICES {
                let sum = operation.sum(&format!("{service}{numbers}"));
                calls.get_or_create(&labels(operation, [("service", service)])).inc_by(sum);
            }
        }
        registry.register(name, format!("{help}, in successful ticks"), calls);
    }
    let (updated, rejections) = (Counters::default(), Counters::default());
    for operation in &state.operations {
        updated.get_or_create(&labels(operation, [])).inc_by(operation.sum("accountsUpdated"));
        rejections.get_or_create(&labels(operation, [])).inc_by(operation.rejections);
    }
    registry.register("accounts_updated", "Updates of accounts", updated);
    registry.register("policy_rejections", "How often a tick found a policy rejected", rejections);
}

/// `accountsUpdated` as `accounts_updated`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
