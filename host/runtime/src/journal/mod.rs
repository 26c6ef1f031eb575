//! The journal: what a host changed, why, and how to take it back; kept in a folder or a bucket.
//!
//! `names` says where everything is, `seal` what all records have in common. `change` is the record of a write, durable
//! before it; `record` that of a tick, `taping` and `spool` its tape, `latest` the state after it, `freezes` what
//! operators keep as it is. `recorder` writes them
//! during a tick, `ending` at its end, `operator` those of commands that
//! change the table; `reading` reads them, and `undo` takes changes back. The host needs to read and to put objects, never to list or delete them.

mod change;
mod ending;
pub mod freezes;
mod latest;
pub mod names;
mod operator;
mod reading;
mod record;
mod recorder;
mod seal;
mod spool;
mod taping;
mod undo;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use crate::aws::{AwsApi, AwsError, Call};
use crate::store::bucket::Objects;
use crate::store::{Fetched, Put, Store, StoreError, When};

pub use change::{Before, Change, ChangeRef, RemovedEntry};
pub use ending::{Ended, Merged, frozen};
pub use latest::{AccountState, LastChange, Latest};
pub use operator::Operator;
pub use reading::{LatestFound, Taped};
pub use record::{AccountRecord, CallNumbers, Numbers, PolicyRef, Record, RecordRef, TapeRef};
pub use recorder::{Begun, By, TickRecorder, UNAVAILABLE};
pub use seal::{FORMAT, Sealed, Unsealed};
pub use undo::{Undoing, Undone};

use taping::TapingApi;

/// The size of one document, in bytes: `latest.json` of 100,000 accounts has some 40 MB.
const MAX_BYTES: u64 = 256 << 20;

/// How many requests a journal in S3 makes at once.
pub const CONCURRENCY: usize = 64;

/// A document that only tells whether objects may be read.
const PROBE: &str = "readable.json";

/// A journal.
pub struct Journal {
    store: Store,
    taping: Arc<TapingApi>,
    /// One tick at a time is taped.
    turn: Arc<Mutex<()>>,
    /// What the last tick left.
    known: Arc<Mutex<Option<Known>>>,
    freezes: Arc<Mutex<freezes::KnownFreezes>>,
    /// Set once an object was read, so that a refusal means that there's none.
    readable: Arc<OnceCell<()>>,
    /// Whether nothing is ever put.
    read_only: bool,
}

/// What is known of `latest.json`.
#[derive(Default)]
struct Known {
    /// The version that this host wrote or read last; none if there's no document.
    version: Option<String>,
    /// What of it the next one needs.
    last_changes: BTreeMap<String, LastChange>,
    last_record: Option<RecordRef>,
}

/// Why a record couldn't be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// There's none of this name.
    #[error("{0}: there's no such record")]
    Missing(String),
    /// It's no good.
    #[error("{0}: {1}")]
    Unsealed(String, Unsealed),
    /// The journal couldn't be read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Journal {
    /// The journal at a place like `s3://bucket/journal/` or a folder; `objects` is needed for one in S3. Ticks are taped
    /// whose calls go through `aws_api()`.
    pub fn open(place: &str, objects: Option<&Arc<Objects>>, aws_api: Arc<dyn AwsApi>) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self::new(Store::parse(place, objects)?, TapingApi::new(aws_api), false)))
    }

    /// The same journal for somebody who only looks: nothing is put, not even to find out whether objects may be read. No
    /// ticks are taped.
    pub fn reader(place: &str, objects: Option<&Arc<Objects>>) -> Result<Self, String> {
        Ok(Self::new(Store::parse(place, objects)?, TapingApi::new(Arc::new(NoApi)), true))
    }

    fn new(store: Store, taping: TapingApi, read_only: bool) -> Self {
        let (known, freezes, readable) = Default::default();
        Self { store, taping: Arc::new(taping), turn: Arc::default(), known, freezes, readable, read_only }
    }

    /// The same journal for ticks that run at the same time as its own: they are taped apart.
    pub fn beside(&self) -> Arc<Self> {
        Arc::new(Self {
            known: Arc::clone(&self.known),
            freezes: Arc::clone(&self.freezes),
            readable: Arc::clone(&self.readable),
            ..Self::new(self.store.clone(), self.taping.apart(), self.read_only)
        })
    }

    /// The way to AWS that tapes.
    pub fn aws_api(&self) -> Arc<dyn AwsApi> {
        Arc::clone(&self.taping) as Arc<dyn AwsApi>
    }

    /// How people name a document of the journal.
    pub fn title(&self, name: &str) -> String {
        self.store.title(name)
    }

    /// Reads a sealed record.
    pub async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Sealed<T>, ReadError> {
        let Some((bytes, _)) = self.get(name).await? else { return Err(ReadError::Missing(self.title(name))) };
        let opened = match name.ends_with(".gz") {
            true => gunzip(&bytes).and_then(|bytes| seal::open(&bytes)),
            false => seal::open(&bytes),
        };
        opened.map_err(|error| ReadError::Unsealed(self.title(name), error))
    }

    /// Fetches a document with its version; none if there's none.
    async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let fetched = match self.store.get(name, None, MAX_BYTES).await {
            Err(error) if error.denied && self.may_read().await => return Ok(None),
            fetched => fetched?,
        };
        let _ = self.readable.set(());
        match fetched {
            Fetched::Found { bytes, version } => Ok(Some((bytes, version))),
            Fetched::Same | Fetched::Missing => Ok(None),
        }
    }

    /// Whether objects may be read that are there. S3 refuses to say that an object is missing to those who may not list
    /// the bucket, and the function may not; so a document is put that is there for certain.
    async fn may_read(&self) -> bool {
        if self.read_only {
            return false;
        }
        let probe = async {
            self.store.put(PROBE, b"{}".to_vec(), When::Missing).await.map_err(drop)?;
            match self.store.get(PROBE, None, MAX_BYTES).await {
                Ok(Fetched::Found { .. }) => Ok(()),
                _ => Err(()),
            }
        };
        self.readable.get_or_try_init(|| probe).await.is_ok()
    }

    /// Puts a record under its name, where there's none. One whose answer was lost, and that was sent again, is there.
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        match self.store.put(name, bytes.clone(), When::Missing).await? {
            Put::Done => Ok(()),
            Put::Changed if self.get(name).await?.is_some_and(|(found, _)| found == bytes) => Ok(()),
            Put::Changed => Err(StoreError::passing(format!("{}: is there already", self.title(name)))),
        }
    }
}

/// No way to AWS, of a journal whose calls nobody makes.
pub struct NoApi;

impl AwsApi for NoApi {
    fn call<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let message = "host: nothing is asked of AWS here; please report it".into();
        Box::pin(std::future::ready(Err(AwsError { code: AwsError::NOT_SENT.into(), message, retryable: false })))
    }
}

/// What a compressed document says.
fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, Unsealed> {
    let mut plain = Vec::new();
    let read = GzDecoder::new(bytes).take(MAX_BYTES).read_to_end(&mut plain);
    read.map_err(|error| Unsealed::Malformed(format!("isn't gzip, or is cut off: {error}")))?;
    Ok(plain)
}
