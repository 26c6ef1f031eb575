//! Checks of the access to AWS: credentials, clock, table.

use std::sync::Arc;

use staging_sync_runtime::aws::diagnosis::{Caller, KeyAttribute};
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Aws, AwsError};

use super::check::Check;
use super::permissions::Permissions;

/// So many calls at once are more than the checks make.
const AT_ONCE: usize = 4;

/// How many seconds a clock may be off before AWS refuses signatures, and from which on it's worth a word.
const REFUSED: u64 = 300;
const WORTH_A_WORD: u64 = 60;

/// AWS, and the caller's identity.
pub struct Known {
    pub live: Arc<SdkApi>,
    pub caller: Caller,
}

/// The credentials, and the clock that their signatures depend on.
pub async fn credentials() -> ([Check; 2], Option<Known>) {
    const NAME: &str = "credentials";
    let live = match SdkApi::from_env(AT_ONCE).await {
        Ok(live) => live,
        Err(error) => {
            let next =
                "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of the account that has the table";
            return ([Check::failed(NAME, error.message, next), Check::behind("clock", NAME)], None);
        }
    };
    let identity = live.identity().await;
    let clock = clock(identity.clock_ahead);
    match identity.caller {
        Ok(caller) => {
            let check = Check::ok(NAME, format!("{} in account {}", caller.arn, caller.account));
            ([check, clock], Some(Known { live: Arc::new(live), caller }))
        }
        Err(error) => ([Check::failed(NAME, format!("AWS: {error}"), mend(&error)), clock], None),
    }
}

/// The remedy if STS doesn't identify the caller.
fn mend(error: &AwsError) -> &'static str {
    match error.code.as_str() {
        "ExpiredToken" | "ExpiredTokenException" => "sign in again: these credentials have expired",
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "use other credentials: AWS doesn't know these (they were deleted, or belong to another partition)"
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "RequestExpired" => {
            "see the check of the clock; if the clock is right, the secret key doesn't belong to the access key"
        }
        AwsError::NETWORK | AwsError::TIMEOUT | AwsError::NOT_SENT => {
            "check AWS_ENDPOINT_URL, the proxy (HTTPS_PROXY, NO_PROXY) and the network's access to AWS"
        }
        _ => "run `aws sts get-caller-identity` in the same environment",
    }
}

/// A clock that is so many seconds ahead of AWS's.
fn clock(ahead: Option<i64>) -> Check {
    const NAME: &str = "clock";
    const NEXT: &str = "set this machine's clock, for example with NTP: AWS refuses signatures that are 5 minutes off";
    let Some(ahead) = ahead else { return Check::behind(NAME, "credentials") };
    let off = ahead.unsigned_abs();
    let found = format!("{off} seconds {} of AWS", if ahead < 0 { "behind" } else { "ahead" });
    match off {
        REFUSED.. => Check::failed(NAME, found, NEXT),
        WORTH_A_WORD.. => Check::warning(NAME, found, NEXT),
        _ => Check::ok(NAME, "less than a minute off"),
    }
}

/// The table of target accounts: whether it's there, and can be read; whether its items can be those of target accounts.
pub async fn table(live: &SdkApi, host: &Aws, table: &str, permissions: &mut Permissions) -> (Check, bool) {
    const NAME: &str = "table";
    let key = live.table_key(table).await;
    let read = host.scan_page(None, None).await;
    permissions.tried("dynamodb:Scan", read.as_ref().err());
    let items = match read {
        Ok((items, next)) => format!("{}{} items", items.len(), if next.is_some() { " and more" } else { "" }),
        Err(error) => return (Check::failed(NAME, format!("AWS: {error}"), mend_table(&error)), false),
    };
    let right = KeyAttribute { name: "accountId".into(), kind: "S".into() };
    match key {
        Ok(key) if key == [right] => (Check::ok(NAME, format!("{table}, key accountId (S), {items}")), true),
        Ok(key) => {
            let key: Vec<String> = key.iter().map(|one| format!("{} ({})", one.name, one.kind)).collect();
            let found = format!("{table} has the key {}; expected only accountId (S)", key.join(", "));
            let next = "set TARGET_ACCOUNTS_TABLE to the platform's table of target accounts; the key of a table can't be changed";
            (Check::failed(NAME, found, next), false)
        }
        Err(error) => {
            let found = format!(
                "{table}, {items}; its key couldn't be read (DescribeTable: {}), which ticks don't need",
                error.code
            );
            (Check::ok(NAME, found), true)
        }
    }
}

fn mend_table(error: &AwsError) -> &'static str {
    match error.code.as_str() {
        "ResourceNotFoundException" => {
            "set TARGET_ACCOUNTS_TABLE and AWS_REGION to the table's name and region; `aws dynamodb list-tables` lists tables"
        }
        code if code.starts_with("AccessDenied") => {
            "allow dynamodb:Scan on the table; `staging-sync policy inspect --iam` prints the permissions that a tick needs"
        }
        _ => "see the error; a tick would fail with the same error",
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_either_way() {
        for (ahead, status) in [
            (0, Status::Ok),
            (59, Status::Ok),
            (-59, Status::Ok),
            (60, Status::Warning),
            (-299, Status::Warning),
            (300, Status::Failed),
            (i64::MIN, Status::Failed),
        ] {
            let check = clock(Some(ahead));
            assert_eq!(check.status, status, "{ahead}: {check:?}");
        }
        assert_eq!(clock(None).status, Status::NotChecked);
    }
}
