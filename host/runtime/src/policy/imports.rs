//! The functions that a policy imports, bound to the one account that its instance was made for.
//!
//! What they do to the account, and what a policy can't break, is in `capability`.

use serde_json::Value;

use super::meter::busy;
use super::{ComponentType, StoreData, contract};
use crate::aws::discovery::{Listing, RegionAnswer};
use crate::aws::{Access, AwsError};
use crate::bindings::types::{
    Account, AwsError as WitAwsError, Change, Receipt, RegionSourceServers, RegionView, SourceServer, StagingAccount,
};
use crate::bindings::{account, logging, types};
use crate::capability::{Scope, clip, refuse};

/// How often one instance may call the host, log lines included: an honest policy needs a handful.
const MAX_CALLS: u32 = 1_000;
/// How many lines an instance may log, and how long each may be, in bytes.
const MAX_LOG_LINES: u32 = 100;
const MAX_LOG_LINE: usize = 2_048;
/// How much of the last error is in the message of a trap, in bytes.
const MAX_LAST_ERROR: usize = 512;

/// The access to AWS that the functions need which a policy imports. `describe` costs no call.
pub fn access(shape: &ComponentType) -> Access {
    let imports = |function: &str| contract::functions(shape, "account").any(|name| name == function);
    let discovers = [("discover", Listing::StagingAccounts), ("discover-source-servers", Listing::SourceServers)];
    Access {
        listings: discovers.into_iter().filter(|(function, _)| imports(function)).map(|(_, listing)| listing).collect(),
        updates: imports("update"),
    }
}

fn wit_error(error: AwsError) -> WitAwsError {
    WitAwsError { code: error.code, message: error.message, retryable: error.retryable }
}

impl StoreData {
    /// Counts a call of the host; one too many ends the instance.
    fn called(&mut self) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(refuse(format!("called the host more than {MAX_CALLS} times for one account")));
        }
        Ok(())
    }

    /// What a listing says, with the time that it took the host kept apart from the policy's.
    async fn discovered(
        &mut self,
        listing: Listing,
        regions: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<RegionAnswer>, AwsError>> {
        let (answers, took) = busy(self.scope()?.discover(listing, regions)).await;
        self.host_time += took;
        answers
    }

    /// The account at hand; in the exports that have none, a call ends the instance.
    fn scope(&mut self) -> wasmtime::Result<&mut Scope> {
        self.called()?;
        self.scope.as_mut().ok_or_else(|| refuse("called a function of `account` outside `sync`"))
    }
}

impl types::Host for StoreData {}

impl account::Host for StoreData {
    async fn describe(&mut self) -> wasmtime::Result<Account> {
        let target = &self.scope()?.target;
        let entry = |entry: &crate::target::StagingAccount| StagingAccount {
            id: entry.id.to_string(),
            name: entry.text("accountName"),
            added_by: entry.text("addedBy"),
            added_at: entry.text("addedAt"),
        };
        Ok(Account {
            id: target.id.to_string(),
            name: target.name.clone(),
            is_current: target.is_current,
            role_arn: target.role_arn.clone(),
            staging_accounts: target.staging_accounts.iter().map(entry).collect(),
        })
    }

    async fn discover(&mut self, regions: Vec<String>) -> wasmtime::Result<Result<Vec<RegionView>, WitAwsError>> {
        let answers = self.discovered(Listing::StagingAccounts, regions).await?;
        let view = |answer: RegionAnswer| RegionView {
            staging_account_ids: answer.staging_account_ids().into_iter().collect(),
            region: answer.region,
            error: answer.error.map(wit_error),
        };
        Ok(answers.map(|answers| answers.into_iter().map(view).collect()).map_err(wit_error))
    }

    async fn discover_source_servers(
        &mut self,
        regions: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<RegionSourceServers>, WitAwsError>> {
        let answers = self.discovered(Listing::SourceServers, regions).await?;
        let view = |answer: RegionAnswer| {
            let mut source_servers: Vec<SourceServer> = answer.entries.iter().map(source_server).collect();
            source_servers.sort_by(|one, other| one.id.cmp(&other.id));
            RegionSourceServers { region: answer.region, source_servers, error: answer.error.map(wit_error) }
        };
        Ok(answers.map(|answers| answers.into_iter().map(view).collect()).map_err(wit_error))
    }

    async fn update(&mut self, change: Change) -> wasmtime::Result<Receipt> {
        let (memory, budget) = self.memory();
        self.scope()?.update(change, memory, budget.is_wanted()).await
    }
}

/// A source server of `DescribeSourceServers`.
fn source_server(entry: &Value) -> SourceServer {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    SourceServer {
        id: text("/sourceServerID").unwrap_or_default(),
        arn: text("/arn").unwrap_or_default(),
        hostname: text("/sourceProperties/identificationHints/hostname"),
        staging_account_id: text("/stagingArea/stagingAccountID"),
        extension_status: text("/stagingArea/status"),
    }
}

impl logging::Host for StoreData {
    async fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        self.called()?;
        self.log_lines += 1;
        if self.log_lines > MAX_LOG_LINES {
            return Ok(());
        }
        let account = self.scope.as_ref().map(|scope| scope.target.id.as_str()).unwrap_or_default();
        let message = clip(&message, MAX_LOG_LINE);
        if level == logging::Level::Error {
            self.last_error = Some(clip(message, MAX_LAST_ERROR).to_owned());
        }
        let cut = self.log_lines == MAX_LOG_LINES;
        match level {
            logging::Level::Debug => tracing::debug!(accountId = account, policy = message, "policy says"),
            logging::Level::Info => tracing::info!(accountId = account, policy = message, "policy says"),
            logging::Level::Warn => tracing::warn!(accountId = account, policy = message, "policy says"),
            logging::Level::Error => tracing::error!(accountId = account, policy = message, "policy says"),
        }
        if cut {
            tracing::warn!(accountId = account, "further log lines of this policy are dropped");
        }
        Ok(())
    }
}
