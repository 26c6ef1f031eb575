//! The file of a plan: JSON that people can read and compare. It's refused if it isn't what a dry run wrote.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Plan, Planned};
use crate::Event;
use crate::change::{self, ADDED_BY, MAX_CHANGES};

/// The version of the format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The member with the digest of all others.
const DIGEST: &str = "sha256";

/// What is wrong with a plan: where, and what was expected there.
type Problem = (String, String);

impl Plan {
    /// The file's text. It ends in a digest of the rest.
    pub fn text(&self) -> String {
        let mut plan = serde_json::to_value(self).unwrap_or_default();
        plan[DIGEST] = change::digest(Some(&plan)).into();
        format!("{plan:#}\n")
    }

    /// Reads a file's text. An error names the JSON path, and what was expected there.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut plan: Value =
            serde_json::from_str(crate::text::unmarked(text)).map_err(|error| format!("isn't JSON: {error}"))?;
        Self::of(&mut plan).map_err(|(path, expected)| format!("at {path}: {expected}"))
    }

    fn of(file: &mut Value) -> Result<Self, Problem> {
        let Some(members) = file.as_object_mut() else {
            return Err(problem("$", "expected a plan, an object as `tick --dry-run --out` writes it"));
        };
        match members.get("format") {
            Some(format) if format.as_u64() == Some(FORMAT.into()) => {}
            Some(format) if format.is_u64() => {
                let other = format!(
                    "the plan has format {format}, but this program reads format {FORMAT}: make a new plan, or apply this one with the \
             version that made it"
                );
                return Err(problem("$.format", other));
            }
            _ => return Err(problem("$.format", format!("expected {FORMAT}, the version of a plan's format"))),
        }
        // In this order, so that what is wrong is named rather than that something is.
        let said = members.shift_remove(DIGEST);
        let plan: Self = serde_path_to_error::deserialize(&*file).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { "$".to_owned() } else { format!("$.{path}") };
            (path, error.into_inner().to_string())
        })?;
        plan.check()?;
        if said != Some(change::digest(Some(file)).into()) {
            let altered = "expected the digest of the rest: the plan was edited or truncated; make a new plan, and use --account to apply a \
             part of it";
            return Err(problem("$.sha256", altered));
        }
        Ok(plan)
    }

    fn check(&self) -> Result<(), Problem> {
        Event::parse(&self.event).map_err(|error| (String::from("$.event"), error.message))?;
        let mut ids = BTreeSet::new();
        for (index, account) in self.accounts.iter().enumerate() {
            let path = format!("$.accounts[{index}]");
            if !ids.insert(&account.account_id) {
                return Err(problem(format!("{path}.accountId"), "an account that has a change already"));
            }
            account.check().map_err(|(at, what)| (format!("{path}{at}"), what))?;
        }
        Ok(())
    }
}

impl Planned {
    /// Refuses a change that the host lets no policy make, or that doesn't go with its own condition.
    fn check(&self) -> Result<(), Problem> {
        let stored: BTreeSet<_> = self.condition.staging_accounts.iter().collect();
        let mut ids = BTreeSet::new();
        if self.added.is_empty() && self.removed.is_empty() {
            return Err(problem("", "expected something to add or to remove"));
        }
        if self.added.len().max(self.removed.len()) > MAX_CHANGES {
            return Err(problem("", format!("asks for a change of more than {MAX_CHANGES} entries")));
        }
        for (index, entry) in self.added.iter().enumerate() {
            let at = format!(".added[{index}]");
            let id = &entry.account_id;
            entry.entry().check(&self.account_id).map_err(|what| (at.clone(), format!("asks {what}")))?;
            if entry.added_by != ADDED_BY {
                return Err(problem(format!("{at}.addedBy"), format!("expected {ADDED_BY:?}, which all entries have")));
            }
            if stored.contains(id) || !ids.insert(id) {
                return Err(problem(format!("{at}.accountId"), format!("{id} is in the list already")));
            }
        }
        for (index, entry) in self.removed.iter().enumerate() {
            let id = &entry.account_id;
            if !stored.contains(id) || !ids.insert(id) {
                let at = format!(".removed[{index}].accountId");
                return Err(problem(at, format!("{id} isn't in the list, which $.condition tells of")));
            }
        }
        Ok(())
    }
}

fn problem(path: impl Into<String>, what: impl Into<String>) -> Problem {
    (path.into(), what.into())
}

#[cfg(test)]
mod tests;
