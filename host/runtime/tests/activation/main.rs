//! How policies change while the host runs: published, refused, rescued, in the shadow, rolled back.

mod cache;
mod cold_start;
mod model;
mod publishing;
mod refusals;
mod rescue;
mod rollout;
mod several;
mod shadow;
mod swap;
mod under_load;

#[allow(dead_code, reason = "the sandbox's tests use all of it")]
#[path = "../sandbox/guest.rs"]
mod guest;
#[allow(dead_code, reason = "the ticks' tests use all of it")]
#[path = "../ticks/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use staging_sync_lab::Lab;
use staging_sync_runtime::activation::manifest::{Entry, Manifest};
use staging_sync_runtime::activation::{Admission, CurrentPolicies, Fallback, PolicySource, Rejected};
use staging_sync_runtime::policy::{self, Cache, Limits};
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::{Event, Service, Tick};
use tokio::time::{Duration, Instant};

use guest::Guest;

/// The log says what is expected here; a failing test should say no more than why.
const QUIET: Duration = Duration::from_secs(120);

/// A guest of this version; versions differ in nothing else but the digest.
fn version(version: &'static str) -> Guest {
    Guest { version, ..Guest::default() }
}

/// A guest that traps on accounts whose id ends in 1.
fn trapping(version: &'static str) -> Guest {
    Guest { version, sync: "unreachable".into(), ..Guest::default() }
}

/// A folder of a test's own.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Puts a component where a manifest can name it, and returns its entry.
fn entry(folder: &Path, guest: &Guest) -> Entry {
    let bytes = guest.component();
    let sha256 = policy::sha256(&bytes);
    let component = format!("sha256-{sha256}.wasm");
    std::fs::write(folder.join(&component), bytes).expect("a component");
    let version = if guest.version.is_empty() { "1.0.0" } else { guest.version };
    Entry {
        name: "hostile".into(),
        version: version.into(),
        component,
        sha256,
        settings: None,
        signature: None,
        replay: None,
        cases: None,
    }
}

/// Puts a manifest in a folder in one step.
fn publish(folder: &Path, active: &Guest, previous: Option<&Guest>, shadow: Option<&Guest>) -> PathBuf {
    let manifest = Manifest {
        active: entry(folder, active),
        previous: previous.map(|guest| entry(folder, guest)),
        shadow: shadow.map(|guest| entry(folder, guest)),
    };
    put(folder, &manifest.text())
}

fn put(folder: &Path, manifest: &str) -> PathBuf {
    let path = folder.join("policy.json");
    let part = folder.join("policy.part");
    std::fs::write(&part, manifest).and_then(|()| std::fs::rename(&part, &path)).expect("a manifest");
    path
}

fn admission() -> Admission {
    let limits = Limits { fuel: 20_000_000, memory: 16 << 20, ..Limits::default() };
    Admission { limits, key: None, settings: "{}".into(), cache: Cache::none() }
}

fn at(path: &Path) -> Location {
    Location::parse(path.to_str().expect("UTF-8"), None).expect("a location")
}

/// A source in front of a path, without a packaged policy.
fn source(path: &Path, admission: Admission) -> PolicySource {
    PolicySource::new(at(path), Arc::new(admission), None)
}

/// What a source goes by after a refresh, and why it doesn't follow its source.
async fn refresh(source: &PolicySource) -> (Option<CurrentPolicies>, Option<Rejected>) {
    let until = Instant::now() + QUIET;
    source.refresh(until, until, &|_| None).await;
    for by in Fallback::ALL {
        source.fall_back(by, &|_| None).await;
    }
    (source.current().await.ok().flatten(), source.rejected().await)
}

/// The version that a current goes by.
fn active(current: Option<&CurrentPolicies>) -> &str {
    current.map_or("none", |current| current.active.policy().info().version.as_str())
}

/// A service in front of a lab, with its policy at a path.
fn service(lab: &Lab, policy: &Path, variables: &[(&str, &str)]) -> Service {
    let mut variables = variables.to_vec();
    variables.push(("POLICY", policy.to_str().expect("UTF-8")));
    let (config, live) = support::config_and_live(lab, &variables, support::patience()).expect("a configuration");
    Service::with(config, Arc::new(live), None).expect("a service")
}

/// The summary of a tick.
async fn tick(service: &Service) -> Value {
    let tick = Tick::of(Event::of("sync_staging_accounts"));
    service.tick(tick, |_, _| ()).await.expect("a summary").summary
}
