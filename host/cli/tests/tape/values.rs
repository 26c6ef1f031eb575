//! `policy verify` with other names than the usual ones: those of the component, and those of cases.

use std::fs;
use std::path::Path;

use crate::commands::{staging_sync, stderr, stdout};
use crate::guest::{ACCOUNT, Guest, OUTCOME, RECEIPT, TEXT, VIEWS};
use crate::recording::directory;

/// A guest for another operation that does this, and then skips every account.
pub fn skips_after(sync: &str, texts: &[&str]) -> Guest {
    let texts = ["not now"].iter().chain(texts).map(|text| (*text).to_owned()).collect();
    let sync = format!(
        "{sync}
         (i32.store8 (i32.const {OUTCOME}) (i32.const 2))
         (i32.store8 (i32.const {}) (i32.const 1))
         (i64.store align=4 (i32.const {}) (i64.load align=4 (i32.const {TEXT})))
         (return (i32.const {OUTCOME}))",
        OUTCOME + 4,
        OUTCOME + 8,
    );
    // Whether a text begins with another: two addresses of an address and a length.
    let items = "(func $begins (param $text i32) (param $with i32) (result i32) (local $at i32)
        (if (i32.lt_u (i32.load offset=4 (local.get $text)) (i32.load offset=4 (local.get $with)))
          (then (return (i32.const 0))))
        (loop $next
          (if (i32.eq (local.get $at) (i32.load offset=4 (local.get $with))) (then (return (i32.const 1))))
          (if (i32.ne (i32.load8_u (i32.add (local.get $at) (i32.load (local.get $text))))
                      (i32.load8_u (i32.add (local.get $at) (i32.load (local.get $with)))))
            (then (return (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))
        (unreachable))
      (global $left (mut i32) (i32.const 0))
      (global $entry (mut i32) (i32.const 0))";
    let operation = Some("another_operation");
    Guest { sync, texts, items: items.into(), everywhere: true, operation, ..Guest::default() }
}

/// Traps for the account of one name, and skips the others.
fn traps_for(name: &str) -> Guest {
    let (own, other) = (ACCOUNT + 12, TEXT + 8);
    skips_after(&format!("(if (call $begins (i32.const {own}) (i32.const {other})) (then (unreachable)))"), &[name])
}

/// Removes an entry whose name begins so, if a region couldn't be read.
fn removes_named(name: &str) -> Guest {
    let sync = format!(
        "(call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))
         (if (i32.eqz (i32.load8_u (i32.const {VIEWS}))) (then
           (if (i32.or (i32.load8_u offset=16 (i32.load (i32.const {views})))
                       (i32.load8_u offset=56 (i32.load (i32.const {views})))) (then
             (global.set $entry (i32.load (i32.const {stored})))
             (global.set $left (i32.load (i32.const {count})))
             (block $end (loop $next
               (br_if $end (i32.eqz (global.get $left)))
               (if (call $begins (i32.add (global.get $entry) (i32.const 12)) (i32.const {other})) (then
                 (call $update (i32.const 0) (i32.const 0) (global.get $entry) (i32.const 1) (i32.const {RECEIPT}))
                 (i64.store align=4 (i32.const {removed}) (i64.load align=4 (i32.const {taken})))
                 (return (i32.const {OUTCOME}))))
               (global.set $entry (i32.add (global.get $entry) (i32.const 44)))
               (global.set $left (i32.sub (global.get $left) (i32.const 1)))
               (br $next)))))))",
        views = VIEWS + 4,
        stored = ACCOUNT + 36,
        count = ACCOUNT + 40,
        other = TEXT + 8,
        removed = OUTCOME + 36,
        taken = RECEIPT + 8,
    );
    skips_after(&sync, &[name])
}

/// Traps for a name that isn't written in it: only the first eight bytes, in disguise.
fn traps_in_disguise(name: &str) -> Guest {
    const MASK: u64 = 0x9f8e_9d8c_9b8a_9988;
    let first = u64::from_le_bytes(name.as_bytes()[..8].try_into().expect("eight bytes"));
    let sync = format!(
        "(if (i32.gt_u (i32.load (i32.const {})) (i32.const 7)) (then
           (if (i64.eq (i64.xor (i64.load align=1 (i32.load (i32.const {}))) (i64.const {})) (i64.const {}))
             (then (unreachable)))))",
        ACCOUNT + 16,
        ACCOUNT + 12,
        MASK as i64,
        (first ^ MASK) as i64,
    );
    skips_after(&sync, &[])
}

/// A policy in a folder of its own.
pub fn project(guest: &Guest, name: &str) -> String {
    let folder = directory(name);
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("policy.wasm");
    fs::write(&path, guest.component()).expect("a file");
    path.display().to_string()
}

/// What `policy verify` says, and its exit code.
fn verify(policy: &str, more: &[&str]) -> (i32, String) {
    let out = directory("broken-with-values").display().to_string();
    let ran = staging_sync(&[&["policy", "verify", policy, "--staging-accounts", "1", "--out", &out], more].concat());
    assert!(!stderr(&ran).contains("rror"), "{}", stderr(&ran));
    (ran.status.code().expect("a code"), stdout(&ran))
}

#[test]
fn a_policy_that_skips_everything_keeps_the_invariants_and_what_is_varied_is_said() {
    let policy = project(&skips_after("", &["Harmless"]), "skips");
    let (code, text) = verify(&policy, &[]);
    assert_eq!((code, text.matches("holds ").count()), (0, 7), "{text}");
    assert!(text.contains("n/a      the summary counts every account once"), "{text}");
    let varied = text.lines().find(|line| line.starts_with("varied: ")).expect("a line");
    for says in [
        "names and authors of entries (9 usual, 0 of cases, ",
        "account ids (4 usual",
        "the current account; not varied: ",
    ] {
        assert!(varied.contains(says), "{varied}");
    }
    assert!(!varied.contains(" 0 constants of the policy), 4"), "its own texts are constants: {varied}");
    assert!(varied.contains("settings (neither cases nor schema list any others)"), "{varied}");
}

#[test]
fn a_trap_for_one_name_is_found_by_the_policys_constants() {
    let (code, text) = verify(&project(&traps_for("Payroll DR"), "traps-for-a-name"), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("BROKEN   the policy decides every account"), "{text}");
    assert!(text.contains("account    named \"Payroll DR\"\n         stored     nothing\n"), "the least of it: {text}");
    assert!(text.contains("policy: trapped"), "{text}");
}

#[test]
fn a_removal_by_name_on_a_partial_view_is_found_by_the_policys_constants() {
    let (code, text) = verify(&project(&removes_named("KEEP"), "removes-by-name"), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("BROKEN   the policy decides every account"), "{text}");
    assert!(text.contains("(named \"KEEP\", added by an operator)\n"), "{text}");
    assert!(text.contains("asked for a removal, but us-east-1 wasn't read to its last page"), "{text}");
}

#[test]
fn a_name_that_isnt_in_the_policy_is_found_by_its_cases() {
    let policy = project(&traps_in_disguise("Zanzibar 7"), "traps-in-disguise");
    let (code, text) = verify(&policy, &[]);
    assert_eq!(code, 0, "nothing tells of the name: {text}");

    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/unchanged/tape.json");
    let tape = fs::read_to_string(tape).expect("a tape").replace("Production", "Zanzibar 7");
    let folder = directory("cases-of-zanzibar");
    fs::create_dir_all(folder.join("one")).expect("a folder");
    fs::write(folder.join("one/tape.json"), &tape).expect("a file");
    let (code, text) = verify(&policy, &["--cases", &folder.display().to_string()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("account    named \"Zanzibar 7\""), "{text}");

    // As in a project: the folder beside the policy.
    let beside = Path::new(&policy).parent().expect("a folder").join("cases/one");
    fs::create_dir_all(&beside).expect("a folder");
    fs::write(beside.join("tape.json"), &tape).expect("a file");
    assert_eq!(verify(&policy, &[]).0, 1);

    // One that can't be read is an error where it was asked for, and else a word on stderr.
    fs::write(beside.join("tape.json"), "{}").expect("a file");
    let cases = beside.parent().expect("a folder").display().to_string();
    let asked = staging_sync(&["policy", "verify", &policy, "--staging-accounts", "1", "--cases", &cases]);
    assert_eq!((asked.status.code(), stdout(&asked)), (Some(2), String::new()));
    let usual = staging_sync(&["policy", "verify", &policy, "--staging-accounts", "1"]);
    assert_eq!(usual.status.code(), Some(0), "{}", stderr(&usual));
    assert!(stderr(&usual).contains("the values of these cases aren't tried"), "{}", stderr(&usual));
}

#[test]
fn the_default_policy_holds_with_the_values_and_settings_of_its_cases() {
    let (code, text) = verify("target/policy.wasm", &["--cases", "plugin/cases"]);
    assert_eq!((code, text.matches("holds ").count()), (0, 8), "{text}");
    assert!(!text.contains("(9 usual, 0 of cases"), "{text}");
    assert!(text.contains(" other settings (of cases and of the schema); not varied: "), "{text}");
    let answered = text.lines().find(|line| line.contains("in which AWS answers: ")).expect("a line");
    assert!(answered.ends_with(" 0 failed"), "an account fails where AWS does, and nowhere else: {text}");
    let troubled = text.lines().find(|line| line.contains("in which AWS fails")).expect("a line");
    assert!(!troubled.ends_with(" 0 failed"), "{text}");
}

#[test]
fn without_a_terminal_there_are_lines_of_progress_unless_quiet_is_asked_for() {
    let policy = project(&skips_after("", &[]), "progress");
    let verify = ["policy", "verify", &policy, "--staging-accounts", "1"];
    let ran = staging_sync(&verify);
    let text = stderr(&ran);
    assert!((2..=10).contains(&text.matches(" worlds checked\n").count()), "{text}");
    let (judged, all) = text.lines().last().and_then(|line| line.split_once(" of ")).expect("a line");
    assert!(all.starts_with(judged), "{text}");
    let quiet = staging_sync(&[&verify[..], &["-q"]].concat());
    assert_eq!((quiet.status.code(), stderr(&quiet)), (Some(0), String::new()));
}
