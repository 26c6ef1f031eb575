//! The journal through the program: an entry is removed, explained, brought back, left alone, and let go.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};

use crate::examples::shell;
use crate::seed::seed;
use crate::staging_sync;

const TARGET: &str = "111122223333";
const REMOVED: &str = "444455556666";

/// The exit code and both outputs of a line, with a journal in a folder.
pub async fn run(lab: &Lab, folder: &Path, line: &str) -> (i32, String, String) {
    let mut shell = shell(lab, folder, line);
    let ran = shell.env("JOURNAL", folder.join("journal")).env("USER", "tester").output().await.expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code().unwrap_or(-1), text(&ran.stdout), text(&ran.stderr))
}

/// The JSON of a line that goes well.
pub async fn value(lab: &Lab, folder: &Path, line: &str) -> Value {
    let (code, stdout, stderr) = run(lab, folder, line).await;
    assert_eq!(code, 0, "{line}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}: {stdout}"))
}

/// The stored list of the target account, in DynamoDB JSON.
fn list(lab: &Lab) -> Value {
    let items = lab.items().expect("items");
    items.into_iter().find(|item| item["accountId"]["S"] == TARGET).expect("an item")["stagingAccounts"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_removed_is_explained_brought_back_and_let_go() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let before = list(&lab);
    value(&lab, folder, "staging-sync tick").await;
    let after = list(&lab);
    assert!(!after.to_string().contains(REMOVED));

    let history = value(&lab, folder, "staging-sync history").await;
    let change = &history[0];
    assert_eq!((&change["accountId"], &change["removed"]), (&json!(TARGET), &json!([REMOVED])), "{history:#}");
    assert_eq!(value(&lab, folder, "staging-sync history --account 999999999999").await, json!([]));

    let (code, explained, _) =
        run(&lab, folder, &format!("staging-sync explain --account {TARGET} --policy \"$POLICY\"")).await;
    assert_eq!(code, 0, "{explained}");
    for part in [
        "result:  updated +777788889999, -444455556666",
        "stored:  444455556666",
        "region:  drs:ListStagingAccounts in eu-west-1: nothing, DRS isn't in use there",
        "region:  drs:ListStagingAccounts in us-east-1: 777788889999",
        "written: 777788889999, if the list is still 444455556666",
        "policy:  staging-account-sync",
        "instead: staging-account-sync",
    ] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    assert!(
        explained.matches("updated +777788889999, -444455556666").count() == 2,
        "the same policy again: {explained}"
    );

    // STS, DRS and the policy's source are away.
    let undo =
        format!("POLICY=s3://nowhere/policy.json staging-sync undo --account {TARGET} --comment 'DRS was wrong'");
    let dry = value(&lab, folder, &format!("{undo} --dry-run")).await;
    assert_eq!((&dry["details"][0]["status"], &dry["details"][0]["added"]), (&json!("undone"), &json!([REMOVED])));
    assert_eq!(list(&lab), after);
    let fault = |service: &str| serde_json::from_value(json!({"service": service, "reset": true})).expect("a fault");
    lab.edit(|fleet| fleet.faults = vec![fault("drs"), fault("sts")]);
    let undone = value(&lab, folder, &undo).await;
    assert_eq!(undone["details"][0]["status"], "undone", "{undone:#}");
    assert_eq!(list(&lab), before, "to the byte");
    lab.edit(|fleet| fleet.faults.clear());

    let next = value(&lab, folder, "staging-sync tick").await;
    assert_eq!(
        (&next["details"][0]["status"], &next["details"][0]["reason"]),
        (&json!("skipped"), &json!("Vetoed: DRS was wrong"))
    );
    assert_eq!(list(&lab), before, "the next tick leaves it");
    let frozen = value(&lab, folder, "staging-sync freeze --list").await;
    assert_eq!(
        (&frozen[0]["comment"], &frozen[0]["author"]),
        (&json!("DRS was wrong"), &json!("tester")),
        "{frozen:#}"
    );
    let history = value(&lab, folder, "staging-sync history").await;
    assert_eq!(
        (history.as_array().map(Vec::len), &history[0]["by"]),
        (Some(2), &json!("undo by tester")),
        "{history:#}"
    );

    let (code, _, stderr) = run(&lab, folder, &format!("staging-sync unfreeze --account {TARGET}")).await;
    assert_eq!(code, 0, "{stderr}");
    value(&lab, folder, "staging-sync tick").await;
    assert!(!list(&lab).to_string().contains(REMOVED), "and now it goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_is_undone_and_refuses_what_was_edited_or_tampered_with() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let before = list(&lab);
    value(&lab, folder, "staging-sync tick").await;
    let after = list(&lab);
    let tick = value(&lab, folder, "staging-sync history").await[0]["tick"].as_str().expect("an id").to_owned();

    // Of the whole tick, and back.
    value(&lab, folder, &format!("staging-sync undo --tick {tick}")).await;
    assert_eq!(list(&lab), before);
    value(&lab, folder, &format!("staging-sync undo --account {TARGET}")).await;
    assert_eq!(list(&lab), after);
    assert_eq!(value(&lab, folder, "staging-sync freeze --list").await, json!([]), "the undo's veto went with it");
    let at = "2020-01-01T00:00:00Z";
    let (code, stdout, _) = run(&lab, folder, &format!("staging-sync undo --account {TARGET} --at {at}")).await;
    assert!(code == 1 && stdout.contains("no change of this account"), "{stdout}");

    let item = json!({"key": TARGET, "set": {"stagingAccounts": []}});
    lab.update_item(&serde_json::from_value(item).expect("an edit")).expect("an edit");
    let (code, stdout, _) = run(&lab, folder, &format!("staging-sync undo --tick {tick}")).await;
    assert!(code == 1 && stdout.contains("777788889999, which it added, was removed"), "{stdout}");
    assert_eq!(list(&lab), json!({"L": []}));

    let changes = folder.join("journal/changes").join(TARGET);
    for change in std::fs::read_dir(&changes).expect("changes") {
        let path = change.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a record");
        std::fs::write(&path, text.replace("\"kept\"", "\"forged\"")).expect("a file");
    }
    for line in [format!("staging-sync undo --tick {tick}"), format!("staging-sync explain --account {TARGET}")] {
        let (code, stdout, _) = run(&lab, folder, &line).await;
        assert!(code == 1 && stdout.contains("somebody tampered with it"), "{line}: {stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_recorded_and_what_is_not_said_is_told() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let explain = |id: &str| format!("staging-sync explain --account {id}");
    let (code, stdout, _) = run(&lab, folder, &explain(TARGET)).await;
    assert!(code == 1 && stdout.contains("no tick has run with this JOURNAL"), "{stdout}");
    value(&lab, folder, "staging-sync tick").await;
    let (code, stdout, _) = run(&lab, folder, &explain("999999999999")).await;
    assert!(code == 1 && stdout.contains("no tick has seen the account"), "{stdout}");
    let (code, stdout, _) = run(&lab, folder, &explain("123456789012")).await;
    assert!(code == 1 && stdout.contains("it was unchanged at"), "{stdout}");
    for (line, told) in [
        ("staging-sync undo", "use --account ID, or --tick ID"),
        ("staging-sync undo --tick x", "expected a tick's id like"),
        ("staging-sync freeze --until 4h --comment x", "use --account ID, or --all"),
        ("staging-sync freeze --all --comment x", "--until"),
        ("staging-sync freeze --all --until yesterday --comment x", "expected a duration like 4h"),
        ("staging-sync freeze --all --until 4h --comment ' '", "--comment is empty"),
        ("env -u JOURNAL staging-sync history", "set JOURNAL, or --journal"),
        ("staging-sync history --since 1d --until 2d", "nothing is in between"),
        ("staging-sync history --journal s3://nowhere/journal/", "NoSuchBucket"),
    ] {
        let (code, _, stderr) = run(&lab, folder, line).await;
        assert!(code == 2 && stderr.contains(told), "{line}: {code} {stderr}");
    }
    let (code, _, stderr) = run(&lab, folder, "staging-sync freeze --all --until 4h --comment 'fail-over'").await;
    assert_eq!(code, 0, "{stderr}");
    let summary = value(&lab, folder, "staging-sync tick").await;
    assert_eq!(summary["accountsFrozen"], json!(2), "{summary:#}");
    assert!(summary["details"][0]["reason"].as_str().is_some_and(|reason| reason.ends_with(": fail-over")));
    let (_, stdout, _) = run(&lab, folder, "staging-sync freeze --list").await;
    assert!(stdout.contains("arn:aws:iam::999988887777:user/lab"), "{stdout}");
}

/// Whoever froze an account during a fail-over doesn't want a plan to move it either.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_leaves_frozen_accounts_as_they_are() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let before = list(&lab);
    value(&lab, folder, "staging-sync tick --dry-run --out plan.json").await;
    let freeze = format!("staging-sync freeze --account {TARGET} --until 4h --comment fail-over");
    let (code, _, stderr) = run(&lab, folder, &freeze).await;
    assert_eq!(code, 0, "{stderr}");
    for more in ["", " --dry-run"] {
        let (code, stdout, stderr) = run(&lab, folder, &format!("staging-sync apply plan.json{more}")).await;
        assert_eq!(code, 1, "{stdout}{stderr}");
        assert!(stdout.contains("Frozen until ") && stdout.contains("fail-over"), "{stdout}");
    }
    assert_eq!(list(&lab), before);
    let freezes = folder.join("journal/freezes.json");
    let frozen = std::fs::read(&freezes).expect("a file");
    std::fs::write(&freezes, "{").expect("a file");
    let (code, _, stderr) = run(&lab, folder, "staging-sync apply plan.json").await;
    assert!(code == 2 && stderr.contains("nothing was applied, because freezes are unknown"), "{stderr}");
    std::fs::write(&freezes, frozen).expect("a file");
    let (code, _, stderr) = run(&lab, folder, &format!("staging-sync unfreeze --account {TARGET}")).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = run(&lab, folder, "staging-sync apply plan.json").await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(!list(&lab).to_string().contains(REMOVED));
}

/// Somebody edits the list between the read and the write of an undo.
#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_is_refused_leaves_no_veto() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    value(&lab, folder, "staging-sync tick").await;
    let edit = serde_json::from_value(json!({"set": {"stagingAccounts": [{"accountId": "888888888888"}]}}));
    let edit = Fault::mutate(edit.expect("an edit"));
    lab.edit(|fleet| fleet.faults = vec![Fault { operation: Some("UpdateItem".into()), times: Some(1), ..edit }]);
    let (code, stdout, stderr) = run(&lab, folder, &format!("staging-sync undo --account {TARGET}")).await;
    assert!(code == 1 && stdout.contains("the list isn't what the change left"), "{stdout}{stderr}");
    assert!(list(&lab).to_string().contains("888888888888"), "the edit stays");
    assert_eq!(value(&lab, folder, "staging-sync freeze --list").await, json!([]));
}

/// Whatever a tick had done when it was killed, an undo takes back to the byte, or says that there's nothing to take back.
#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_was_killed_at_any_call_is_undone_to_the_byte() {
    let mut undone = 0;
    for calls in 1..=20 {
        let fleet = Fleet { latency_ms: 3, jitter_ms: 3, ..seed() };
        let lab = Lab::start(fleet).await.expect("a lab");
        let folder = tempfile::tempdir().expect("a folder");
        let before = list(&lab);
        let mut tick = staging_sync();
        tick.args(["tick", "--quiet"]).envs(lab.env()).env("JOURNAL", "s3://policies/journal/");
        let mut tick = tick.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program");
        tokio::select! {
            () = lab.wait_for_calls(|arrived| arrived.len() >= calls) => tick.kill().await.expect("a running process"),
            ended = tick.wait() => drop(ended.expect("a process")),
        }
        let after = list(&lab);
        let undo = format!("JOURNAL=s3://policies/journal/ staging-sync undo --account {TARGET}");
        let (code, stdout, stderr) = run(&lab, folder.path(), &undo).await;
        assert_eq!(list(&lab), before, "killed at call {calls}: {stdout}{stderr}");
        // Without a change, there's nothing to undo.
        assert_eq!(code == 0, after != before, "killed at call {calls}: {stdout}{stderr}");
        undone += usize::from(after != before);
    }
    assert!((1..20).contains(&undone), "killed before the write, and after it: {undone}");
}
