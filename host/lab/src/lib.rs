//! AWS on loopback for staging-sync: DynamoDB, S3, STS and DRS over their real wire protocols, in front of a
//! fleet that one readable JSON document describes.
//!
//! `request -> signature -> faults -> service -> reply`. One endpoint speaks for all services and regions: both
//! are taken from the signature's credential scope, as the SDKs sign them. What isn't simulated is deliberate:
//! IAM beyond role trust, external ids and action names; DRS beyond the two operations that the sync reads; S3 beyond
//! one bucket of whole objects (no versions, ranges, multipart uploads, presigned URLs).

mod bucket;
mod calls;
mod drs;
mod dynamodb;
mod error;
mod fault;
mod fleet;
mod item;
mod list;
mod policy;
mod reply;
mod request;
mod s3;
mod server;
mod session;
mod signature;
mod sts;
mod tls;
mod upload;
mod validate;
mod world;
mod xml;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use calls::Call;
pub use error::Error;
pub use fault::{Fault, FaultError, Mutate, Per};
pub use fleet::{Account, Fleet, Hub, Item, Region, Role, Servers, Service, SourceServer};
pub use tls::Handshakes;
use tls::Tls;
use world::World;

/// A running lab. Dropping it cuts every connection; [`Lab::shutdown`] lets calls in progress finish.
pub struct Lab {
    world: Arc<World>,
    address: SocketAddr,
    /// The authority's certificate, where the lab speaks TLS.
    authority: Option<String>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Lab {
    /// Serves the fleet on a free port of 127.0.0.1, on the current Tokio runtime.
    pub async fn start(fleet: Fleet) -> Result<Self, Error> {
        Self::start_on(fleet, 0).await
    }

    /// Serves the fleet on the given port of 127.0.0.1; 0 stands for a free one.
    pub async fn start_on(fleet: Fleet, port: u16) -> Result<Self, Error> {
        Self::start_as(fleet, port, None).await
    }

    /// The same over TLS, by an authority that is made for this lab: see [`Lab::authority`].
    pub async fn start_with_tls(fleet: Fleet, port: u16) -> Result<Self, Error> {
        Self::start_as(fleet, port, Some(Tls::new().map_err(Error::Tls)?)).await
    }

    async fn start_as(fleet: Fleet, port: u16, tls: Option<Tls>) -> Result<Self, Error> {
        fleet.validate()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let bind = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let world = Arc::new(World::new(fleet)?);
        let (stop, stopped) = watch::channel(false);
        let (authority, acceptor) = tls.map(|tls| (tls.authority, tls.acceptor)).unzip();
        let server = tokio::spawn(server::serve(listener, acceptor, world.clone(), reply::Stop(stopped)));
        Ok(Self { world, address, authority, stop, server })
    }

    /// The endpoint, e.g. `http://127.0.0.1:4566`.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate of the lab's authority as PEM, for the file that a client's `AWS_CA_BUNDLE` names; none where the
    /// lab doesn't speak TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The environment that makes a client use the lab: endpoint, the hub's keys and region, table and regions.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let fleet = self.world.fleet();
        vec![
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", session::HUB_ACCESS_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", session::HUB_SECRET_KEY.into()),
            ("AWS_REGION", fleet.hub.region.clone()),
            ("AWS_DEFAULT_REGION", fleet.hub.region.clone()), // what older clients read
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("TARGET_ACCOUNTS_TABLE", fleet.hub.table.clone()),
            ("DRS_REGIONS", fleet.drs_regions().join(",")),
        ]
    }

    /// The calls received so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.world.calls.all()
    }

    /// Forgets the calls received so far, the peak, and the handshakes.
    pub fn clear_calls(&self) {
        self.world.calls.clear();
        self.world.handshakes.clear();
    }

    /// The TLS connections that were made so far.
    pub fn handshakes(&self) -> Handshakes {
        self.world.handshakes.count_of()
    }

    /// Resolves as soon as the condition holds for the calls so far. It's checked at every arrival and answer.
    pub async fn wait_for_calls(&self, condition: impl Fn(&[Call]) -> bool) {
        self.world.calls.wait_for(condition).await;
    }

    /// The most calls that were in flight at once.
    pub fn peak_concurrency(&self) -> usize {
        self.world.calls.peak()
    }

    /// The table's items in DynamoDB JSON, sorted by key.
    pub fn items(&self) -> Result<Vec<Value>, Error> {
        Ok(self.world.table.items()?.into_iter().map(Value::Object).collect())
    }

    /// The table's items in plain JSON, sorted by key; see [`Item`].
    pub fn plain_items(&self) -> Result<Vec<Value>, Error> {
        Ok(self.world.table.items()?.iter().map(|item| Value::Object(item::from_dynamodb(item))).collect())
    }

    /// Writes an item in plain JSON, in place of one with the same `accountId`.
    pub fn put_item(&self, item: &Item) -> Result<(), Error> {
        self.world.table.put(item)
    }

    /// Edits the item that `mutate.key` names.
    pub fn update_item(&self, mutate: &Mutate) -> Result<(), Error> {
        self.world.table.mutate(mutate)
    }

    /// Deletes an item, if it's there.
    pub fn delete_item(&self, account_id: &str) -> Result<(), Error> {
        let key = Some(account_id.to_owned());
        self.world.table.mutate(&Mutate { key, delete: true, ..Mutate::default() })
    }

    /// The keys in the hub's bucket, sorted.
    pub fn object_keys(&self) -> Vec<String> {
        self.world.bucket.list("", "").into_iter().map(|(key, _)| key).collect()
    }

    /// The body of an object in the hub's bucket.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.world.bucket.get(key).map(|object| object.upload.body.clone())
    }

    /// Puts an object into the hub's bucket, in place of one with the same key; its ETag, quotes included.
    pub fn put_object(&self, key: &str, body: impl Into<Bytes>) -> String {
        self.world.bucket.replace(key, s3::object(body.into())).etag.clone()
    }

    /// Deletes an object from the hub's bucket, if it's there.
    pub fn delete_object(&self, key: &str) {
        self.world.bucket.remove(key);
    }

    /// Edits the fleet while it's served: accounts, faults and latency. `targets` and the table's name have no
    /// effect any more; the table is edited by [`Lab::put_item`] and the like. Changed faults count anew.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Fleet) -> T) -> T {
        self.world.edit(edit)
    }

    /// Stops accepting, lets the calls in progress finish (but those that faults hold back), and returns when
    /// every connection is closed.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.server).await; // a panic was reported by the runtime already
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Lab").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.abort();
    }
}
