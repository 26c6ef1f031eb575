//! Small accounts, views and errors for the unit tests; an account's id is written as a number.

use crate::diff::ADDED_BY;
use crate::types::{Account, AwsError, Receipt, RegionView, StagingAccount, Tick};

/// The number of the target account.
pub const TARGET: u8 = 0;

/// A tick over `eu-west-1` and `us-east-1` with these settings.
pub fn tick(settings: &str) -> Tick {
    Tick {
        operation: "sync_staging_accounts".into(),
        now: "2026-02-02T22:45:00Z".into(),
        dry_run: false,
        regions: vec!["eu-west-1".into(), "us-east-1".into()],
        settings: settings.into(),
    }
}

/// The account id for a number.
pub fn id(number: u8) -> String {
    format!("{number:012}")
}

/// The target account, with a role and this list.
pub fn account(staging_accounts: &[StagingAccount]) -> Account {
    Account {
        id: id(TARGET),
        name: Some("DEMO_TARGET".into()),
        is_current: false,
        role_arn: Some(format!("arn:aws-us-gov:iam::{}:role/Sync", id(TARGET))),
        staging_accounts: staging_accounts.to_vec(),
    }
}

/// The target account with these entries; those marked true were added by the sync.
pub fn listing(entries: &[(u8, bool)]) -> Account {
    let entries = entries.iter().map(|(number, own)| entry(*number, own.then_some(ADDED_BY)));
    account(&entries.collect::<Vec<_>>())
}

/// An entry of the stored list.
pub fn entry(number: u8, added_by: Option<&str>) -> StagingAccount {
    StagingAccount { id: id(number), name: None, added_by: added_by.map(Into::into), added_at: None }
}

/// A region that was read to its last page.
pub fn view(region: &str, numbers: &[u8]) -> RegionView {
    RegionView { region: region.into(), staging_account_ids: numbers.iter().copied().map(id).collect(), error: None }
}

/// A region that wasn't.
pub fn broken(region: &str, numbers: &[u8], code: &str, message: &str) -> RegionView {
    RegionView { error: Some(error(code, message)), ..view(region, numbers) }
}

/// An AWS error.
pub fn error(code: &str, message: &str) -> AwsError {
    AwsError { code: code.into(), message: message.into(), retryable: false }
}

/// The host's answer to a change of a list with `before` entries.
pub fn receipt(before: usize, added: Vec<String>, removed: Vec<String>, held: Vec<String>) -> Receipt {
    Receipt {
        total: (before + added.len() - removed.len()) as u32,
        held_reason: (!held.is_empty()).then(|| "seen once only".into()),
        added,
        removed,
        held,
    }
}
