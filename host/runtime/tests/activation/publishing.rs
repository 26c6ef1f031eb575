//! Two who publish at once can't overwrite each other unseen.

use std::sync::Arc;

use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::publish::{Unchanged, published, read, replace};

use crate::{at, entry, folder, version};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_publishers_that_read_the_same_manifest_one_wins_each_round() {
    let folder = Arc::new(folder());
    let path = folder.path().join("policy.json");
    let entry = entry(folder.path(), &version("1.0.0"));
    for round in 0..10 {
        let before = read(&at(&path)).await.expect("readable").map(|stored| stored.manifest);
        let mut publishers = Vec::new();
        let barrier = Arc::new(tokio::sync::Barrier::new(4));
        for number in 0..4 {
            let (at, mut entry, barrier) = (at(&path), entry.clone(), Arc::clone(&barrier));
            entry.version = format!("{round}.{number}");
            entry.sha256 = format!("{:064x}", 10 * round + number);
            publishers.push(tokio::spawn(async move {
                let stored = read(&at).await.expect("readable");
                barrier.wait().await;
                let manifest = published(stored.as_ref().map(|stored| stored.manifest.clone()), entry, false);
                let manifest = manifest.expect("a manifest");
                (replace(&at, stored.as_ref().map(|stored| stored.version.as_str()), &manifest).await, manifest)
            }));
        }
        let mut won: Vec<Manifest> = Vec::new();
        for publisher in publishers {
            match publisher.await.expect("no panic") {
                (Ok(()), manifest) => won.push(manifest),
                (Err(error), _) => assert!(matches!(error, Unchanged::Conflict(_)), "{error}"),
            }
        }
        let now = read(&at(&path)).await.expect("readable").expect("a manifest").manifest;
        assert_eq!(won, std::slice::from_ref(&now), "round {round}");
        assert_eq!(now.previous, before.map(|before| before.active), "nothing in between is lost");
    }
    let files: Vec<String> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!files.iter().any(|name| name.ends_with(".part")), "{files:?}");
}
