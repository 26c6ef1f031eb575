//! The comparison of the stored list of staging accounts with what DRS reports.

use std::collections::{BTreeMap, BTreeSet};

use crate::settings::Removals;
use crate::types::{Account, AwsError, RegionView};

/// Who added an entry, where the sync did.
pub const ADDED_BY: &str = "staging-account-sync";

/// How the stored list differs from what DRS said.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// The ids to add, each with the alphabetically first region that named it.
    pub add: BTreeMap<String, String>,
    /// Stored ids that DRS didn't name, and that may be removed.
    pub removable: BTreeSet<String>,
    /// Stored ids that DRS didn't name, and that the settings keep.
    pub kept: BTreeSet<String>,
}

/// Compares the ids that `account` has stored with those that `views` name.
///
/// The account itself is never one of its staging accounts: DRS lists it, and a stored list must not.
pub fn diff(account: &Account, views: &[RegionView], removals: Removals) -> Diff {
    let mut found = BTreeMap::<&String, &String>::new();
    for view in views {
        for id in view.staging_account_ids.iter().filter(|id| **id != account.id) {
            let region = found.entry(id).or_insert(&view.region);
            *region = (*region).min(&view.region);
        }
    }

    let stored = account.staging_accounts.iter().map(|entry| &entry.id).collect::<BTreeSet<_>>();
    // An id that is listed twice is ours only if nobody else listed it.
    let foreign = account
        .staging_accounts
        .iter()
        .filter(|entry| entry.added_by.as_deref() != Some(ADDED_BY))
        .map(|entry| &entry.id)
        .collect::<BTreeSet<_>>();

    let (removable, kept) =
        stored.iter().filter(|id| !found.contains_key(**id)).map(|id| (*id).clone()).partition(|id| match removals {
            Removals::All => true,
            Removals::Own => !foreign.contains(id),
            Removals::None => false,
        });
    let add = found
        .into_iter()
        .filter(|(id, _)| !stored.contains(id))
        .map(|(id, region)| (id.clone(), region.clone()))
        .collect();
    Diff { add, removable, kept }
}

/// The regions that weren't read to their last page, with what went wrong there.
///
/// A region of `asked` that has no view is one of them: nothing is known about it.
pub fn incomplete(asked: &[String], views: &[RegionView]) -> BTreeMap<String, AwsError> {
    let failed = views.iter().filter_map(|view| Some((view.region.clone(), view.error.clone()?)));
    asked
        .iter()
        .filter(|region| !views.iter().any(|view| view.region == **region))
        .map(|region| (region.clone(), no_answer()))
        .chain(failed)
        .collect()
}

fn no_answer() -> AwsError {
    AwsError { code: "NoAnswer".into(), message: "the host gave no view of it".into(), retryable: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{TARGET, account, entry, error, id, listing, view};

    fn ids(numbers: &[u8]) -> BTreeSet<String> {
        numbers.iter().copied().map(id).collect()
    }

    #[test]
    fn first_region_that_named_it() {
        let views = [view("us-east-1", &[1, 2]), view("eu-west-1", &[2]), view("us-west-2", &[1, 2])];
        let add = diff(&account(&[]), &views, Removals::All).add;
        let expected = [(id(1), "us-east-1".to_string()), (id(2), "eu-west-1".to_string())];
        assert_eq!(add, BTreeMap::from(expected));
    }

    #[test]
    fn own_removes_only_what_the_sync_alone_added() {
        let stored = account(&[entry(1, Some(ADDED_BY)), entry(2, None), entry(3, Some(ADDED_BY)), entry(3, None)]);
        let diff = diff(&stored, &[], Removals::Own);
        assert_eq!((diff.removable, diff.kept), (ids(&[1]), ids(&[2, 3])));
    }

    #[test]
    fn a_stored_target_is_stale() {
        let stored = account(&[entry(TARGET, None)]);
        assert_eq!(diff(&stored, &[view("eu-west-1", &[TARGET])], Removals::All).removable, ids(&[TARGET]));
    }

    #[test]
    fn a_region_without_a_view_is_incomplete() {
        let mut refused = view("eu-west-1", &[1]);
        refused.error = Some(error("ThrottlingException", ""));
        let asked = ["eu-west-1", "sa-east-1", "us-east-1"].map(String::from);
        let found = incomplete(&asked, &[refused, view("us-east-1", &[])]);
        let codes = found.iter().map(|(region, error)| (region.as_str(), error.code.as_str()));
        assert!(codes.eq([("eu-west-1", "ThrottlingException"), ("sa-east-1", "NoAnswer")]));
    }

    fn entries() -> impl Strategy<Value = Vec<(u8, bool)>> {
        prop::collection::vec((0..8u8, any::<bool>()), 0..8)
    }

    fn regions() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(0..8u8, 0..6), 1..4)
    }

    fn in_regions(named: &[Vec<u8>]) -> Vec<RegionView> {
        named.iter().zip(["a", "b", "c"]).map(|(ids, region)| view(region, ids)).collect()
    }

    fn removals() -> impl Strategy<Value = Removals> {
        prop_oneof![Just(Removals::All), Just(Removals::Own), Just(Removals::None)]
    }

    proptest! {
        /// Adding and removing what `diff` says leaves what DRS said, and what is kept.
        #[test]
        fn applying_it_gives_what_drs_said(stored in entries(), named in regions(), removals in removals()) {
            let stored = listing(&stored);
            let views = in_regions(&named);
            let diff = diff(&stored, &views, removals);

            let ids = stored.staging_accounts.iter().map(|entry| entry.id.clone());
            let mut list = BTreeSet::from_iter(ids);
            for id in &diff.removable {
                prop_assert!(list.remove(id), "{id} isn't stored");
            }
            for id in diff.add.keys() {
                prop_assert!(*id != stored.id, "the account itself");
                prop_assert!(list.insert(id.clone()), "{id} is stored already");
            }

            let others = named.concat().into_iter().filter(|number| *number != TARGET);
            let mut expected = BTreeSet::from_iter(others.map(id));
            prop_assert!(diff.kept.is_disjoint(&expected));
            expected.extend(diff.kept.clone());
            prop_assert_eq!(list, expected);

            match removals {
                Removals::All => prop_assert!(diff.kept.is_empty()),
                Removals::None => prop_assert!(diff.removable.is_empty()),
                Removals::Own => for entry in &stored.staging_accounts {
                    prop_assert!(entry.added_by.is_some() || !diff.removable.contains(&entry.id));
                },
            }
        }

        /// The order of the stored list, of the regions and of the ids in them doesn't matter.
        #[test]
        fn order_does_not_matter(stored in entries(), named in regions(), removals in removals()) {
            let mut stored = listing(&stored);
            let mut views = in_regions(&named);
            let before = diff(&stored, &views, removals);
            stored.staging_accounts.reverse();
            views.reverse();
            views.iter_mut().for_each(|view| view.staging_account_ids.reverse());
            prop_assert_eq!(diff(&stored, &views, removals), before);
        }
    }
}
