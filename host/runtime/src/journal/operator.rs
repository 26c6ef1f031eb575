//! Changes that an operator makes: they leave records like those of a tick.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use super::recorder::{Begun, By, TickRecorder};
use super::{AccountRecord, Journal, LastChange, names};
use crate::store::StoreError;

/// An operator's command that changes the table.
pub struct Operator {
    /// The command: `apply` or `undo`.
    pub operation: &'static str,
    /// When it began.
    pub now: SystemTime,
    /// Who it is.
    pub author: String,
    /// Why.
    pub comment: Option<String>,
}

impl Journal {
    /// Begins the record of an operator's change.
    pub async fn begin_operator(self: &Arc<Self>, operator: Operator) -> TickRecorder {
        let Operator { operation, now, author, comment } = operator;
        let begun = Begun {
            now,
            request: None,
            event: json!({}),
            operation: operation.to_owned(),
            dry_run: false,
            segment: None,
            whole_table: false,
            by: By::Operator { author, comment },
        };
        self.begin(begun).await
    }

    /// Tells in `latest.json` what an operator changed in the accounts that it knows.
    async fn tell_latest(&self, recorder: &TickRecorder, accounts: &[AccountRecord]) -> Result<(), StoreError> {
        let Some((Some(mut latest), _)) = self.read_latest().await? else { return Ok(()) };
        for changed in accounts.iter().filter(|account| account.status == "updated") {
            let Some(account) = latest.accounts.get_mut(&changed.account_id) else { continue };
            account.last_change = Some(LastChange { tick: recorder.id().to_owned(), at: recorder.at.clone() });
            if let Some(noted) = recorder.accounts().get(&changed.account_id) {
                account.staging_accounts = Some(noted.stored.clone());
            }
        }
        self.replace_latest(latest, true, true).await
    }
}

impl TickRecorder {
    /// Records the accounts that an operator's change changed, or failed on; `change` of an account is filled in. What was
    /// refused leaves no record. Returns how many records are missing.
    pub async fn finish_operator(&self, mut accounts: Vec<AccountRecord>) -> usize {
        accounts.retain(|account| matches!(account.status.as_str(), "updated" | "failed"));
        if accounts.is_empty() {
            return self.failed();
        }
        for account in accounts.iter_mut().filter(|account| account.status == "updated") {
            account.change = self.accounts().get(&account.account_id).and_then(|noted| noted.change.clone());
        }
        let mut record = self.blank_record().await;
        if let By::Operator { author, comment } = &self.begun.by {
            (record.author, record.comment) = (Some(author.clone()), comment.clone());
        }
        record.accounts = accounts;
        let kept = self.keep_record(&record).await;
        self.journal.remember(kept).await;
        if let Err(error) = self.journal.tell_latest(self, &record.accounts).await {
            self.missed(names::LATEST, error);
        }
        self.failed()
    }
}
