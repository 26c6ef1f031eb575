//! The cohort of a rollout: which accounts the candidate decides, as a pure function of salt, account id and share.
//!
//! `plugin/cohorts.json` has what it comes to, and `plugin/examples/cohorts.mjs` and `cohorts.py` the same function in other
//! languages.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::terms::{BASE, Share};
use crate::account::AccountId;

/// The accounts that a candidate decides at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// What makes this rollout's order of accounts another than that of others.
    pub salt: String,
    /// The share of all accounts.
    pub share: Share,
    /// The accounts that it never decides, whatever the share.
    pub never: BTreeSet<AccountId>,
    /// The accounts that it decides at every step, unless it never does.
    pub always: BTreeSet<AccountId>,
}

impl Cohort {
    /// Whether the candidate decides this account.
    pub fn contains(&self, account: &AccountId) -> bool {
        !self.never.contains(account)
            && (self.always.contains(account) || is_in(&self.salt, account.as_str(), self.share))
    }
}

/// Whether an account is in the cohort of a share. What is in that of a share is in those of all larger ones.
pub fn is_in(salt: &str, account: &str, share: Share) -> bool {
    bucket(salt, account) < share.hundredths()
}

/// An account's place in a rollout's order, from 0 to 9,999: the first 32 bits of SHA-256(salt + account id), as a share of
/// all their values in hundredths of a percent.
pub fn bucket(salt: &str, account: &str) -> u32 {
    let digest = Sha256::new().chain_update(salt).chain_update(account).finalize();
    let first = digest.iter().take(4).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    u32::try_from((first * u64::from(BASE)) >> 32).unwrap_or(BASE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn cohorts_are_those_of_the_vectors() {
        let vectors: Value = serde_json::from_str(include_str!("../../../../plugin/cohorts.json")).expect("JSON");
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().expect("a list").iter();
            list.map(|text| text.as_str().expect("a text").to_owned()).collect()
        };
        let accounts = texts(&vectors["accountIds"]);
        let cohorts = vectors["cohorts"].as_array().expect("a list");
        let salts: BTreeSet<&str> = cohorts.iter().filter_map(|one| one["salt"].as_str()).collect();
        let shares: BTreeSet<u64> = cohorts.iter().filter_map(|one| one["share"].as_u64()).collect();
        assert_eq!((accounts.len(), salts.len(), shares.len(), cohorts.len()), (100, 3, 5, 15));
        for cohort in cohorts {
            let share = Share::new(cohort["share"].as_u64().expect("a number") as u32).expect("a share");
            let salt = cohort["salt"].as_str().expect("a salt");
            let members: Vec<String> = accounts.iter().filter(|id| is_in(salt, id, share)).cloned().collect();
            assert_eq!(members, texts(&cohort["accountIds"]), "{salt} {share}");
        }
    }

    #[test]
    fn never_wins_over_always() {
        let account = AccountId::parse("111122223333").expect("an id");
        let ids = BTreeSet::from([account.clone()]);
        let cohort = |share, never, always| Cohort { salt: "s".into(), share, never, always };
        let (least, all) = (Share::new(1).expect("a share"), Share::new(BASE).expect("a share"));
        assert!(!is_in("s", account.as_str(), least), "the test needs an account outside");
        assert!(cohort(least, BTreeSet::new(), ids.clone()).contains(&account));
        assert!(!cohort(all, ids.clone(), ids.clone()).contains(&account));
        assert!(!cohort(all, ids, BTreeSet::new()).contains(&account));
    }

    proptest! {
        #[test]
        fn a_growing_share_keeps_its_members(salt in "[0-9a-f]{0,32}", account in "[0-9]{12}", one in 1..=BASE, other in 1..=BASE) {
            let (less, more) = (Share::new(one.min(other)).expect("a share"), Share::new(one.max(other)).expect("a share"));
            prop_assert!(!is_in(&salt, &account, less) || is_in(&salt, &account, more));
            prop_assert!(is_in(&salt, &account, Share::new(BASE).expect("a share")));
        }
    }

    /// Of these salts and shares, so that chance fails no run.
    #[test]
    fn a_cohort_of_ten_thousand_accounts_has_its_size() {
        for (salt, share) in
            (0..10).flat_map(|salt| [1, 10, 100, 500, 1_000, 2_500, 5_000, 9_000].map(|share| (salt, share)))
        {
            let (salt, share) = (format!("salt {salt}"), Share::new(share).expect("a share"));
            let ids = (0..10_000_u64).map(|number| format!("{:012}", 100_000_000_000 + number * 7_919));
            let count = ids.filter(|id| is_in(&salt, id, share)).count() as f64;
            let p = f64::from(share.hundredths()) / f64::from(BASE);
            let deviation = (10_000.0 * p * (1.0 - p)).sqrt();
            assert!((count - 10_000.0 * p).abs() <= 3.0 * deviation, "{salt}: {count} of {share}");
        }
    }
}
