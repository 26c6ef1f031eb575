//! A policy, loaded: one component, compiled once, instantiated afresh for every account.

pub mod contract;
mod limits;
mod shape;

use std::path::Path;

use tokio::io::AsyncReadExt;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, Trap};

use crate::aws::Access;
use crate::bindings::types::{AccountOutcome, Outcome, PolicyInfo, Tick};
use crate::bindings::{Policy as Instance, PolicyPre};
use crate::capability::{self, Refused, Scope};
use crate::error::{Error, ErrorKind};

pub use limits::Limits;
pub use shape::{Import, Shape};

/// What the host keeps beside one instance: the store's data.
pub struct Guest {
    /// The account that the instance is bound to, in `sync`.
    pub(crate) scope: Option<Scope>,
    /// How often it has called the host.
    pub(crate) calls: u32,
    /// How many lines it has logged.
    pub(crate) log_lines: u32,
    limiter: limits::Limiter,
}

/// A policy that this host can run. A clone is the same compiled policy.
#[derive(Clone)]
pub struct Policy {
    engine: Engine,
    pre: PolicyPre<Guest>,
    limits: Limits,
    shape: Shape,
    info: PolicyInfo,
}

/// A component, compiled and not yet judged.
pub struct Candidate {
    engine: Engine,
    component: Component,
    shape: Shape,
}

/// What the policy did wrong, and so what its account's error says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy: {0}")]
pub struct Fault(pub String);

impl Candidate {
    /// Compiles a component, whatever it imports.
    pub fn compile(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::COMPONENT {
            return Err(refused(format!("is larger than {} MiB", limits::COMPONENT >> 20)));
        }
        contract::is_component(bytes).map_err(refused)?;
        let engine = limits::engine().map_err(|error| refused(format!("host: no engine: {error:#}")))?;
        let component = Component::new(&engine, bytes)
            .map_err(|error| refused(format!("isn't a WebAssembly component that can be compiled: {error:#}")))?;
        let shape = Shape::of(&component);
        Ok(Self { engine, component, shape })
    }

    /// What it imports and exports.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Makes it a policy, if this host can run it as one.
    pub async fn load(self, limits: Limits) -> Result<Policy, Error> {
        let Self { engine, component, shape } = self;
        contract::check(&shape).map_err(refused)?;
        let mut linker = Linker::new(&engine);
        let pre = Instance::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut Guest| guest)
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(PolicyPre::new)
            .map_err(|error| refused(format!("doesn't fit {}: {error:#}", contract::PACKAGE)))?;
        let info = PolicyInfo {
            name: String::new(),
            version: String::new(),
            operations: Vec::new(),
            settings_schema: String::new(),
        };
        let mut policy = Policy { engine, pre, limits, shape, info };
        let (info, _) = policy.run(None, 1, async |instance, store| instance.call_info(store).await).await;
        policy.info = info.map_err(|fault| Error::new(ErrorKind::PolicyFailed, format!("info: {fault}")))?;
        Ok(policy)
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::PolicyRefused, message)
}

impl Policy {
    /// Loads a policy from a file.
    pub async fn load(path: &Path, limits: Limits) -> Result<Self, Error> {
        let bytes = read(path).await.map_err(|error| {
            Error::new(
                ErrorKind::PolicyUnavailable,
                format!(
                    "policy {}: {error}: set POLICY to a policy, or build the default one with `make policy`",
                    path.display()
                ),
            )
        })?;
        let refused = |error: Error| Error::new(error.kind, format!("policy {}: {}", path.display(), error.message));
        Self::from_bytes(&bytes, limits).await.map_err(refused)
    }

    /// Loads a policy from a component's bytes. Refuses one that imports anything beyond the WIT package, or
    /// that was built for another version of it.
    pub async fn from_bytes(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        Candidate::compile(bytes)?.load(limits).await
    }

    /// What the policy imports and exports.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The access to AWS that its imports need.
    pub fn access(&self) -> Access {
        capability::access(&self.shape)
    }

    /// What the policy says about itself.
    pub fn info(&self) -> &PolicyInfo {
        &self.info
    }

    /// The title of an operation for log lines, if the policy serves it.
    pub fn title(&self, operation: &str) -> Option<&str> {
        self.info.operations.iter().find(|served| served.name == operation).map(|served| served.title.as_str())
    }

    /// Lets the policy judge its settings, a JSON text.
    pub async fn validate_settings(&self, settings: &str) -> Result<(), Error> {
        let (verdict, _) =
            self.run(None, 1, async |instance, store| instance.call_validate_settings(store, settings).await).await;
        let problems = match verdict {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problems)) => problems,
            Err(fault) => return Err(Error::new(ErrorKind::PolicyFailed, format!("validate-settings: {fault}"))),
        };
        let list: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        Err(Error::new(ErrorKind::SettingsInvalid, format!("POLICY_SETTINGS: {}", list.join("; "))))
    }

    /// Lets the policy decide one account. The scope comes back with what the policy asked for.
    pub async fn sync(&self, tick: &Tick, scope: Scope) -> (Result<Outcome, Fault>, Option<Scope>) {
        self.run(Some(scope), 1, async |instance, store| instance.call_sync(store, tick).await).await
    }

    /// Lets the policy make the tick's summary.
    pub async fn summarize(&self, tick: &Tick, outcomes: &[AccountOutcome]) -> Result<String, Error> {
        // A summary grows with the fleet; its allowance as well.
        let scale = 1 + outcomes.len() as u64 / 200;
        let (summary, _) =
            self.run(None, scale, async |instance, store| instance.call_summarize(store, tick, outcomes).await).await;
        summary.map_err(|fault| Error::new(ErrorKind::PolicyFailed, format!("summarize: {fault}")))
    }

    /// Runs one export in an instance of its own.
    async fn run<R>(
        &self,
        scope: Option<Scope>,
        scale: u64,
        call: impl AsyncFnOnce(&Instance, &mut Store<Guest>) -> wasmtime::Result<R>,
    ) -> (Result<R, Fault>, Option<Scope>) {
        let limiter = self.limits.limiter(scale);
        let guest = Guest { scope, calls: 0, log_lines: 0, limiter };
        let mut store = Store::new(&self.engine, guest);
        let result = async {
            self.limits.apply(&mut store, scale)?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            call(&instance, &mut store).await
        };
        let result = result.await.map_err(|error| self.blame(&error, scale));
        (result, store.into_data().scope)
    }

    /// Says in the policy author's words why an instance ended.
    fn blame(&self, error: &wasmtime::Error, scale: u64) -> Fault {
        if let Some(Refused(what)) = error.downcast_ref() {
            return Fault(format!("{what}; nothing was written"));
        }
        if let Some(limits::Exceeded(limit)) = error.downcast_ref() {
            return Fault(format!("met its limit of {limit}"));
        }
        Fault(match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                format!(
                    "met its limit of {} units of fuel (POLICY_FUEL): does it loop for ever?",
                    self.limits.fuel * scale
                )
            }
            Some(Trap::StackOverflow) => format!("met its limit of {} KiB of stack", limits::STACK >> 10),
            Some(trap) => format!("trapped: {trap}"),
            None => format!("failed: {}", error.root_cause()),
        })
    }
}

/// Reads a file, and hardly more of it than a component may have: its length needn't be what it says.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(limits::COMPONENT + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
