//! The accounts that the sync skips.

use crate::types::Account;

/// Why `account` is skipped, or none if it is to be synced. The texts are part of the summary's contract.
pub fn reason(account: &Account) -> Option<&'static str> {
    if account.is_current {
        Some("Current account - no staging accounts")
    } else if role_arn(account).is_none() {
        Some("No role ARN configured")
    } else {
        None
    }
}

/// The account's role. A blank one is none: forms that were saved empty store it like that.
pub fn role_arn(account: &Account) -> Option<&str> {
    account.role_arn.as_deref().map(str::trim).filter(|arn| !arn.is_empty())
}

#[cfg(test)]
mod tests {
    use super::reason;
    use crate::fixture::account;

    #[test]
    fn reasons() {
        let syncable = account(&[]);
        assert_eq!(reason(&syncable), None);

        for role_arn in [None, Some(String::new()), Some("  ".into())] {
            let mut without_role = syncable.clone();
            without_role.role_arn = role_arn;
            assert_eq!(reason(&without_role), Some("No role ARN configured"));

            // The platform's own account usually has no role; that isn't what is to be said about it.
            without_role.is_current = true;
            assert_eq!(reason(&without_role), Some("Current account - no staging accounts"));
        }
    }
}
