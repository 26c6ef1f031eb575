//! Rollouts as operators see them: published, watched, paused, aborted, promoted; and processes that die on the way.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use staging_sync_lab::{Account, Fault, Fleet, Lab, Region, Role};

use crate::{policy, run, staging_sync};

const MANIFEST: &str = "s3://policies/live/policy.json";

const ACCOUNTS: usize = 12;

fn id(number: usize) -> String {
    format!("{:012}", 100_000_000_000 + number)
}

/// Targets that each lose one staging account, keep one and gain one.
fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for number in 0..ACCOUNTS {
        let role = format!("arn:aws:iam::{}:role/DRSOrchestrationRole", id(number));
        let entry = |id: &str| json!({"accountId": id, "note": "kept"});
        let staging = json!([entry("222222222222"), entry("333333333333")]);
        let item = json!({"accountId": id(number), "roleArn": role, "stagingAccounts": staging});
        fleet.targets.extend(item.as_object().cloned());
        let account = Account {
            roles: [("DRSOrchestrationRole".to_owned(), Role::default())].into(),
            regions: [("us-east-1".to_owned(), Region::extended(["333333333333", "444444444444"]))].into(),
            page_size: None,
        };
        fleet.accounts.insert(id(number), account);
    }
    fleet
}

fn forget(lab: &Lab) {
    for item in &fleet().targets {
        lab.put_item(item).expect("an item");
    }
}

/// Whether every account has what DRS says, and what it had before is as it was.
fn is_true(lab: &Lab) -> bool {
    lab.plain_items().expect("items").iter().all(|item| {
        let entries = item["stagingAccounts"].as_array().expect("a list");
        let ids: Vec<&str> = entries.iter().filter_map(|entry| entry["accountId"].as_str()).collect();
        ids == ["333333333333", "444444444444"] && entries[0]["note"] == "kept"
    })
}

/// Another component that decides the same, or the same number of them: each has a custom section more.
fn candidate(folder: &Path, name: &str) -> String {
    let mut bytes = std::fs::read(policy()).expect("a policy");
    bytes.extend([
        0,
        u8::try_from(name.len() + 1).expect("a short name"),
        u8::try_from(name.len()).expect("a short name"),
    ]);
    bytes.extend(name.bytes());
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).expect("a file");
    text(&path)
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn default_policy() -> String {
    text(&policy())
}

/// What a tick needs: the manifest, and leave to remove from all accounts.
const TICK: [(&str, &str); 2] = [("POLICY", MANIFEST), ("MAX_REMOVALS_PERCENT", "100")];

async fn ok(lab: &Lab, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(lab, arguments, &TICK).await;
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    stdout + &stderr
}

async fn status(lab: &Lab) -> Value {
    let (code, stdout, stderr) = run(lab, &["policy", "rollout", "status", MANIFEST, "--json"], &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// A lab with the default policy active and a candidate under rollout.
async fn begun(folder: &Path, more: &[&str]) -> Lab {
    let lab = Lab::start(fleet()).await.expect("a lab");
    ok(&lab, &["policy", "publish", &default_policy(), "--to", MANIFEST]).await;
    let candidate = candidate(folder, "candidate");
    ok(&lab, &[&["policy", "publish", &candidate, "--to", MANIFEST], more].concat()).await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_from_its_first_step_to_the_active_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = begun(folder.path(), &["--rollout", "30%:1,60%:1", "--never", &id(0), "--always", &id(1)]).await;
    let shown = ok(&lab, &["policy", "rollout", "status", MANIFEST]).await;
    for said in [
        "no tick yet",
        "step 1 is inconclusive until it has seen 1 clean tick and 1 change more; without changes it stays so",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let salt = status(&lab).await["rollout"]["salt"].clone();
    // The same again is nothing new.
    let again = candidate(folder.path(), "candidate");
    let same = ["policy", "publish", &again, "--to", MANIFEST, "--rollout", "30%:1,60%:1", "--never", &id(0)];
    let said = ok(&lab, &[&same[..], &["--always", &id(1)]].concat()).await;
    assert!(said.contains("is in this rollout already"), "{said}");

    ok(&lab, &["policy", "rollout", "pause", MANIFEST, "--comment", "a holiday"]).await;
    let summary: Value = serde_json::from_str(&run(&lab, &["tick"], &TICK).await.1).expect("a summary");
    let by_candidate = |summary: &Value| -> Vec<String> {
        let details = summary["details"].as_array().expect("details").iter();
        let by = details.filter(|detail| detail.get("decidedBy").is_some());
        by.map(|detail| detail["accountId"].as_str().expect("an id").to_owned()).collect()
    };
    let decided = by_candidate(&summary);
    assert!(decided.contains(&id(1)) && !decided.contains(&id(0)), "{decided:?}");
    assert!(is_true(&lab));
    let paused = status(&lab).await;
    assert_eq!(
        (&paused["state"], &paused["step"], &paused["reason"]),
        (&json!("paused"), &json!(1), &json!("a holiday"))
    );
    let first = &paused["steps"][0];
    assert_eq!((&first["cleanTicks"], &first["changes"], &first["compared"]), (&json!(1), &json!(12), &json!(12)));
    assert_eq!(first["byCandidate"], json!(decided.len()));

    ok(&lab, &["policy", "rollout", "resume", MANIFEST]).await;
    for step in [2, 2] {
        forget(&lab);
        ok(&lab, &["tick"]).await;
        assert_eq!(status(&lab).await["step"], step);
    }
    let promoted = status(&lab).await;
    assert_eq!((&promoted["state"], &promoted["rollout"]["salt"]), (&json!("promoted"), &salt));
    let said = ok(&lab, &["policy", "rollout", "wait", MANIFEST, "--for", "promoted", "--timeout", "1m"]).await;
    assert!(said.contains("\"state\":\"promoted\""), "{said}");
    let log = ok(&lab, &["policy", "log", MANIFEST]).await;
    assert!(log.contains("promote by staging-sync host") && log.contains("rollout by "), "{log}");
    // Back to where it was while the rollout was under way: that isn't to begin anew.
    ok(&lab, &["policy", "rollback", MANIFEST, "--to-change", "2"]).await;
    forget(&lab);
    let summary: Value = serde_json::from_str(&run(&lab, &["tick"], &TICK).await.1).expect("a summary");
    assert_eq!(by_candidate(&summary), Vec::<String>::new());
    assert!(is_true(&lab));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_rollout_stays_aborted_until_it_is_published_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = begun(folder.path(), &["--rollout", "50%:1"]).await;
    let salt = status(&lab).await["rollout"]["salt"].clone();
    ok(&lab, &["policy", "rollout", "abort", MANIFEST, "--comment", "no"]).await;
    let (code, _, stderr) = run(&lab, &["policy", "rollout", "resume", MANIFEST], &[]).await;
    assert!(code == Some(2) && stderr.contains("the rollout is aborted"), "{stderr}");
    ok(&lab, &["policy", "rollout", "abort", MANIFEST]).await;
    let (code, stdout, _) = run(&lab, &["policy", "rollout", "wait", MANIFEST, "--timeout", "1m"], &[]).await;
    assert!(code == Some(1) && stdout.contains("aborted"), "{stdout}");
    ok(&lab, &["tick"]).await;
    assert!(is_true(&lab));
    assert_eq!(status(&lab).await["ticks"], json!([]));

    let candidate = candidate(folder.path(), "candidate");
    ok(&lab, &["policy", "publish", &candidate, "--to", MANIFEST, "--rollout", "20%:1,50%:1"]).await;
    let again = status(&lab).await;
    assert_eq!((&again["state"], &again["rollout"]["salt"]), (&json!("running"), &salt), "the salt stays");
    // Another active policy ends it.
    let other = self::candidate(folder.path(), "other");
    ok(&lab, &["policy", "publish", &other, "--to", MANIFEST]).await;
    let ended = status(&lab).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("aborted"), &json!("superseded by `publish`")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rolled_out_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = Lab::start(fleet()).await.expect("a lab");
    let (default, candidate) = (default_policy(), candidate(folder.path(), "candidate"));
    let publish = async |policy: &str, more: &[&str], says: &str| {
        let arguments = [&["policy", "publish", policy, "--to", MANIFEST], more].concat();
        let (code, _, stderr) = run(&lab, &arguments, &[]).await;
        assert!(code == Some(2) && stderr.contains(says), "{more:?}: {code:?} {stderr}");
    };
    publish(&candidate, &["--rollout", "1%:1"], "no active policy yet").await;
    ok(&lab, &["policy", "publish", &default, "--to", MANIFEST]).await;
    publish(&default, &["--rollout", "1%:1"], "is active already").await;
    publish(&candidate, &["--rollout", "10%:1,1%:1"], "expected shares that grow").await;
    publish(&candidate, &["--rollout", "1%"], "expected a share and a number").await;
    publish(&candidate, &["--rollout", "1%:1", "--shadow"], "cannot be used with").await;
    publish(&candidate, &["--min-changes", "2"], "--rollout").await;
    publish(&candidate, &["--rollout", "1%:1", "--min-changes", "0"], "0 is not in 1..").await;
    publish(&candidate, &["--rollout", "1%:1", "--never", "12"], "12 digits").await;
    publish(&candidate, &["--rollout", "1%:1", "--never", &id(0), "--always", &id(0)], "both never and always").await;
    let (code, _, stderr) = run(&lab, &["policy", "rollout", "status", MANIFEST], &[]).await;
    assert!(code == Some(2) && stderr.contains("has no rollout"), "{stderr}");
}

/// Two operators at once: one of them is told so, or both did the same; nothing is in between.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = begun(folder.path(), &["--rollout", "50%:9"]).await;
    let (pause, abort) = (["policy", "rollout", "pause", MANIFEST], ["policy", "rollout", "abort", MANIFEST]);
    let (paused, aborted) = tokio::join!(run(&lab, &pause, &[]), run(&lab, &abort, &[]));
    assert_eq!(aborted.0, Some(0), "{}", aborted.2);
    assert!(matches!(paused.0, Some(0 | 2)), "{}", paused.2);
    assert_eq!(status(&lab).await["state"], "aborted", "an abort isn't undone by who pauses");

    let candidates = [candidate(folder.path(), "one"), candidate(folder.path(), "another")];
    let publish = async |candidate: &str| {
        run(&lab, &["policy", "publish", candidate, "--to", MANIFEST, "--rollout", "50%:1"], &[]).await
    };
    let (one, another) = tokio::join!(publish(&candidates[0]), publish(&candidates[1]));
    assert!([one.0, another.0].contains(&Some(0)), "{} {}", one.2, another.2);
    // Whoever was last in the manifest is under rollout, and nobody else.
    let manifest: Value = serde_json::from_slice(&lab.object("live/policy.json").expect("a manifest")).expect("JSON");
    ok(&lab, &["tick"]).await;
    let state = status(&lab).await;
    assert_eq!(state["candidate"]["sha256"], manifest["shadow"]["sha256"]);
    assert!(is_true(&lab));
}

/// A host that is killed at any write, before or after it's made: the next ticks go on, and end as without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_at_any_write_leaves_a_rollout_that_goes_on() {
    // Each tick's evidence; and at the end the manifest, its history, and that it's promoted.
    for number in 0..5 {
        for done in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let lab = begun(folder.path(), &["--rollout", "30%:1,60%:1"]).await;
            lab.clear_calls();
            let what = if done { Fault::lose_answer() } else { Fault::hang() };
            let fault = Fault { operation: Some("PutObject".into()), after: number, times: Some(1), ..what };
            lab.edit(|fleet| fleet.faults = vec![fault]);
            let puts = |lab: &Lab| lab.calls().iter().filter(|call| call.operation == "PutObject").count() as u64;
            let mut ticks = 0;
            while puts(&lab) <= number {
                forget(&lab);
                let mut tick = staging_sync();
                tick.arg("tick").envs(lab.env()).envs(TICK).stdout(Stdio::null()).stderr(Stdio::null());
                let mut tick = tick.spawn().expect("the program");
                let count = |calls: &[staging_sync_lab::Call]| {
                    calls.iter().filter(|call| call.operation == "PutObject").count() as u64
                };
                tokio::select! {
                    () = lab.wait_for_calls(|calls| count(calls) > number) => tick.kill().await.expect("killed"),
                    ended = tick.wait() => assert!(ended.is_ok()),
                }
                ticks += 1;
                assert!(ticks < 5, "write {number} never came");
            }
            lab.edit(|fleet| fleet.faults.clear());
            for _ in 0..3 {
                forget(&lab);
                ok(&lab, &["tick"]).await;
                assert!(is_true(&lab), "killed at write {number}, made: {done}");
            }
            let found = status(&lab).await;
            assert_eq!(found["state"], "promoted", "killed at write {number}, made: {done}: {found}");
            let ticks: Vec<&str> =
                found["ticks"].as_array().expect("ticks").iter().filter_map(|tick| tick["id"].as_str()).collect();
            let clean = [0, 1].map(|step: usize| found["steps"][step]["cleanTicks"].as_u64().expect("a number"));
            assert_eq!(clean[0], 1, "no tick counts twice: killed at write {number}, made: {done}");
            assert_eq!(clean[0] + clean[1], ticks.len() as u64, "killed at write {number}, made: {done}: {found}");
            let manifest = lab.object("live/policy.json").expect("a manifest");
            let manifest: Value = serde_json::from_slice(&manifest).expect("a whole manifest");
            assert_eq!(manifest["sha256"], found["candidate"]["sha256"]);
            assert!(manifest.get("shadow").is_none());
        }
    }
}
