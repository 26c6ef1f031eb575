//! What a policy may do to one account of three: fail it. The other two are decided and written, and the error
//! says that it's the policy's fault, and which limit or rule it met.

use serde_json::{Value, json};
use staging_sync_lab::Lab;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::{Event, Tick};

use crate::guest::{ACCOUNT, ADDED, ENTRY, Guest, HEAP, OUTCOME, RECEIPT, TEXT, VIEWS, ZEROS};
use crate::limits;
use crate::support::{id, patience, runtime, stored_ids, targets};

/// The staging account that is stored for every target.
const STORED: &str = "333333333333";

/// A tick over three accounts, with a policy that does its worst on the second one.
async fn expect(guest: Guest, expected: &str) {
    let fleet = targets((0..3).map(|_| (vec![STORED.into()], vec!["444444444444".into()])));
    let lab = Lab::start(fleet).await.expect("a lab");
    lab.edit(|fleet| fleet.regions = vec!["eu-west-1".into(), "us-east-1".into()]);
    let before = lab.items().expect("items");
    let policy = Policy::from_bytes(&guest.component(), limits()).await.expect("a policy");
    let runtime = runtime(&lab, &[], policy, patience()).await.expect("a runtime");
    let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await;
    let report = report.unwrap_or_else(|error| panic!("{expected}: the tick failed: {error}"));

    let found = report.summary[id(1)].as_str().unwrap_or_else(|| panic!("{expected}: {}", report.summary));
    assert!(found.starts_with("policy: ") && found.contains(expected), "expected {expected:?}, found {found:?}");
    let rest = |value: &Value| json!({id(0): value[id(0)], id(2): value[id(2)]});
    assert_eq!(rest(&report.summary), json!({id(0): 0, id(2): 0}), "{expected}");
    assert_eq!((report.counts.updated, report.counts.failed), (2, 1), "{expected}");
    assert_eq!(lab.items().expect("items")[1], before[1], "{expected}: nothing is written");
    let both = vec![STORED.to_owned(), ADDED.to_owned()];
    assert_eq!(stored_ids(&lab), [both.clone(), vec![STORED.to_owned()], both], "{expected}");
    lab.shutdown().await;
}

/// A guest whose `sync` does this, with these texts at `TEXT`.
fn does(sync: impl Into<String>, texts: &[&str]) -> Guest {
    Guest { sync: sync.into(), texts: texts.iter().map(ToString::to_string).collect(), ..Guest::default() }
}

/// A guest with further functions, tables and the like.
fn with(items: impl Into<String>, sync: impl Into<String>) -> Guest {
    Guest { items: items.into(), ..does(sync, &[]) }
}

/// A call of `update` with lists: address and length.
fn update(add: (usize, usize), remove: (usize, usize)) -> String {
    format!(
        "(call $update (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {RECEIPT}))",
        add.0, add.1, remove.0, remove.1
    )
}

/// Behaves, and then reports something else: stores into the outcome.
fn reports(store: &str) -> String {
    format!("(call $behave) {store} (return (i32.const {OUTCOME}))")
}

/// Stores a text of the guest's as an `option<string>` of the outcome.
fn option(field: usize, text: usize) -> String {
    let (flag, value) = (OUTCOME + field, OUTCOME + field + 4);
    format!(
        "(i32.store8 (i32.const {flag}) (i32.const 1)) (i64.store align=4 (i32.const {value}) (i64.load align=4 (i32.const {text})))"
    )
}

/// Stores an address and a length into the outcome.
fn list(field: usize, at: usize, length: usize) -> String {
    let (first, second) = (OUTCOME + field, OUTCOME + field + 4);
    format!("(i32.store (i32.const {first}) (i32.const {at})) (i32.store (i32.const {second}) (i32.const {length}))")
}

/// Where the outcome's fields are.
const REASON: usize = 4;
const ERROR: usize = 16;
const ADDED_IDS: usize = 28;
const HELD: usize = 44;
const EXTRA: usize = 76;

/// Makes the guest's memory 12 MiB long.
const GROW: &str = "(drop (memory.grow (i32.const 184)))";

/// What an exception or a panic was, as far as the policy has logged it before it ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_logged_error_is_in_the_message_of_a_trap() {
    let logs =
        format!("(call $log (i32.const 3) (i32.load (i32.const {TEXT})) (i32.load offset=4 (i32.const {TEXT})))");
    let guest = does(format!("{logs} (unreachable)"), &["Error: boom, in decide.js:12"]);
    expect(guest, "trapped: Error: boom, in decide.js:12 (wasm trap: wasm `unreachable` instruction executed)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn computing() {
    expect(does("unreachable", &[]), "trapped: wasm trap: wasm `unreachable` instruction executed").await;
    expect(does("(drop (i32.div_u (i32.const 1) (i32.const 0)))", &[]), "trapped: wasm trap: integer divide by zero")
        .await;
    expect(does("(drop (i32.load (i32.const -8)))", &[]), "trapped: wasm trap: out of bounds memory access").await;
    expect(does("(loop $for_ever (br $for_ever))", &[]), "limit of 20000000 units of fuel (POLICY_FUEL)").await;
    let fill =
        format!("(loop $for_ever (memory.fill (i32.const {ZEROS}) (i32.const 0) (i32.const 400000)) (br $for_ever))");
    expect(does(fill, &[]), "limit of 20000000 units of fuel (POLICY_FUEL)").await;
    expect(with("(func $deeper (call $deeper))", "(call $deeper)"), "limit of 512 KiB of stack").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let grow = "(loop $more (drop (memory.grow (i32.const 1))) (br $more))";
    expect(does(grow, &[]), "limit of 16 MiB of memory (POLICY_MEMORY_MIB)").await;
    expect(does("(drop (memory.grow (i32.const 60000)))", &[]), "limit of 16 MiB of memory").await;
    let table = "(loop $more (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $more))";
    expect(with("(table $table 1 funcref)", table), "limit of 100000 table elements").await;
}

/// Texts and lists that the host would have to copy.
#[tokio::test(flavor = "multi_thread")]
async fn results() {
    let failed = format!("(i32.store8 (i32.const {OUTCOME}) (i32.const 3))");
    let flag = |field| format!("(i32.store8 (i32.const {}) (i32.const 1))", OUTCOME + field);
    let huge = "too much data is being copied between the host and the guest";
    for field in [REASON, ERROR, EXTRA] {
        let text = |length| format!("{GROW} {failed} {} {}", flag(field), list(field + 4, ZEROS, length));
        let returned = format!("(return (i32.const {OUTCOME}))");
        expect(does(text(11 << 20) + &returned, &[]), huge).await;
        expect(does(text(200_000) + &returned, &[]), "reported more than 128 KiB for one account").await;
    }
    let many = |count| format!("{GROW} {failed} {} (return (i32.const {OUTCOME}))", list(HELD, ZEROS, count));
    expect(does(many(1_000_000), &[]), huge).await;
    expect(does(many(20_000), &[]), "reported more than 128 KiB for one account").await;
    // One text, named by a list of many: 64 KiB of memory that would be 512 MiB on the host.
    let aliased = format!(
        "(local $at i32) (local.set $at (i32.const {ZEROS})) (loop $next \
           (i32.store (local.get $at) (i32.const {ZEROS})) \
           (i32.store offset=4 (local.get $at) (i32.const 0x10000)) \
           (local.set $at (i32.add (local.get $at) (i32.const 8))) \
           (br_if $next (i32.lt_u (local.get $at) (i32.const {})))) {}",
        ZEROS + 0x1_0000,
        list(HELD, ZEROS, 0x1_0000 / 8),
    );
    expect(with(format!("(func $alias {aliased})"), format!("(call $alias) (return (i32.const {OUTCOME}))")), huge)
        .await;

    expect(does("(return (i32.const -4))", &[]), "pointer out of bounds of memory").await;
    expect(does(reports(&format!("(i32.store8 (i32.const {OUTCOME}) (i32.const 7))")), &[]), "unexpected discriminant")
        .await;
    let not_utf8 = format!(
        "(i32.store8 (i32.const {ZEROS}) (i32.const 255)) {failed} {} {}",
        flag(ERROR),
        list(ERROR + 4, ZEROS, 1)
    );
    expect(does(not_utf8 + &format!("(return (i32.const {OUTCOME}))"), &[]), "invalid utf-8").await;
}

/// Outcomes that aren't true, or that `summarize` couldn't use.
#[tokio::test(flavor = "multi_thread")]
async fn untrue_outcomes() {
    let status = |status| format!("(i32.store8 (i32.const {OUTCOME}) (i32.const {status}))");
    for (number, name) in [(1, "unchanged"), (2, "skipped"), (3, "failed")] {
        let says = format!("reported {name} but asked for a change; nothing was written");
        expect(does(reports(&status(number)), &[]), &says).await;
    }
    let unasked = format!("(return (i32.const {OUTCOME}))");
    expect(does(unasked, &[]), "reported updated but asked for no change").await;
    let other = "reported other changes than it asked for; nothing was written";
    expect(does(reports(&list(ADDED_IDS, 0, 0)), &[]), other).await;
    expect(does(reports(&list(ADDED_IDS + 8, TEXT, 1)), &[STORED]), other).await;
    for text in ["", "no JSON", "[1]", "{\"open\": "] {
        let extra = does(reports(&option(EXTRA, TEXT)), &[text]);
        expect(extra, "reported an `extra` that isn't a JSON object").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes() {
    let discover = format!("(call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))");
    expect(does(update((ENTRY, 1), (0, 0)).repeat(2), &[]), "called update twice for one account").await;
    expect(does(update((0, 0), (0, 0)).repeat(2), &[]), "called update twice for one account").await;
    let billion = format!("(loop $next {} (br $next))", update((0, 0), (0, 0)));
    expect(does(billion, &[]), "called update twice for one account").await;

    let long = "3".repeat(300);
    for bad in ["", "33333333333", "3333333333333", "33333333333x", "３３３３３３３３３３３３", &long] {
        let named = format!("named {:?}", bad.chars().take(12).collect::<String>()).replace('"', "'");
        expect(does(update((0, 0), (TEXT, 1)), &[bad]), named.trim_end_matches('\'')).await;
        expect(does(update((0, 0), (TEXT, 1)), &[bad]), "isn't an account id of 12 digits").await;
    }
    let entry = |id, name, role, external| [id, name, role, external, "us-east-1"];
    let add = update((TEXT, 1), (0, 0));
    let role = "arn:aws:iam::555555555555:role/DRSOrchestrationRole";
    expect(does(&*add, &entry("5", "n", role, "e")), "named '5', which isn't an account id of 12 digits").await;
    let itself = id(1);
    expect(does(&*add, &entry(&itself, "n", role, "e")), "asked to make the target account its own staging account")
        .await;
    let incomplete = "asked to add 555555555555 with an empty or an overlong field";
    let overlong = "n".repeat(3_000);
    for (name, role, external) in [("", role, "e"), ("n", "", "e"), ("n", role, ""), (&*overlong, role, "e")] {
        expect(does(&*add, &entry("555555555555", name, role, external)), incomplete).await;
    }
    let foreign = "asked to add 555555555555 with a role that isn't its own";
    expect(does(&*add, &entry("555555555555", "n", "arn:aws:iam::666666666666:role/x", "e")), foreign).await;
    let both = discover.clone() + &update((ENTRY, 1), (ENTRY, 1));
    expect(does(both, &[]), "asked both to add and to remove 222222222222").await;
    // A removal of what isn't stored is ignored, so there's no change to report.
    let itself_removed = discover + &update((0, 0), (ACCOUNT, 1)) + &format!("(return (i32.const {OUTCOME}))");
    expect(does(itself_removed, &[]), "reported updated but asked for no change").await;
    expect(does(update((0, 0), (ZEROS, 10_001)), &[]), "asked for a change of more than 10000 entries").await;
    let million = format!("{GROW} {}", update((0, 0), (ZEROS, 1_000_000)));
    expect(does(million, &[]), "too much data is being copied between the host and the guest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_need_a_complete_view() {
    let remove = update((0, 0), (TEXT, 1));
    expect(does(&*remove, &[STORED]), "asked for a removal, but eu-west-1 wasn't read to its last page").await;
    let one = format!("(call $discover (i32.const {}) (i32.const 1) (i32.const {VIEWS}))", TEXT + 8);
    expect(does(one.clone() + &remove, &[STORED, "eu-west-1"]), "but us-east-1 wasn't read to its last page").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls() {
    let discover = |at, length| format!("(call $discover (i32.const {at}) (i32.const {length}) (i32.const {VIEWS}))");
    for foreign in ["ap-south-1", "us-east-1 ", "", "us-east-1.example.com/"] {
        let says = format!("asked for region '{foreign}', which isn't one of DRS_REGIONS");
        expect(does(discover(TEXT, 1), &[foreign]), &says).await;
    }
    let thrice = does(discover(TEXT, 3), &["us-east-1", "us-east-1", "us-east-1"]);
    expect(thrice, "asked for 3 regions, but DRS_REGIONS has 2").await;
    let for_ever = |call: &str| format!("(loop $next {call} (br $next))");
    let too_often = "called the host more than 1000 times for one account";
    let describe = format!("(call $describe (i32.const {ACCOUNT})) (global.set $free (i32.const {HEAP}))");
    expect(does(for_ever(&describe), &[]), too_often).await;
    let line = format!("(call $log (i32.const 2) (i32.const {ZEROS}) (i32.const 40))");
    expect(does(for_ever(&line), &[]), too_often).await;
    let huge = format!("{GROW} (call $log (i32.const 2) (i32.const {ZEROS}) (i32.const {}))", 11 << 20);
    expect(does(huge, &[]), "too much data is being copied between the host and the guest").await;
    let level = format!("(call $log (i32.const 9) (i32.const {ZEROS}) (i32.const 1))");
    expect(does(level, &[]), "unexpected discriminant").await;
}
