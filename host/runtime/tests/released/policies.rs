//! The policies of released versions of the WIT package, as they were published.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use staging_sync_runtime::policy::{Limits, Policy, contract};
use tokio::sync::OnceCell;

/// A policy as it was published.
#[derive(Clone)]
pub struct Released {
    /// The version and the language, like `0.1.0/rust`.
    pub name: String,
    pub policy: Policy,
}

/// The folders of the released versions in a folder, in order.
pub fn versions(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut folders: Vec<_> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "{}", folder.display());
    folders
}

/// The name of a file or folder.
pub fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// All of them, compiled once.
pub async fn all() -> Vec<Released> {
    static ALL: OnceCell<Vec<Released>> = OnceCell::const_new();
    let load = || async {
        let mut all = Vec::new();
        for folder in versions("../runtime/tests/released") {
            for language in ["rust", "javascript"] {
                let path = folder.join(format!("{language}.wasm.gz"));
                let mut bytes = Vec::new();
                let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
                let policy = Policy::from_bytes(&bytes, Limits::default()).await.expect("this host runs it");
                let built_for = contract::built_for(policy.shape()).map(str::to_owned);
                assert_eq!(built_for.as_deref(), Some(name(&folder)), "{}", path.display());
                all.push(Released { name: format!("{}/{language}", name(&folder)), policy });
            }
        }
        all
    };
    ALL.get_or_init(load).await.clone()
}
