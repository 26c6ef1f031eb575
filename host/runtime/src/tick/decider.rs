//! The policies of a tick: the active release, the last good one as its replacement, and the shadow policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::aws::{Aws, AwsApi, Counter, Known};
use crate::bindings::types::{AccountOutcome, Outcome, Tick};
use crate::capability::Scope;
use crate::config::Config;
use crate::error::Error;
use crate::outcome;
use crate::policy::{Fault, Policy, Release};

/// The releases of a tick.
pub struct Policies {
    /// The one that decides.
    pub active: Arc<Release>,
    /// The release that decides what the active one fails on.
    pub last_good: Option<LastGood>,
    /// The shadow release, which decides on the same observations without effect.
    pub shadow: Option<Arc<Release>>,
    /// Why nothing is removed, whatever the policy asks for.
    pub hold_removals: Option<String>,
}

impl Policies {
    /// The same for one that others have as well.
    pub fn of(active: Arc<Release>) -> Self {
        Self { active, last_good: None, shadow: None, hold_removals: None }
    }

    /// A policy without any other beside it.
    pub fn only(active: Release) -> Self {
        Self::of(Arc::new(active))
    }
}

/// Finds the last good release when it's needed; none if it isn't to be had.
type Find = Box<dyn Fn() -> BoxFuture<'static, Option<Arc<Release>>> + Send + Sync>;

/// The last good release: at hand, or to be loaded if it should ever be needed.
pub struct LastGood {
    find: Find,
}

impl LastGood {
    /// One that is at hand.
    pub fn at_hand(release: Arc<Release>) -> Self {
        Self::found_by(move || {
            let release = Arc::clone(&release);
            Box::pin(async move { Some(release) })
        })
    }

    /// One that is loaded when it's needed.
    pub fn found_by(find: impl Fn() -> BoxFuture<'static, Option<Arc<Release>>> + Send + Sync + 'static) -> Self {
        Self { find: Box::new(find) }
    }
}

/// A release at work: with AWS as far as its imports need it.
pub(super) struct Decider {
    release: Arc<Release>,
    pub(super) aws: Arc<Aws>,
}

impl Decider {
    pub(super) fn new(
        release: Arc<Release>,
        aws_api: &Arc<dyn AwsApi>,
        config: &Config,
        counter: &Arc<Counter>,
        known: &Arc<Known>,
    ) -> Arc<Self> {
        let aws = Aws::new(Arc::clone(aws_api), &config.table, &release.policy().access());
        let aws = Arc::new(aws.counted_by(Arc::clone(counter)).knowing(Arc::clone(known)));
        Arc::new(Self { release, aws })
    }

    pub(super) fn policy(&self) -> &Policy {
        self.release.policy()
    }

    pub(super) fn release(&self) -> &Release {
        &self.release
    }

    /// Lets the policy decide an account; what it says must be what it asked for.
    pub(super) async fn sync(&self, tick: &Tick, scope: Scope) -> (Result<Outcome, Fault>, Option<Scope>) {
        // Boxed, so that what an instance is made of isn't a part of the type of every future that a tick is awaited in.
        let (decision, scope) = self.policy().sync(&self.tick(tick), scope).boxed().await;
        let receipt = scope.as_ref().and_then(|scope| scope.staged.as_ref()).map(|staged| &staged.receipt);
        let decision = decision.and_then(|outcome| match outcome::check(&outcome, receipt) {
            Ok(()) => Ok(outcome),
            Err(problem) => Err(Fault(problem)),
        });
        let vetoed = scope.as_ref().and_then(|scope| scope.vetoed.as_deref());
        let decision = decision.map(|outcome| outcome::vetoed(outcome, vetoed));
        (decision, scope)
    }

    /// Lets the policy sum up.
    pub(super) async fn summarize(&self, tick: &Tick, outcomes: &[AccountOutcome]) -> Result<serde_json::Value, Error> {
        crate::summary::read(&self.policy().summarize(&self.tick(tick), outcomes).boxed().await?)
    }

    fn tick(&self, tick: &Tick) -> Tick {
        Tick { settings: self.release.settings().to_owned(), ..tick.clone() }
    }
}

/// The last good release at work, once it's needed.
pub(super) struct Rescue {
    last_good: LastGood,
    /// The release, once it's there: only success is kept.
    found: OnceCell<Arc<Decider>>,
    /// Whether it couldn't be had in this tick; the next one tries again.
    missing: AtomicBool,
}

impl Rescue {
    pub(super) fn new(last_good: LastGood) -> Self {
        Self { last_good, found: OnceCell::new(), missing: AtomicBool::new(false) }
    }

    /// A tick begins, as far as a release is concerned that couldn't be had in the one before.
    pub(super) fn begin_tick(&self) {
        self.missing.store(false, Ordering::Relaxed);
    }

    /// The last good release, if it serves the operation.
    pub(super) async fn find(
        &self,
        operation: &str,
        aws_api: &Arc<dyn AwsApi>,
        config: &Config,
        counter: &Arc<Counter>,
        known: &Arc<Known>,
    ) -> Option<Arc<Decider>> {
        let find = || async {
            if self.missing.load(Ordering::Relaxed) {
                return Err(());
            }
            let Some(release) = (self.last_good.find)().await else {
                self.missing.store(true, Ordering::Relaxed);
                return Err(());
            };
            Ok(Decider::new(release, aws_api, config, counter, known))
        };
        let found = self.found.get_or_try_init(find).await.ok();
        found.filter(|decider| decider.policy().title(operation).is_some()).cloned()
    }
}

/// What a decision comes to, for comparing two.
pub(super) fn gist(decision: &Result<Outcome, Fault>) -> serde_json::Value {
    match decision {
        Ok(outcome) => json!({
            "status": outcome::status_name(outcome.status),
            "added": outcome.added,
            "removed": outcome.removed,
            "heldRemovals": outcome.held_removals,
        }),
        Err(fault) => json!({"status": "failed", "error": fault.to_string()}),
    }
}
