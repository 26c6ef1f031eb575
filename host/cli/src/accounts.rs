//! `--account`: the target accounts that a command works on.

use std::collections::BTreeSet;

use clap::Args;
use staging_sync_runtime::account::AccountId;

#[derive(Args)]
pub struct Accounts {
    /// Process only these target accounts, as a comma-separated list. You can repeat this option.
    #[arg(long = "account", value_name = "ID", value_parser = account_id, value_delimiter = ',')]
    accounts: Vec<AccountId>,
}

impl Accounts {
    /// The named accounts; `None` for all accounts.
    pub fn named(self) -> Option<BTreeSet<AccountId>> {
        (!self.accounts.is_empty()).then(|| BTreeSet::from_iter(self.accounts))
    }
}

/// Reads an account's id.
pub fn account_id(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text.trim()).ok_or_else(|| "expected an AWS account id of 12 digits".into())
}
