//! Each step on the way to an active policy has its own refusal.

use std::fs;
use std::io::Cursor;

use minisign::KeyPair;
use staging_sync_runtime::activation::manifest::{Cases, Entry, Manifest};
use staging_sync_runtime::activation::signature::Key;
use staging_sync_runtime::activation::{Admission, Fallback, Rejected};
use staging_sync_runtime::policy::memory::Budget;
use staging_sync_runtime::policy::{self, Cache, Limits};

use crate::guest::{Guest, RESULT};
use crate::{active, admission, entry, folder, publish, put, refresh, source, version};

/// What a manifest of one changed entry comes to.
async fn refusal(admission: Admission, guest: &Guest, change: impl FnOnce(&std::path::Path, &mut Entry)) -> Rejected {
    let folder = folder();
    let mut entry = entry(folder.path(), guest);
    change(folder.path(), &mut entry);
    let path = put(folder.path(), &Manifest { active: entry, previous: None, shadow: None }.text());
    let (current, rejected) = refresh(&source(&path, admission)).await;
    assert_eq!(active(current.as_ref()), "none");
    rejected.expect("a rejection")
}

fn says(rejected: &Rejected, step: &str, what: &str) {
    assert_eq!(rejected.step.name(), step, "{rejected}");
    assert!(rejected.reason.contains(what), "{what}: {rejected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_names_must_be_there_and_be_it() {
    let good = version("1.0.0");
    says(
        &refusal(admission(), &good, |_, entry| entry.component = "other.wasm".into()).await,
        "fetch",
        "the file doesn't exist",
    );
    for outside in ["../policy.wasm", "/etc/passwd", "s3://bucket/key", "a//b", ".hidden", ""] {
        let rejected = refusal(admission(), &good, |_, entry| entry.component = outside.into()).await;
        says(&rejected, "manifest", "isn't a reference");
    }
    let other = refusal(admission(), &good, |folder, entry| {
        fs::write(folder.join(&entry.component), version("2.0.0").component()).expect("another component");
    });
    says(&other.await, "sha256", "but the manifest says");
    says(
        &refusal(admission(), &good, |_, entry| entry.version = "9.9.9".into()).await,
        "contract",
        "the manifest calls it",
    );
    let large = refusal(admission(), &good, |folder, entry| {
        let file = fs::File::create(folder.join(&entry.component)).expect("a file");
        file.set_len(100 << 20).expect("a large file");
    });
    says(&large.await, "fetch", "is larger than 64 MiB");
    let random = refusal(admission(), &good, |folder, entry| {
        let bytes: Vec<u8> = (0..10_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        entry.sha256 = policy::sha256(&bytes);
        fs::write(folder.join(&entry.component), bytes).expect("bytes");
    });
    says(&random.await, "compile", "isn't WebAssembly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_none_is_told_by_its_path() {
    let folder = folder();
    let entry = entry(folder.path(), &version("1.0.0"));
    let text = Manifest { active: entry, previous: None, shadow: None }.text();
    for (manifest, what) in [
        (text.replace("\"name\"", "\"nmae\""), "$.nmae: unknown field `nmae`"),
        (text.replace("\"hostile\"", "1"), "$.name: invalid type"),
        (text.replace("\"sha256\": \"", "\"sha256\": \"x"), "$: expected a SHA-256 of 64 hexadecimal digits"),
        (text.replacen('{', "{\"shadow\": {}, ", 1), "$.shadow: missing field `name`"),
        (text[..text.len() / 2].to_owned(), "ends too early; is it truncated?"),
        ("[]".into(), "$: expected a manifest"),
    ] {
        let (_, rejected) = refresh(&source(&put(folder.path(), &manifest), admission())).await;
        says(&rejected.expect("a rejection"), "manifest", what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_cases_are_judged_before_a_policy_goes_live() {
    let refuses = format!("(i32.store8 (i32.const {RESULT}) (i32.const 1))");
    let guest = Guest { validate_settings: refuses, ..version("1.0.0") };
    says(&refusal(admission(), &guest, |_, _| ()).await, "settings", "POLICY_SETTINGS");
    // Cases that another policy's summary is expected of.
    let good = version("1.0.0");
    let rejected = refusal(admission(), &good, |folder, entry| {
        let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/seed-scenario");
        let case = staging_sync_runtime::case::Case::read(&case).expect("a case");
        let text = staging_sync_runtime::case::bundle::text(&[case]).expect("a bundle");
        fs::write(folder.join("cases.json"), &text).expect("a file");
        entry.cases = Some(Cases { file: "cases.json".into(), sha256: policy::sha256(text.as_bytes()) });
    });
    says(&rejected.await, "proof", "case seed-scenario: the result differs");
    let rejected = refusal(admission(), &good, |folder, entry| {
        fs::write(folder.join("cases.json"), "{\"cases\": {\"x\": 1}}").expect("a file");
        let sha256 = policy::sha256(b"{\"cases\": {\"x\": 1}}");
        entry.cases = Some(Cases { file: "cases.json".into(), sha256 });
    });
    says(&rejected.await, "proof", "the cases: $.cases.x: invalid type");
    let endless = Guest { summarize: "(loop $for_ever (br $for_ever))".into(), ..version("1.0.0") };
    let rejected = refusal(admission(), &endless, |_, _| ()).await;
    says(&rejected, "proof", "reached its limit of 20000000 units of fuel");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_by_the_operators_key_runs() {
    let [secret, other] = [(); 2].map(|()| KeyPair::generate_unencrypted_keypair().expect("keys"));
    let public = secret.pk.to_base64();
    let sign = |keys: &KeyPair, entry: &mut Entry| {
        let signature = minisign::sign(None, &keys.sk, entry.statement().as_bytes(), None, None);
        entry.signature = Some(signature.expect("a signature").to_string());
    };
    let keyed = || Admission { key: Some(Key::parse(&public).expect("a key")), cache: Cache::none(), ..admission() };
    let good = version("1.0.0");
    says(&refusal(keyed(), &good, |_, _| ()).await, "signature", "isn't signed, and POLICY_PUBLIC_KEY is set");
    says(&refusal(keyed(), &good, |_, entry| sign(&other, entry)).await, "signature", "is by another key");
    says(
        &refusal(keyed(), &good, |_, entry| {
            sign(&secret, entry);
            entry.settings = Some(Default::default());
        })
        .await,
        "signature",
        "something was changed",
    );
    let nonsense = refusal(keyed(), &good, |_, entry| entry.signature = Some("nonsense".into()));
    says(&nonsense.await, "signature", "isn't a minisign signature");

    let folder = folder();
    let mut entry = entry(folder.path(), &good);
    sign(&secret, &mut entry);
    let path = put(folder.path(), &Manifest { active: entry, previous: None, shadow: None }.text());
    assert_eq!(active(refresh(&source(&path, keyed())).await.0.as_ref()), "1.0.0");

    // A component by itself has its signature beside it.
    let path = folder.path().join("policy.wasm");
    fs::write(&path, good.component()).expect("a component");
    let (_, rejected) = refresh(&source(&path, keyed())).await;
    says(&rejected.expect("a rejection"), "signature", "policy.wasm.minisig");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_has_one_policy() {
    let folder = folder();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, version("1.0.0").component()).expect("a component");
    let source = source(&path, admission());
    let until = tokio::time::Instant::now() + crate::QUIET;
    source.refresh(until, until, &|_| Some("another 1.0.0".into())).await;
    source.fall_back(Fallback::Packaged, &|_| Some("another 1.0.0".into())).await;
    let rejected = source.rejected().await.expect("a rejection");
    says(&rejected, "operations", "serves sync_staging_accounts, which another 1.0.0 serves already");
    assert!(source.current().await.is_err());
}

/// What is wrong with another file than the manifest is looked at again, though the manifest is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_half_copied_is_taken_when_it_is_whole() {
    let folder = folder();
    let good = version("1.0.0");
    let path = publish(folder.path(), &good, None, None);
    let component = folder.path().join(entry(folder.path(), &good).component);
    fs::write(&component, &good.component()[..1_000]).expect("half a component");
    let source = source(&path, admission());
    says(&refresh(&source).await.1.expect("a rejection"), "sha256", "has SHA-256");
    fs::write(&component, good.component()).expect("a component");
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("1.0.0", None));
}

/// A host that knows a component judges what a manifest says of it as one that doesn't.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_component_under_another_name_or_with_other_cases_is_refused_by_warm_hosts_too() {
    let folder = folder();
    let good = version("1.0.0");
    let path = publish(folder.path(), &good, None, None);
    let warm = source(&path, admission());
    assert_eq!(active(refresh(&warm).await.0.as_ref()), "1.0.0");
    let bad_cases = b"no cases";
    fs::write(folder.path().join("cases.json"), bad_cases).expect("a file");
    let cases = Cases { file: "cases.json".into(), sha256: policy::sha256(bad_cases) };
    for (step, wrong) in [
        ("contract", Entry { name: "another".into(), ..entry(folder.path(), &good) }),
        ("contract", Entry { version: "1.0.1".into(), ..entry(folder.path(), &good) }),
        ("proof", Entry { cases: Some(cases), ..entry(folder.path(), &good) }),
    ] {
        put(folder.path(), &Manifest { active: wrong, previous: None, shadow: None }.text());
        for (source, name) in [(&warm, "warm"), (&source(&path, admission()), "cold")] {
            let rejected = refresh(source).await.1.expect(name);
            assert_eq!(rejected.step.name(), step, "{name}: {rejected}");
        }
        assert_eq!(active(refresh(&warm).await.0.as_ref()), "1.0.0", "what was good goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_memory_to_compile_is_refused_before_it_is_tried() {
    let small = Box::leak(Box::new(Budget::of(128 << 20)));
    let admission = Admission { limits: Limits { budget: small, ..Limits::default() }, ..admission() };
    let rejected = refusal(admission, &version("1.0.0"), |_, _| ()).await;
    says(&rejected, "compile", "this process has 80 MiB for policies: raise the function's MemorySize to 512 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_arrives_after_its_policy_is_found() {
    let folder = folder();
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().expect("keys");
    let bytes = version("1.0.0").component();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, &bytes).expect("a policy");
    let source = source(&path, Admission { key: Some(Key::parse(&pk.to_base64()).expect("a key")), ..admission() });
    let (current, rejected) = refresh(&source).await;
    assert_eq!(active(current.as_ref()), "none");
    says(&rejected.expect("a rejection"), "signature", "isn't signed");
    let signature = minisign::sign(None, &sk, Cursor::new(bytes), None, None).expect("a signature");
    fs::write(folder.path().join("policy.wasm.minisig"), signature.into_string()).expect("a signature");
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("1.0.0", None));
}
