//! What the table says is shown as text, whatever it is; and what isn't for everybody isn't shown at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab};

use crate::server::{Console, journal, latest, run, staging_sync};

/// The fleet of the demo.
fn demo() -> Fleet {
    Fleet::from_json(include_str!("../../../lab/fleets/demo.json")).expect("a fleet")
}

fn account(name: &str) -> Value {
    json!({"accountName": name, "status": "skipped", "reason": name, "stagingAccounts": ["444455556666"],
        "incompleteRegions": [name], "heldRemovals": [name], "lastChange": {"tick": name, "at": name}})
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_shown_as_text() {
    let long = "é<".repeat(50_000);
    let names = [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "\u{202e}evil\u{2066}",
        "a\u{0}b\u{1b}[2J",
        &long,
    ];
    let mut accounts: serde_json::Map<String, Value> =
        names.iter().zip(111_122_223_330_u64..).map(|(name, id)| (id.to_string(), account(name))).collect();
    accounts.insert("../<b>&\"".into(), account("a key that is no account id"));
    let folder = journal(&latest(json!(accounts)));
    let console = Console::start(folder.path(), &[]).await;
    let pages = ["/", "/?q=%3Cscript%3E%22", "/accounts/..%2F%3Cb%3E%26%22"].map(str::to_owned).into_iter();
    let pages = pages.chain((111_122_223_330_u64..).take(names.len()).map(|id| format!("/accounts/{id}")));
    for path in pages {
        let page = console.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        for hostile in ["<script", "<img", "<b>", "\u{202e}", "\u{2066}", "\u{0}", "\u{1b}"] {
            assert!(!page.body.contains(hostile), "{path} has {hostile:?}");
        }
        assert!(page.body.len() < 200_000, "{path}: {} bytes", page.body.len());
    }
    let fleet = console.get("/").await.body;
    for shown in
        ["<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>", "<bdi>\\u{202e}evil\\u{2066}</bdi>", "more characters)"]
    {
        assert!(fleet.contains(shown), "no {shown}");
    }
    // Programs get what is there, whole.
    let known = console.json("/api/v1/fleet").await;
    let names_told: Vec<&str> =
        known["accounts"].as_array().expect("accounts").iter().filter_map(|one| one["accountName"].as_str()).collect();
    assert!(names.iter().all(|name| names_told.contains(name)));
    for (path, status) in
        [("/accounts/%ff%fe", 400), ("/accounts/%3Cscript%3E", 404), ("/%3Cscript%3E", 404), ("/ticks/%00", 404)]
    {
        let answer = console.get(path).await;
        assert!(answer.status == status && !answer.body.contains("<script"), "{path}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latest_json_that_is_no_good_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let console = Console::start(folder.path(), &[]).await;
    assert!(console.get("/").await.body.contains("No tick has ended yet."));
    for bad in [&b"\xff\xfe{"[..], b"{}", br#"{"format": 2}"#, br#"{"accounts": {"1": {"accountName": "\ud800"}}}"#] {
        std::fs::write(folder.path().join("latest.json"), bad).expect("a file");
        let page = console.get("/").await;
        assert!(page.status == 200 && page.body.contains("can't be read"), "{bad:?}: {}", page.body);
    }
    std::fs::write(folder.path().join("latest.json"), latest(json!({"111122223333": account("Fine")})).to_string())
        .expect("a file");
    assert!(console.get("/").await.body.contains("Fine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_and_no_answer_has_an_external_id() {
    let lab = Lab::start(demo()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    run(&lab, folder.path(), &["tick"]).await;
    run(&lab, folder.path(), &["undo", "--account", "111122223333", "--no-veto"]).await;
    run(&lab, folder.path(), &["tick"]).await;
    let items = lab.items().expect("items");
    let mut secrets: Vec<String> = items.iter().flat_map(external_ids).collect();
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() > 10, "{secrets:?}");

    let console = Console::start(folder.path(), &[]).await;
    let mut paths: Vec<String> = ["/", "/ticks", "/policies", "/simulate", "/nothing"].map(str::to_owned).into();
    paths.extend(["fleet", "ticks", "policies", "openapi.json"].map(|path| format!("/api/v1/{path}")));
    let fleet = console.json("/api/v1/fleet").await;
    let ticks = console.json("/api/v1/ticks").await;
    let ids = |list: &Value, name: &str| -> Vec<String> {
        list.as_array().expect("a list").iter().filter_map(|one| Some(one[name].as_str()?.to_owned())).collect()
    };
    let (accounts, ticks) = (ids(&fleet["accounts"], "accountId"), ids(&ticks["ticks"], "tick"));
    assert!(accounts.len() == 12 && ticks.len() == 3, "{accounts:?} {ticks:?}");
    for tick in &ticks {
        paths.extend([format!("/ticks/{tick}"), format!("/api/v1/ticks/{tick}")]);
        for account in &accounts {
            paths.extend([
                format!("/accounts/{account}?tick={tick}"),
                format!("/api/v1/accounts/{account}?tick={tick}"),
            ]);
        }
    }
    let before = files(folder.path());
    let mut explained = 0;
    for path in paths {
        let body = console.get(&path).await.body;
        explained += usize::from(body.contains("\"answers\":[{"));
        for secret in &secrets {
            assert!(!body.contains(secret.as_str()), "{path} has {secret}");
        }
    }
    assert!(explained > 5, "{explained}");
    assert_eq!(files(folder.path()), before, "looking changes nothing");
}

/// All files below a folder, and when they were written.
fn files(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let (mut folders, mut files) = (vec![folder.to_owned()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let written = entry.metadata().and_then(|data| data.modified()).expect("a time");
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path(), written);
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_a_console() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = staging_sync(folder.path());
    command.args(["demo", "--console", "--listen", "127.0.0.1:0"]);
    let console = Console::of(command).await;
    let page = console.get("/").await;
    assert!(page.status == 200 && page.body.contains("DEMO_TARGET"), "{}", page.body);
    let account = console.json("/api/v1/accounts/123456789012").await;
    let by: Vec<&str> =
        account["timeline"].as_array().expect("a timeline").iter().filter_map(|one| one["by"].as_str()).collect();
    assert!(by.len() == 3 && by[1] == "undo by the demo", "{account}");
    let policies = console.json("/api/v1/policies").await;
    assert_eq!(policies["sources"][0]["policies"]["previous"]["rejected"], Value::Null, "{policies}");
}

/// All external ids of an item in DynamoDB JSON.
fn external_ids(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match name.as_str() {
                "externalId" => value["S"].as_str().map(|id| vec![id.to_owned()]).unwrap_or_default(),
                _ => external_ids(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(external_ids).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_accounts_come_page_by_page_and_to_programs_at_once() {
    let accounts = (0..10_000_u64).map(|number| {
        let name = format!("Target {number}");
        (
            (100_000_000_000 + number).to_string(),
            json!({"accountName": name, "status": "unchanged", "stagingAccounts": [], "lastChange": null}),
        )
    });
    let folder = journal(&latest(Value::Object(accounts.collect())));
    let console = Console::start(folder.path(), &[]).await;
    let rows = |page: &str| page.matches("<th scope=\"row\">").count();
    let first = console.get("/").await.body;
    assert!(
        rows(&first) == 200 && first.contains("Page 1 of 50") && first.contains("10000 accounts"),
        "{}",
        rows(&first)
    );
    let last = console.get("/?page=50").await.body;
    assert!(rows(&last) == 200 && last.contains("Target 9999") && !last.contains("Next"));
    assert_eq!(console.get("/?page=999").await.body.matches("Target 9999").count(), 1);
    assert_eq!(rows(&console.get("/?q=target+1234").await.body), 1);
    let all = console.json("/api/v1/fleet").await;
    assert_eq!(all["accounts"].as_array().map(Vec::len), Some(10_000));
}
