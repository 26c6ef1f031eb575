//! A loaded policy: one component, compiled once, and instantiated for every account.

pub mod cache;
mod component_type;
pub mod contract;
pub mod encode;
mod imports;
mod limits;
pub mod memory;
pub(crate) mod meter;
mod release;
pub mod released;
mod signature;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store, Trap};

use crate::aws::Access;
use crate::bindings::types::{AccountOutcome, Outcome, PolicyInfo, Tick};
use crate::bindings::{Policy as Instance, PolicyPre};
use crate::capability::{Displaced, Refused, Scope};
use crate::error::{Error, ErrorKind};
use crate::outside;
use memory::{Budget, Typical};
use meter::Meter;

pub use crate::digest::sha256;
pub use cache::Cache;
pub use component_type::{ComponentType, Import};
pub use imports::access;
pub use limits::{COMPONENT, Limits, engine_config};
pub use meter::Used;
pub use release::Release;

/// What the host keeps beside one instance: the store's data.
pub struct StoreData {
    /// The account that the instance is bound to, in `sync`.
    pub(crate) scope: Option<Scope>,
    /// How often it has called the host.
    pub(crate) calls: u32,
    /// How many lines it has logged.
    pub(crate) log_lines: u32,
    /// The last error that it logged.
    pub(crate) last_error: Option<String>,
    /// How long the host's functions computed for it.
    pub(crate) host_time: Duration,
    limiter: limits::Limiter,
}

impl StoreData {
    /// What the instance takes of which budget, in bytes of linear memory.
    pub(crate) fn memory(&self) -> (usize, &'static Budget) {
        (self.limiter.used(), self.limiter.budget)
    }
}

/// A policy that this host can run. A clone is the same compiled policy.
#[derive(Clone)]
pub struct Policy {
    digest: Arc<str>,
    engine: Engine,
    pre: PolicyPre<StoreData>,
    limits: Limits,
    shape: ComponentType,
    info: PolicyInfo,
    meter: Arc<Meter>,
    typical: Arc<Typical>,
}

/// A component, compiled and not yet judged.
pub struct Candidate {
    digest: Arc<str>,
    engine: Engine,
    component: Component,
    shape: ComponentType,
}

/// Why an export didn't return.
enum Ended {
    Fault(Fault),
    /// It made room for others: the call is to be made again, with so many bytes.
    Displaced(usize),
}

/// Runs one export in an instance of its own, and in another one should it have to make room for others. No function: the
/// future of a closure that is called again isn't known to be `Send`.
macro_rules! run {
    ($policy:expr, $scope:expr, $scale:expr, $call:expr) => {{
        let (policy, mut scope, mut bytes) = ($policy, $scope, $policy.typical.bytes());
        loop {
            match policy.run_in(scope, $scale, bytes, $call).await {
                (Ok(value), scope) => break (Ok(value), scope),
                (Err(Ended::Fault(fault)), scope) => break (Err(fault), scope),
                (Err(Ended::Displaced(wanted)), given_back) => {
                    bytes = wanted;
                    scope = given_back.map(Scope::again);
                }
            }
        }
    }};
}

/// What the policy did wrong, and so what its account's error says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy: {0}")]
pub struct Fault(pub String);

impl Candidate {
    /// Compiles a component, or a core module as the component that it makes, whatever it imports.
    pub fn compile(bytes: &[u8]) -> Result<Self, Error> {
        Self::compile_once(bytes, &Cache::none())
    }

    /// The same, unless it's compiled already.
    pub fn compile_once(bytes: &[u8], cache: &Cache) -> Result<Self, Error> {
        if let Some(known) = Self::compiled(bytes, cache)? {
            return Ok(known);
        }
        let (engine, digest) = (engine()?, sha256(bytes));
        let bytes = encode::component_of(bytes).map_err(refused)?;
        contract::is_component(&bytes).map_err(refused)?;
        let component = Component::new(&engine, bytes)
            .map_err(|error| refused(format!("isn't a WebAssembly component that can be compiled: {error:#}")))?;
        cache.keep(&engine, &digest, &component);
        Ok(Self::of(engine, &digest, component))
    }

    /// What is compiled already, if it is.
    pub fn compiled(bytes: &[u8], cache: &Cache) -> Result<Option<Self>, Error> {
        if bytes.len() as u64 > limits::COMPONENT {
            return Err(refused(format!("is larger than {} MiB", limits::COMPONENT >> 20)));
        }
        let (engine, digest) = (engine()?, sha256(bytes));
        Ok(cache.find(&engine, &digest).map(|component| Self::of(engine, &digest, component)))
    }

    fn of(engine: Engine, digest: &str, component: Component) -> Self {
        let shape = ComponentType::of(&component);
        Self { digest: digest.into(), engine, component, shape }
    }

    /// What it imports and exports.
    pub fn shape(&self) -> &ComponentType {
        &self.shape
    }

    /// The SHA-256 of the file that it was made from, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Makes it a policy, if this host can run it as one.
    pub async fn load(self, limits: Limits) -> Result<Policy, Error> {
        let Self { digest, engine, component, shape } = self;
        contract::check(&shape).map_err(refused)?;
        let mut linker = Linker::new(&engine);
        let pre = Instance::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest: &mut StoreData| guest)
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(PolicyPre::new)
            .map_err(|error| {
                let otherwise = || format!("doesn't fit {}: {error:#}", contract::PACKAGE);
                refused(contract::mismatch(&component, &shape).unwrap_or_else(otherwise))
            })?;
        let info = PolicyInfo {
            name: String::new(),
            version: String::new(),
            operations: Vec::new(),
            settings_schema: String::new(),
        };
        let mut policy =
            Policy { digest, engine, pre, limits, shape, info, meter: Arc::default(), typical: Arc::default() };
        let (info, _) = run!(&policy, None, 1, async |instance, store| instance.call_info(store).await);
        policy.info = info.map_err(|fault| Error::new(ErrorKind::PolicyFailed, format!("info: {fault}")))?;
        Ok(policy)
    }
}

fn engine() -> Result<Engine, Error> {
    limits::engine().map_err(|error| refused(format!("host: no engine: {error:#}")))
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::PolicyRefused, message)
}

impl Policy {
    /// Loads a policy from a file; it's compiled once.
    pub async fn load(path: &Path, limits: Limits) -> Result<Self, Error> {
        let bytes = read(path).await.map_err(|error| {
            Error::new(
                ErrorKind::PolicyUnavailable,
                format!(
                    "policy {}: {error}: set POLICY to a policy, or build the default policy with `make policy`",
                    path.display()
                ),
            )
        })?;
        let refused = |error: Error| Error::new(error.kind, format!("policy {}: {}", path.display(), error.message));
        let candidate = Candidate::compile_once(&bytes, &Cache::own()).map_err(&refused)?;
        candidate.load(limits).await.map_err(refused)
    }

    /// Loads a policy from a component's bytes. Refuses one that imports anything beyond the WIT package, or
    /// that was built for another track of it.
    pub async fn from_bytes(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        Candidate::compile(bytes)?.load(limits).await
    }

    /// The SHA-256 of the file that it was made from, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the policy imports and exports.
    pub fn shape(&self) -> &ComponentType {
        &self.shape
    }

    /// The access to AWS that its imports need.
    pub fn access(&self) -> Access {
        access(&self.shape)
    }

    /// What all its instances used so far.
    pub fn used(&self) -> Used {
        self.meter.used()
    }

    /// The most linear memory that one of its instances took so far, in bytes.
    pub fn most_memory(&self) -> usize {
        self.typical.most()
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
            run!(self, None, 1, async |instance, store| instance.call_validate_settings(store, settings).await);
        let problems = match verdict {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problems)) => problems,
            Err(fault) => return Err(Error::new(ErrorKind::PolicyFailed, format!("validate-settings: {fault}"))),
        };
        let list: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        Err(Error::new(ErrorKind::SettingsInvalid, list.join("; ")))
    }

    /// Lets the policy decide one account. The scope comes back with what the policy asked for.
    pub async fn sync(&self, tick: &Tick, scope: Scope) -> (Result<Outcome, Fault>, Option<Scope>) {
        run!(self, Some(scope), 1, async |instance, store| instance.call_sync(store, tick).await)
    }

    /// Lets the policy make the tick's summary.
    pub async fn summarize(&self, tick: &Tick, outcomes: &[AccountOutcome]) -> Result<String, Error> {
        // A summary grows with the fleet; its allowance as well.
        let scale = 1 + outcomes.len() as u64 / 200;
        let (summary, _) =
            run!(self, None, scale, async |instance, store| instance.call_summarize(store, tick, outcomes).await);
        summary.map_err(|fault| Error::new(ErrorKind::PolicyFailed, format!("summarize: {fault}")))
    }

    /// Runs one export in an instance of its own, which waits for so many bytes of memory.
    async fn run_in<R>(
        &self,
        scope: Option<Scope>,
        scale: u64,
        bytes: usize,
        call: impl AsyncFnOnce(&Instance, &mut Store<StoreData>) -> wasmtime::Result<R>,
    ) -> (Result<R, Ended>, Option<Scope>) {
        let limiter = self.limits.limiter(scale, bytes).await;
        let (calls, log_lines, last_error) = Default::default();
        let guest = StoreData { scope, calls, log_lines, last_error, host_time: Duration::ZERO, limiter };
        let mut store = Store::new(&self.engine, guest);
        let result = outside::with(async |outside| {
            if let Some(scope) = &mut store.data_mut().scope {
                scope.outside = Some(outside);
            }
            let result = async {
                self.limits.apply(&mut store, scale)?;
                let instance = self.pre.instantiate_async(&mut store).await?;
                call(&instance, &mut store).await
            };
            meter::busy(result).await
        });
        let (result, time) = result.await;
        let fuel = self.limits.fuel.saturating_mul(scale).saturating_sub(store.get_fuel().unwrap_or_default());
        self.meter.count(Used { fuel, time: time.saturating_sub(store.data().host_time) });
        self.typical.record(store.data().limiter.used());
        let result = result.map_err(|error| match error.downcast_ref::<Displaced>() {
            Some(Displaced(wanted)) => Ended::Displaced(*wanted),
            None => Ended::Fault(self.blame(&error, store.data().last_error.as_deref(), scale)),
        });
        (result, store.into_data().scope) // the instance's memory is gone now, and then its reservation
    }

    /// Says in the policy author's words why an instance ended.
    fn blame(&self, error: &wasmtime::Error, logged: Option<&str>, scale: u64) -> Fault {
        if let Some(Refused(what)) = error.downcast_ref() {
            return Fault(format!("{what}; nothing was written"));
        }
        if let Some(limits::Exceeded(limit)) = error.downcast_ref() {
            return Fault(format!("reached its limit of {limit}"));
        }
        Fault(match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                format!(
                    "reached its limit of {} units of fuel (POLICY_FUEL): does it loop forever?",
                    self.limits.fuel * scale
                )
            }
            Some(Trap::StackOverflow) => format!("reached its limit of {} KiB of stack", limits::STACK >> 10),
            // An exception or a panic ends in a trap that says nothing of it; what was logged before does.
            Some(trap) => match logged {
                Some(logged) => format!("trapped: {logged} ({trap})"),
                None => format!("trapped: {trap}"),
            },
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
