//! The comparison of two policies on the same cases: their decisions for each account, and their AWS calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use staging_sync_runtime::bindings::types::AccountOutcome;
use staging_sync_runtime::case::{Case, Run};
use staging_sync_runtime::outcome::{OfAccount, status_name};
use staging_sync_runtime::tape::{Exchange, differing_leaves};
use staging_sync_runtime::text::counted;

/// Two policies over some cases.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// How many cases were decided by both.
    pub cases: usize,
    /// How many accounts there are in them.
    pub accounts: usize,
    /// The cases in which something differs.
    pub differing: Vec<Difference>,
}

/// A case in which something differs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The case's name.
    pub case: String,
    /// The accounts that are decided differently.
    pub accounts: Vec<Account>,
    /// What else differs: requests that only one of them makes, ticks that fail.
    pub notes: Vec<String>,
}

/// An account that is decided differently.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id.
    pub account_id: String,
    /// Its name, where it has one.
    pub account_name: Option<String>,
    /// What the one policy decides.
    pub old: String,
    /// What the other policy decides.
    pub new: String,
}

impl Account {
    /// What two decisions of an account are, if they differ in anything.
    pub(crate) fn differing(old: &AccountOutcome, new: Option<&AccountOutcome>) -> Option<Self> {
        let AccountOutcome { account_id, account_name, .. } = old.clone();
        let value = |account: &AccountOutcome| json!(OfAccount(account.clone()));
        let Some(new) = new else {
            return Some(Self { account_id, account_name, old: told(old), new: "nothing".into() });
        };
        let how = first_differences(&value(old), &value(new))?;
        let (old, mut new) = (told(old), told(new));
        if old == new {
            new += &format!(", says otherwise: {how}");
        }
        Some(Self { account_id, account_name, old, new })
    }

    /// An account of the same decision, for which other entries are written.
    pub(crate) fn writing(account: &AccountOutcome, how: &str) -> Self {
        let AccountOutcome { account_id, account_name, .. } = account.clone();
        let new = format!("{}, writes other entries: {how}", told(account));
        Self { account_id, account_name, old: told(account), new }
    }
}

impl Comparison {
    /// Adds a case, decided by both.
    pub fn add(&mut self, case: &Case, old: &Run, new: &Run) {
        self.cases += 1;
        let (olds, news) = (outcomes(old), outcomes(new));
        let ids: BTreeSet<&String> = olds.keys().chain(news.keys()).copied().collect();
        self.accounts += ids.len();
        let mut difference = Difference { case: case.name.clone(), accounts: Vec::new(), notes: Vec::new() };
        for (who, run) in [("OLD", old), ("NEW", new)] {
            if let Err(error) = &run.report {
                difference.notes.push(format!("{who} fails the tick: {}: {}", error.kind.error_type(), error.message));
            }
        }
        if old.result() == new.result() {
            difference.notes.clear(); // the same failure
        }
        let both = old.report.is_ok() && new.report.is_ok();
        let (old_writes, new_writes) = (Writes::of(old), Writes::of(new));
        for id in ids.into_iter().filter(|_| both) {
            let (one, other) = (olds.get(id), news.get(id));
            let mut account = Account {
                account_id: id.clone(),
                account_name: one.or(other).and_then(|account| account.account_name.clone()),
                old: one.map_or_else(|| "nothing".into(), |account| told(account)),
                new: other.map_or_else(|| "nothing".into(), |account| told(account)),
            };
            if account.old == account.new {
                let Some(how) = old_writes.differ(&new_writes, id) else { continue };
                account.new = format!("{}, writes other entries: {how}", account.new);
            }
            difference.accounts.push(account);
        }
        difference.notes.extend(only("OLD", old, new));
        difference.notes.extend(only("NEW", new, old));
        if difference.accounts.is_empty() && difference.notes.is_empty() && old.result() != new.result() {
            difference.notes.push("the summaries differ otherwise; see `staging-sync replay`".into());
        }
        if !(difference.accounts.is_empty() && difference.notes.is_empty()) {
            self.differing.push(difference);
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for difference in &self.differing {
            text.push_str(&format!("{}\n", difference.case));
            for account in &difference.accounts {
                let name = account.account_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
                text.push_str(&format!(
                    "  {}{name}\n    OLD {}\n    NEW {}\n",
                    account.account_id, account.old, account.new
                ));
            }
            for note in &difference.notes {
                text.push_str(&format!("  {note}\n"));
            }
        }
        text + &self.count() + "\n"
    }

    /// For a pull request.
    pub fn markdown(&self) -> String {
        let mut text = format!("**{}**\n", self.count());
        let rows: Vec<(&str, &Account)> =
            self.differing.iter().flat_map(|it| it.accounts.iter().map(|row| (it.case.as_str(), row))).collect();
        if !rows.is_empty() {
            text.push_str("\n| Case | Account | OLD | NEW |\n|---|---|---|---|\n");
        }
        for (case, account) in rows {
            let name = account.account_name.as_deref().unwrap_or_default();
            let cells = [case, &format!("{} {name}", account.account_id), &account.old, &account.new].map(cell);
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        let notes = self
            .differing
            .iter()
            .flat_map(|it| it.notes.iter().map(|note| format!("- {}: {}\n", cell(&it.case), cell(note))));
        let notes: String = notes.collect();
        if notes.is_empty() { text } else { format!("{text}\n{notes}") }
    }

    fn count(&self) -> String {
        let accounts: usize = self.differing.iter().map(|difference| difference.accounts.len()).sum();
        let differ = self.differing.len();
        format!(
            "{}, {}: {} decided differently, {} {}",
            counted(self.cases, "case"),
            counted(self.accounts, "account"),
            counted(accounts, "account"),
            counted(differ, "case"),
            if differ == 1 { "differs" } else { "differ" },
        )
    }
}

/// A text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.trim().replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

fn outcomes(run: &Run) -> BTreeMap<&String, &AccountOutcome> {
    let outcomes = run.report.iter().flat_map(|report| &report.outcomes);
    outcomes.map(|account| (&account.account_id, account)).collect()
}

/// A decision in one line, like `updated +777788889999 -444455556666`.
pub(super) fn told(account: &AccountOutcome) -> String {
    let outcome = &account.outcome;
    let ids = |sign: &'static str, ids: &[String]| ids.iter().map(|id| format!(" {sign}{id}")).collect::<String>();
    let mut text = status_name(outcome.status).to_owned();
    text += &ids("+", &outcome.added);
    text += &ids("-", &outcome.removed);
    text += &ids("held:", &outcome.held_removals);
    for why in [&outcome.reason, &outcome.error].into_iter().flatten() {
        text += &format!(": {why}");
    }
    text
}

/// The writes that a run asked for, by account.
pub(crate) struct Writes<'a>(BTreeMap<&'a str, Vec<&'a Value>>);

impl<'a> Writes<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        let asked = run.played.iter().filter_map(|played| Some((played.target.as_deref()?, &played.asked)));
        let writes = asked.map(|(target, asked)| {
            let asked = asked.iter().map(|asked| &asked.exchange).filter(|asked| asked.is_write());
            (target, asked.map(|asked| &asked.request).collect())
        });
        Self(writes.collect())
    }

    /// How another run's writes to an account differ, where the ids don't.
    pub(crate) fn differ(&self, other: &Self, id: &str) -> Option<String> {
        let (old, new) = (self.0.get(id), other.0.get(id));
        if old == new {
            return None;
        }
        first_differences(&json!(old.unwrap_or(&Vec::new())), &json!(new.unwrap_or(&Vec::new())))
    }
}

/// The first differences of two values, if there are any.
fn first_differences(old: &Value, new: &Value) -> Option<String> {
    let mut found = Vec::new();
    differing_leaves(old, new, &mut |path, old, new| found.push(format!(".{path}: {old} -> {new}")));
    found.truncate(3);
    (!found.is_empty()).then(|| found.join("; "))
}

/// The reads that only one of two policies makes.
fn only(who: &str, one: &Run, other: &Run) -> Vec<String> {
    let reads = |run: &Run| -> BTreeMap<(String, String), usize> {
        let mut reads = BTreeMap::new();
        for played in &run.played {
            let asked = played.asked.iter().map(|asked| &asked.exchange).filter(|asked| !asked.is_write());
            for title in asked.map(Exchange::title) {
                *reads.entry((played.name().to_owned(), title)).or_default() += 1;
            }
        }
        reads
    };
    let other = reads(other);
    let more = reads(one).into_iter().filter(|(read, times)| other.get(read).copied().unwrap_or_default() < *times);
    more.map(|((target, read), _)| format!("{target}: only {who} asks for {read}")).collect()
}
