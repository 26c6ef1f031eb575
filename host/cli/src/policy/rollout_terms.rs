//! The options of `policy publish` that ask for a rollout in steps.

use std::collections::BTreeSet;
use std::time::SystemTime;

use clap::{Args, ValueEnum, value_parser};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::activation::manifest::{Entry, Manifest};
use staging_sync_runtime::activation::rollouts::{self, Stored};
use staging_sync_runtime::rollout::{AbortOn, Document, PolicyId, Step, Terms, parse_steps};
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::tick::instant_text;

use crate::CommandError;

#[derive(Args)]
pub struct Rollout {
    /// Let the policy decide a growing share of the accounts, each for a number of clean ticks, and make it active after the
    /// last step. It runs as shadow policy for the other accounts. Example: 1%:3,10%:3,50%:6.
    #[arg(long = "rollout", value_name = "STEPS", conflicts_with_all = ["shadow", "repair"])]
    steps: Option<String>,
    /// The number of changes that each step must see before it's passed.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "steps",
        value_parser = value_parser!(u64).range(1..))]
    min_changes: u64,
    /// An account that the policy never decides during the rollout.
    #[arg(long, value_name = "ID", value_parser = account, requires = "steps")]
    never: Vec<AccountId>,
    /// An account that the policy decides from the first step on.
    #[arg(long, value_name = "ID", value_parser = account, requires = "steps")]
    always: Vec<AccountId>,
    /// What aborts the rollout. Use `failure` for a policy that is meant to decide differently.
    #[arg(long, value_enum, default_value_t = Abort::Any, requires = "steps")]
    abort_on: Abort,
    /// What selects the accounts of each share. Default: the salt of an earlier rollout of the same policy, or a random one.
    #[arg(long, value_name = "TEXT", requires = "steps")]
    salt: Option<String>,
}

/// What aborts a rollout.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Abort {
    /// A failure of the policy, or a decision that differs from the active policy's.
    Any,
    /// A failure of the policy.
    Failure,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| "expected an AWS account id of 12 digits".into())
}

/// A rollout that is to begin: its document, and what is there already.
pub struct Begun {
    /// What is to be written.
    pub document: Document,
    /// What it replaces.
    pub before: Option<Stored>,
    /// Whether the same rollout is under way.
    pub is_under_way: bool,
}

impl Rollout {
    /// Whether one is asked for.
    pub fn is_asked(&self) -> bool {
        self.steps.is_some()
    }

    /// The steps, if a rollout is asked for.
    pub fn steps(&self) -> Result<Option<Vec<Step>>, CommandError> {
        let steps = self.steps.as_ref().map(|steps| parse_steps(steps, self.min_changes)).transpose();
        steps.map_err(|error| CommandError(format!("--rollout: {error}")))
    }

    /// The rollout of a candidate beside a manifest's active policy.
    pub async fn begin(
        &self,
        at: &Location,
        manifest: &Manifest,
        candidate: &Entry,
        steps: Vec<Step>,
        by: String,
    ) -> Result<Begun, CommandError> {
        let before = rollouts::read(at, &candidate.sha256).await?;
        let earlier = before.as_ref().map(|stored| stored.document.rollout.salt.clone());
        let salt = match self.salt.clone().or(earlier) {
            Some(salt) => salt,
            None => random_salt()?,
        };
        let abort_on = match self.abort_on {
            Abort::Any => BTreeSet::from([AbortOn::Failure, AbortOn::Difference]),
            Abort::Failure => BTreeSet::from([AbortOn::Failure]),
        };
        let ids = |ids: &[AccountId]| ids.iter().cloned().collect();
        let started_at = instant_text(SystemTime::now());
        let terms = Terms { started_at, salt, steps, abort_on, never: ids(&self.never), always: ids(&self.always) };
        terms.check().map_err(|error| CommandError(format!("--never, --always: {error}")))?;
        let (active, id) = (PolicyId::from(&manifest.active), PolicyId::from(candidate));
        let is_under_way = manifest.shadow.as_ref().is_some_and(|shadow| shadow.is_published_as(candidate))
            && before.as_ref().is_some_and(|stored| {
                let document = &stored.document;
                document.state.is_live() && document.is_of(&active, &id) && document.rollout.is_same(&terms)
            });
        let document = before.as_ref().map(|stored| stored.document.clone());
        Ok(Begun { document: Document::new(active, id, terms, by, document), before, is_under_way })
    }
}

/// A salt that nobody chose.
fn random_salt() -> Result<String, CommandError> {
    let random = getrandom::u64().map_err(|error| CommandError(format!("host: no random numbers: {error}")))?;
    Ok(format!("{random:016x}"))
}
