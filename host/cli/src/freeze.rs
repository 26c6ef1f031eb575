//! `staging-sync freeze` and `unfreeze`: accounts that no tick changes, until a time.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::journal::freezes::{ALL, Freeze, Time};
use staging_sync_runtime::store::location::is_s3;
use staging_sync_runtime::text;

use crate::accounts::account_id;
use crate::{CommandError, Exit, journal, table};

/// The longest freeze: one that is forgotten shouldn't last for ever.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    accounts: Accounts,
    /// How long, like 4h, 2d or 1d12h, or the time at which it ends, like 2026-02-02T22:45:00Z; 90 days at most.
    #[arg(long, value_name = "TIME", required_unless_present = "list")]
    until: Option<String>,
    /// Why, for those who find the accounts frozen.
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    comment: Option<String>,
    /// Shows what is frozen, and changes nothing.
    #[arg(long, conflicts_with_all = ["accounts", "all", "until", "comment"])]
    list: bool,
    #[command(flatten)]
    place: journal::Place,
    /// Prints the list as JSON. The default where stdout isn't a terminal.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Unfreeze {
    #[command(flatten)]
    accounts: Accounts,
    #[command(flatten)]
    place: journal::Place,
}

/// Which accounts: some by their ids, or all.
#[derive(Args)]
struct Accounts {
    /// These target accounts: a comma list, or the option more than once.
    #[arg(long = "account", value_name = "ID", value_parser = account_id, value_delimiter = ',')]
    accounts: Vec<AccountId>,
    /// All target accounts, by one freeze.
    #[arg(long, conflicts_with = "accounts")]
    all: bool,
}

impl Accounts {
    fn names(&self) -> Result<Vec<String>, CommandError> {
        match (self.all, self.accounts.as_slice()) {
            (true, _) => Ok(vec![ALL.to_owned()]),
            (false, []) => Err(CommandError("no account is named: use --account ID, or --all".into())),
            (false, accounts) => Ok(accounts.iter().map(ToString::to_string).collect()),
        }
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let journal = arguments.place.open().await?;
    let now = SystemTime::now();
    if arguments.list {
        return list(&journal, now, arguments.json || !std::io::stdout().is_terminal()).await;
    }
    let until =
        until(&arguments.until.unwrap_or_default(), now).map_err(|error| CommandError(format!("--until {error}")))?;
    let comment = arguments.comment.unwrap_or_default();
    if comment.trim().is_empty() {
        return Err(CommandError("--comment is empty: say why, for those who find the accounts frozen".into()));
    }
    let author = author(&arguments.place).await?;
    let names = arguments.accounts.names()?;
    let freezes: Vec<Freeze> = names
        .iter()
        .map(|account| Freeze {
            account: account.clone(),
            until: Some(until),
            author: author.clone(),
            comment: comment.clone(),
            veto: None,
        })
        .collect();
    let change = |all: &mut Vec<Freeze>| {
        all.retain(|freeze| freeze.veto.is_some() || !names.contains(&freeze.account));
        all.extend(freezes.iter().cloned());
    };
    journal.change_freezes(now, change).await?;
    say!("frozen until {until}: {}; `staging-sync unfreeze` ends it before", named(&names));
    Ok(Exit::Success)
}

pub async fn unfreeze(arguments: Unfreeze) -> Result<Exit, CommandError> {
    let journal = arguments.place.open().await?;
    let names = arguments.accounts.names()?;
    let now = SystemTime::now();
    let before = journal.read_freezes().await?;
    let found: Vec<&Freeze> = before.at(now).filter(|freeze| names.contains(&freeze.account)).collect();
    if found.is_empty() {
        say!("{} has no freeze and no veto: nothing to do", named(&names));
        return Ok(Exit::Success);
    }
    for freeze in &found {
        say!("{}: {}, by {}", freeze.account, text::printable(&freeze.reason()), text::printable(&freeze.author));
    }
    journal.change_freezes(now, |all| all.retain(|freeze| !names.contains(&freeze.account))).await?;
    say!("ended; the next tick decides {} again", named(&names));
    Ok(Exit::Success)
}

async fn list(journal: &Arc<Journal>, now: SystemTime, as_json: bool) -> Result<Exit, CommandError> {
    let freezes = journal.read_freezes().await?;
    let freezes: Vec<&Freeze> = freezes.at(now).collect();
    if as_json {
        println!("{}", table::json(&json!(freezes)));
        return Ok(Exit::Success);
    }
    let mut table = table::table(&["ACCOUNT", "UNTIL", "WHAT", "AUTHOR", "COMMENT"]);
    for freeze in freezes {
        let what = freeze.veto.as_ref().map_or("frozen".to_owned(), |veto| {
            let signed = |sign: char, ids: &std::collections::BTreeSet<AccountId>| {
                ids.iter().map(|id| format!("not {sign}{id}")).collect::<Vec<_>>()
            };
            [signed('+', &veto.add), signed('-', &veto.remove)].concat().join(", ")
        });
        table.add_row([
            freeze.account.clone(),
            freeze.until.map_or("unfreeze".to_owned(), |until| until.to_string()),
            what,
            text::printable(&freeze.author),
            text::printable(&freeze.comment),
        ]);
    }
    println!("{table}");
    Ok(Exit::Success)
}

/// Who freezes: the caller of AWS; with a journal in a folder the user of this machine, where there are no credentials.
async fn author(place: &journal::Place) -> Result<String, CommandError> {
    match SdkApi::from_env(1).await {
        Ok(api) => Ok(journal::author(&api).await),
        Err(error) if is_s3(place.text()?) => Err(error.into()),
        Err(_) => Ok(journal::user()),
    }
}

fn named(names: &[String]) -> String {
    if names == [ALL] { "all accounts".into() } else { names.join(", ") }
}

/// When a freeze ends: after a duration, or at a time.
fn until(text: &str, now: SystemTime) -> Result<Time, String> {
    let at = match journal::duration(text) {
        Some(duration) => now + duration,
        None => journal::time(text).ok_or_else(|| {
            format!("{text:?}: expected a duration like 4h or 2d, or a time like 2026-02-02T22:45:00Z")
        })?,
    };
    match at.duration_since(now) {
        Ok(left) if left.is_zero() => Err("is now: nothing would be frozen".into()),
        Err(_) => Err(format!("{text:?}: is in the past")),
        Ok(left) if left > LONGEST => Err(format!("{text:?}: expected 90 days at most; freeze again later")),
        Ok(_) => Ok(Time::of(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_ends_after_a_duration_or_at_a_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300);
        let text = |text: &str| until(text, now).map(|until| until.to_string());
        assert_eq!(text("4h").as_deref(), Ok("2026-02-03T02:45:00Z"));
        assert_eq!(text("1d12h30m").as_deref(), Ok("2026-02-04T11:15:00Z"));
        assert_eq!(text("2026-02-02T23:00:00Z").as_deref(), Ok("2026-02-02T23:00:00Z"));
        for wrong in
            ["", "4", "h4", "4h4h", "soon", "2026-02-02T22:45:00Z", "2025-01-01T00:00:00Z", "91d", "99999999999999d"]
        {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }
}
