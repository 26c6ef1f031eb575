//! Compiled policies are kept, and only what this host wrote there itself is taken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use staging_sync_runtime::activation::{Admission, Step, proof};
use staging_sync_runtime::policy::cache::precompile;
use staging_sync_runtime::policy::{Cache, Candidate, Limits};

use crate::guest::Guest;
use crate::{admission, folder, version};

/// The one file of a cache.
fn kept(parent: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(parent).expect("a folder").map(|entry| entry.expect("an entry").path());
    folders
        .flat_map(|folder| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()))
        .collect()
}

/// The version that a policy has when it's compiled, or taken from a cache.
async fn load(bytes: &[u8], cache: &Cache) -> String {
    let candidate = Candidate::compile_once(bytes, cache).expect("a component");
    candidate.load(Limits::default()).await.expect("a policy").info().version.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_compiled_once() {
    let folder = folder();
    let (one, other) = (version("1.0.0").component(), version("2.0.0").component());
    assert_eq!(load(&one, &Cache::at(folder.path())).await, "1.0.0");
    let [file] = &kept(folder.path())[..] else { panic!("one file") };
    // What is compiled of the other policy, under the name and the digest of the first: so it's seen to be used.
    let elsewhere = crate::folder();
    load(&other, &Cache::at(elsewhere.path())).await;
    let [of_the_other] = &kept(elsewhere.path())[..] else { panic!("one file") };
    let (mut first, second) = (fs::read(file).expect("a file"), fs::read(of_the_other).expect("a file"));
    let digest = staging_sync_runtime::policy::sha256(&one);
    let at = first.windows(64).position(|window| window == digest.as_bytes()).expect("the digest");
    first = [&second[..at], digest.as_bytes(), &second[at + 64..]].concat();
    fs::write(file, first).expect("a file");
    assert_eq!(load(&one, &Cache::at(folder.path())).await, "2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrupt_or_anybody_elses_is_passed_over() {
    let folder = folder();
    let one = version("1.0.0").component();
    load(&one, &Cache::at(folder.path())).await;
    let [file] = &kept(folder.path())[..] else { panic!("one file") };
    let good = fs::read(file).expect("a file");
    for cut in [0, 10, 40, 100, 200, good.len() / 2, good.len() - 1] {
        fs::write(file, &good[..cut]).expect("a file");
        assert_eq!(load(&one, &Cache::at(folder.path())).await, "1.0.0", "cut at {cut}");
        let mut flipped = good.clone();
        flipped[cut] ^= 1;
        fs::write(file, flipped).expect("a file");
        assert_eq!(load(&one, &Cache::at(folder.path())).await, "1.0.0", "flipped at {cut}");
    }
    // A folder that others may write to.
    fs::write(file, b"left as it is").expect("a file");
    let own = file.parent().expect("a folder");
    fs::set_permissions(own, fs::Permissions::from_mode(0o777)).expect("permissions");
    assert_eq!(load(&one, &Cache::at(folder.path())).await, "1.0.0");
    assert_eq!(fs::read(file).expect("a file"), b"left as it is");
    // A link in its place.
    let (real, linked) = (crate::folder(), crate::folder());
    std::os::unix::fs::symlink(real.path(), linked.path().join(own.file_name().expect("a name"))).expect("a link");
    assert_eq!(load(&one, &Cache::at(linked.path())).await, "1.0.0");
    assert_eq!(fs::read_dir(real.path()).expect("a folder").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_package_has_compiled_is_taken_if_it_is_of_the_packaged_policy() {
    let (package, elsewhere) = (folder(), folder());
    let (one, other) = (version("1.0.0").component(), version("2.0.0").component());
    let compiled = precompile(&other, std::env::consts::ARCH, None).expect("compiled");
    fs::write(package.path().join("policy.cwasm"), &compiled).expect("a file");
    let cache = Cache::of(&package.path().join("policy.wasm"), elsewhere.path());
    assert_eq!(load(&one, &cache).await, "1.0.0", "it's of another policy");
    // Of this policy by its digest: so it's seen to be used.
    let digests = [&other, &one].map(|bytes| staging_sync_runtime::policy::sha256(bytes));
    let at = compiled.windows(64).position(|window| window == digests[0].as_bytes()).expect("the digest");
    let renamed = [&compiled[..at], digests[1].as_bytes(), &compiled[at + 64..]].concat();
    fs::write(package.path().join("policy.cwasm"), renamed).expect("a file");
    assert_eq!(load(&one, &cache).await, "2.0.0");
    assert_eq!(precompile(b"no policy", "x86_64", None).expect_err("a refusal"), "isn't WebAssembly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_vouches_for_the_proof_of_its_own_policy_with_its_settings_alone() {
    let package = folder();
    // It can't come through any proof, so it's seen whether there's one.
    let endless = Guest { summarize: "(loop $for_ever (br $for_ever))".into(), ..version("1.0.0") }.component();
    let cache = Cache::of(&package.path().join("policy.wasm"), package.path());
    let judge = async |settings: &str| {
        let admission = Admission { cache: cache.clone(), ..admission() };
        let settings = (settings.to_owned(), "POLICY_SETTINGS");
        admission.judge(endless.clone(), settings, None, None).await.err().map(|rejected| rejected.step)
    };
    let file = package.path().join("policy.cwasm");
    let put = |proof: Option<&str>| {
        fs::write(&file, precompile(&endless, std::env::consts::ARCH, proof).expect("compiled")).expect("a file");
    };
    put(None);
    assert_eq!(judge("{}").await, Some(Step::Proof), "nothing vouches for it");
    put(Some(&proof::id("{}")));
    assert_eq!(judge("{}").await, None);
    assert_eq!(judge(r#"{"removals": "own"}"#).await, Some(Step::Proof), "other settings");
    let mut compiled = fs::read(&file).expect("a file");
    compiled[40] ^= 1; // of another policy
    fs::write(&file, compiled).expect("a file");
    assert_eq!(judge("{}").await, Some(Step::Proof));
}
