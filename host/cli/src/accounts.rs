//! `--account`: which target accounts a command is about.

use std::collections::BTreeSet;

use clap::Args;
use staging_sync_runtime::account::AccountId;

#[derive(Args)]
pub struct Accounts {
    /// Only these target accounts: a comma list, or the option more than once.
    #[arg(long = "account", value_name = "ID", value_parser = account_id, value_delimiter = ',')]
    accounts: Vec<AccountId>,
}

impl Accounts {
    /// The accounts that are named; none where all are meant.
    pub fn named(self) -> Option<BTreeSet<AccountId>> {
        (!self.accounts.is_empty()).then(|| BTreeSet::from_iter(self.accounts))
    }
}

fn account_id(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text.trim()).ok_or_else(|| "expected an AWS account id of 12 digits".into())
}
