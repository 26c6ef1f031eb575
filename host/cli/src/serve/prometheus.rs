//! The state in the format of Prometheus: gauges of the last tick, counters since the start.

use std::time::SystemTime;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use staging_sync_runtime::aws;

use super::state::State;
use crate::{COMMIT, VERSION};

/// What Prometheus knows the text by.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters with one label.
type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// The state in the text format of OpenMetrics.
pub fn text(state: &State) -> String {
    let mut registry = Registry::with_prefix("staging_sync");
    identities(&mut registry, state);
    times(&mut registry, state);
    for metric in &state.numbers {
        let help = format!("{} of the last successful tick, as in its log line", metric.name);
        let (name, seconds) = match metric.unit {
            "Milliseconds" => (metric.name.trim_end_matches("Ms"), Some(metric.value as f64 / 1e3)),
            "Microseconds" => (metric.name.trim_end_matches("Us"), Some(metric.value as f64 / 1e6)),
            _ => (metric.name, None),
        };
        let name = format!("last_tick_{}", snake_case(name));
        match seconds {
            Some(seconds) => registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(seconds)),
            None => registry.register(name, help, ConstGauge::new(metric.value)),
        }
    }
    counters(&mut registry, state);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => text,
        Err(_) => String::new(), // a String takes all that is written to it
    }
}

/// Which program this is, and by which policy it goes.
fn identities(registry: &mut Registry, state: &State) {
    let build = Info::new(vec![("version", VERSION), ("commit", COMMIT)]);
    registry.register("build", "This program", build);
    if let Some(policy) = &state.policy {
        let labels = [("policy", &policy.name), ("version", &policy.version), ("digest", &policy.digest)];
        let labels: Vec<(&str, String)> = labels.map(|(name, value)| (name, value.clone())).into();
        registry.register("policy", "The policy in use", Info::new(labels));
    }
    let rejected = ConstGauge::new(state.rejected.len() as u64);
    registry.register("policies_rejected", "Policies in POLICY that aren't used because they were rejected", rejected);
}

/// When ticks ended.
fn times(registry: &mut Registry, state: &State) {
    let ended = state.last.as_ref().map(|last| last.at);
    for (name, help, at) in [
        ("last_tick_end_timestamp", "When the last tick ended", ended),
        ("last_success_timestamp", "When the last successful tick ended", state.succeeded_at),
    ] {
        let Some(at) = at else { continue };
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(seconds));
    }
}

/// What adds up since the start.
fn counters(registry: &mut Registry, state: &State) {
    let ticks = Labelled::default();
    ticks.get_or_create(&[("result", "succeeded")]).inc_by(state.succeeded);
    ticks.get_or_create(&[("result", "failed")]).inc_by(state.failed);
    registry.register("ticks", "Ticks that ended", ticks);
    for (name, numbers, help) in [
        ("aws_calls", "Calls", "Calls of AWS"),
        ("aws_throttles", "Throttles", "Calls of AWS that were throttled in all their tries"),
        ("aws_errors", "Errors", "Calls of AWS that failed otherwise"),
    ] {
        let calls = Labelled::default();
        for service in aws::Counter::SERVICES {
            calls.get_or_create(&[("service", service)]).inc_by(state.sum(&format!("{service}{numbers}")));
        }
        registry.register(name, format!("{help}, in successful ticks"), calls);
    }
    let updated = ConstCounter::new(state.sum("accountsUpdated"));
    registry.register("accounts_updated", "Updates of accounts", updated);
    let rejections = ConstCounter::new(state.rejections);
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
