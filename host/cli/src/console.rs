//! `staging-sync console`: what ticks did, as a web page on this machine, from the journal that they left.

use std::sync::Arc;

use clap::Args;
use futures_util::FutureExt;
use staging_sync_console::{AllowedHost, Console, Live, Manifests, PolicyLoader, Server, Sources, Verdicts};
use staging_sync_runtime::Service;
use staging_sync_runtime::activation::{Admission, Revision, publish};
use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::policy::{COMPONENT, Policy};
use staging_sync_runtime::store::Fetched;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::Location;
use tokio::net::TcpListener;

use crate::policy::source;
use crate::{CommandError, Exit, journal};

#[derive(Args)]
#[command(after_help = "\
The console shows the fleet after the last tick, the changes of each account and why they were made, ticks as charts, and the \
policies that POLICY names. It only reads, and it needs to read and to list objects of the journal. `staging-sync serve` shows \
the same at its own address.")]
pub struct Arguments {
    #[command(flatten)]
    place: journal::Place,
    /// The address of the console. It's served over plain HTTP, to anyone who can connect.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: String,
    #[command(flatten)]
    hosts: Hosts,
    /// The policies to show: paths or `s3://` URIs of manifests or policies, separated by commas. Simulations use the
    /// first one. Default: `policy.wasm` beside this program.
    #[arg(long = "policy", env = "POLICY", value_name = "LIST", value_delimiter = ',')]
    policies: Vec<String>,
    /// The public key that hosts verify policies with, or its file.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
}

/// By which names clients may ask.
#[derive(Args)]
pub struct Hosts {
    /// Also answer requests whose Host header is this name or address, with any port unless it has one. Needed behind a
    /// reverse proxy or a port mapping. Repeatable. Otherwise only the address that a client connected to is answered.
    #[arg(long = "allow-host", env = "ALLOW_HOST", value_name = "NAME[:PORT]", value_delimiter = ',')]
    pub allowed: Vec<AllowedHost>,
}

/// What a service shows beside its own ticks.
pub struct Shown {
    /// `POLICY`.
    pub policies: Vec<String>,
    /// `JOURNAL`.
    pub journal: Option<String>,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let place = arguments.place.text()?.to_owned();
    let journal = journal::reader(&place).await?;
    let listener = listen("console", &arguments.listen).await?;
    let mut policies = arguments.policies;
    policies.retain(|policy| !policy.trim().is_empty());
    if policies.is_empty() {
        policies.extend(staging_sync_runtime::config::default_policy().to_str().map(str::to_owned));
    }
    let places = locate(&policies).await?;
    let admission = || source::admission(arguments.public_key.as_deref());
    let sources = Sources {
        journal: Some(journal),
        live: None,
        policy: loader(places.first().cloned(), Arc::new(admission()?)),
        manifests: Manifests::new(places, Verdicts::Here(Box::new(admission()?))),
        title: format!("the journal at {place}"),
    };
    serve_until_interrupted(Server::new(Console::new(sources), arguments.hosts.allowed, None), listener).await
}

/// Answers until Ctrl-C.
pub async fn serve_until_interrupted(server: Server, listener: TcpListener) -> Result<Exit, CommandError> {
    let failed = |error| CommandError(format!("console: {error}"));
    let address = listener.local_addr().map_err(failed)?;
    println!("http://{address}/");
    say!("serving the console until interrupted (Ctrl-C)");
    tokio::select! {
        () = server.serve(listener) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed)?,
    }
    Ok(Exit::Success)
}

/// Listens where a command was told to.
pub async fn listen(command: &str, at: &str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(at).await.map_err(|error| {
        CommandError(format!("{command}: can't listen on {at:?}: {error}: select another address with --listen"))
    })
}

async fn locate(policies: &[String]) -> Result<Vec<Location>, CommandError> {
    let mut places = Vec::new();
    for policy in policies {
        places.push(source::locate(policy.trim()).await?);
    }
    Ok(places)
}

/// The console of a service, which tells `live` of its ticks.
pub async fn of_service(
    service: &Arc<Service>,
    operation: &str,
    live: Arc<Live>,
    shown: Shown,
) -> Result<Console, CommandError> {
    let journal = match &shown.journal {
        Some(place) => Some(journal::reader(place).await?),
        None => None,
    };
    let (service, operation) = (Arc::clone(service), operation.to_owned());
    let policy: PolicyLoader = Arc::new(move || {
        let (service, operation) = (Arc::clone(&service), operation.clone());
        async move {
            let release = service.current(&operation).await;
            release.map(|release| release.policy().clone()).ok_or_else(|| "there's no policy yet".to_owned())
        }
        .boxed()
    });
    let title = match &shown.journal {
        Some(place) => format!("this service and its journal at {place}"),
        None => "this service".into(),
    };
    let manifests = Manifests::new(locate(&shown.policies).await?, Verdicts::Host);
    Ok(Console::new(Sources { journal, live: Some(live), manifests, policy, title }))
}

/// The console of a demo, whose journal and manifest are in its lab.
pub fn of_demo(place: &str, objects: &Arc<Objects>, at: &Location, policy: Policy) -> Result<Console, CommandError> {
    let journal = Journal::reader(place, Some(objects)).map_err(CommandError)?;
    let policy: PolicyLoader = Arc::new(move || std::future::ready(Ok(policy.clone())).boxed());
    let verdicts = Verdicts::Here(Box::new(source::admission(None)?));
    let (manifests, title) = (Manifests::new(vec![at.clone()], verdicts), format!("the demo's journal at {place}"));
    Ok(Console::new(Sources { journal: Some(journal), live: None, manifests, policy, title }))
}

/// Loads the policy that is at a place, or the active one of the manifest there, as a host would.
fn loader(place: Option<Location>, admission: Arc<Admission>) -> PolicyLoader {
    Arc::new(move || {
        let (place, admission) = (place.clone(), Arc::clone(&admission));
        async move { load(&place.ok_or("no policy is named: set POLICY")?, &admission).await }.boxed()
    })
}

async fn load(place: &Location, admission: &Admission) -> Result<Policy, String> {
    let revision = match place.is_manifest() {
        true => {
            let stored = publish::read(place).await.map_err(|error| error.to_string())?;
            let stored = stored.ok_or_else(|| format!("{place}: the manifest doesn't exist"))?;
            Revision::Listed(Box::new(stored.manifest.active))
        }
        false => match place.get(None, COMPONENT).await.map_err(|error| error.to_string())? {
            Fetched::Found { bytes, .. } => Revision::Plain(bytes),
            Fetched::Same | Fetched::Missing => return Err(format!("{place}: there's no policy")),
        },
    };
    let release = admission.activate(place, revision, &[]).await.map_err(|error| format!("{place}: {error}"))?;
    Ok(release.policy().clone())
}
