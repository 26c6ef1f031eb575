//! An account of a tick: what the policy can ask of AWS and change, and the rules that no policy can break.
//!
//! Nothing is written here: `update` stages a change, which the tick writes after the policy has returned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::account::AccountId;
use crate::aws::discovery::{Listing, Origin, RegionAnswer};
use crate::aws::regions::is_named_well;
use crate::aws::{Aws, AwsError};
use crate::bindings::types::{Change, NewStagingAccount, Receipt};
use crate::change::{self, MAX_CHANGES, NewEntry};
use crate::journal::freezes::{Freeze, Veto};
use crate::outside::Outside;
use crate::removals::{self, Emptying, RemovalBudget};
use crate::target::{RoleError, Target};

/// The error that ends an instance to free its memory for others. Its call is repeated with this number of bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("made room for another instance")]
pub struct Displaced(pub usize);

/// The error that ends an instance because of what the policy did, with the reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Ends an instance whose account is decided anew at the end of the tick; no fault of the policy's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("waits for the other accounts of the tick")]
struct WaitsForOthers;

/// A change that `update` accepted, ready to be written.
#[derive(Clone)]
pub struct Staged {
    /// The complete new list, in DynamoDB JSON.
    pub list: Value,
    /// What the policy was told.
    pub receipt: Receipt,
}

/// One account of one tick, as the host's side of the imports knows it. It outlives the instance: what DRS
/// said is remembered for the tick, so a second decision on the same account costs no second discovery.
pub struct Scope {
    /// The account, as it was read last.
    pub target: Target,
    /// What `update` accepted.
    pub staged: Option<Staged>,
    /// None in the shadow, where only what was read before is known.
    aws: Option<Arc<Aws>>,
    regions: Arc<[String]>,
    now: Arc<str>,
    removals: removals::Account,
    answers: HashMap<Listing, BTreeMap<String, RegionAnswer>>,
    /// Why the role's session can't be used in this tick: said again, and not asked again, however often a policy tries.
    no_session: Option<AwsError>,
    updated: bool,
    held: bool,
    /// Why nothing may be removed from this account, whatever else allows it.
    no_removals: Option<String>,
    /// Decisions that operators don't want to be made.
    vetoes: Vec<Freeze>,
    /// Why nothing came of a change, where vetoes alone are the reason.
    pub vetoed: Option<String>,
    /// Whether the policy asked to empty the list before it's known whether that may be.
    pub waits_for_others: bool,
    /// Whether a policy without AWS asked for what wasn't observed.
    pub unobserved: bool,
    /// Whether every region is asked, whatever is known of it.
    thorough: bool,
    /// Where AWS is called while an instance waits.
    pub(crate) outside: Option<Outside>,
}

impl Scope {
    /// Binds an account for a tick at `now`, over `regions`.
    pub fn new(
        target: Target,
        aws: Arc<Aws>,
        regions: Arc<[String]>,
        now: Arc<str>,
        removals: removals::Account,
    ) -> Self {
        let aws = Some(aws);
        Self {
            target,
            staged: None,
            aws,
            regions,
            now,
            removals,
            answers: HashMap::new(),
            no_session: None,
            updated: false,
            held: false,
            no_removals: None,
            vetoes: Vec::new(),
            vetoed: None,
            waits_for_others: false,
            unobserved: false,
            thorough: false,
            outside: None,
        }
    }

    /// The same account, with every region asked, even those that the account isn't known to use.
    pub fn thorough(mut self, thorough: bool) -> Self {
        self.thorough = thorough;
        self
    }

    /// The same without these decisions.
    pub fn without(mut self, vetoes: Vec<Freeze>) -> Self {
        self.vetoes = vetoes;
        self
    }

    /// The same account with the same observations for another policy to decide, with the AWS that it may use.
    pub fn handed_to(mut self, aws: Arc<Aws>) -> Self {
        self.aws = Some(aws);
        self.undecided();
        self
    }

    /// The same account with the same observations for a policy whose decision counts for nothing: it makes no
    /// AWS call, and its removals are held where they were held here.
    pub fn shadow(&self) -> Self {
        let removals = if self.held { RemovalBudget::none(self.removals.reason()) } else { RemovalBudget::unlimited() };
        Self {
            target: self.target.clone(),
            staged: None,
            aws: None,
            regions: Arc::clone(&self.regions),
            now: Arc::clone(&self.now),
            removals: removals.account(),
            answers: self.answers.clone(),
            no_session: self.no_session.clone(),
            updated: false,
            held: false,
            no_removals: self.no_removals.clone(),
            vetoes: self.vetoes.clone(),
            vetoed: None,
            waits_for_others: false,
            unobserved: false,
            thorough: self.thorough,
            outside: None,
        }
    }

    /// The same as `shadow`, for a policy that may read what wasn't observed yet.
    pub fn beside(&self, aws: Arc<Aws>) -> Self {
        Self { aws: Some(aws), ..self.shadow() }
    }

    /// Takes the account as it was read again, for the policy to decide anew. What another role observed isn't what
    /// this one would.
    pub fn reread(&mut self, target: Target) {
        if target.role() != self.target.role() {
            self.answers.clear();
            self.no_session = None;
        }
        self.target = target;
        self.undecided();
    }

    /// The same account with the same observations for another instance of the policy.
    pub fn again(mut self) -> Self {
        self.undecided();
        self
    }

    /// The same account for the policy to decide anew, with all that it would remove held for this reason.
    pub fn without_removals(mut self, reason: impl Into<String>) -> Self {
        self.no_removals = Some(reason.into());
        self.undecided();
        self
    }

    /// Where the account stands in the tick's order. It holds no place for removals there any longer.
    pub fn leave_order(&self) -> usize {
        self.removals.leave();
        self.removals.position()
    }

    /// The same account for the policy to decide anew, once it's known how many accounts would be emptied.
    pub fn decided_last(mut self, removals: removals::Account) -> Self {
        self.removals = removals;
        self.undecided();
        self
    }

    /// Forgets what a policy asked for, not what was observed.
    fn undecided(&mut self) {
        self.staged = None;
        self.updated = false;
        self.held = false;
        self.vetoed = None;
        self.waits_for_others = false;
    }

    pub(crate) async fn discover(
        &mut self,
        listing: Listing,
        regions: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<RegionAnswer>, AwsError>> {
        if regions.len() > self.regions.len() {
            let (asked, known) = (regions.len(), self.regions.len());
            return Err(refuse(format!("asked for {asked} regions, but DRS_REGIONS has {known}")));
        }
        let regions = if regions.is_empty() { self.regions.to_vec() } else { regions };
        let regions: BTreeSet<String> = regions.into_iter().collect();
        if let Some(foreign) = regions.iter().find(|region| !self.regions.contains(region)) {
            let foreign = clip(foreign, 40);
            return Err(refuse(format!("asked for region {foreign:?}, which isn't one of DRS_REGIONS")));
        }
        let role = match self.target.role() {
            Ok(role) => role,
            Err(error) => return Ok(Err(role_error(error))),
        };
        let known = self.answers.get(&listing);
        let unknown: Vec<String> =
            regions.iter().filter(|region| known.is_none_or(|known| !known.contains_key(*region))).cloned().collect();
        if !unknown.is_empty() {
            if let Some(error) = &self.no_session {
                return Ok(Err(error.clone()));
            }
            let Some(aws) = &self.aws else {
                self.unobserved = true;
                return Ok(Err(not_observed()));
            };
            // Where the others name all that is stored nothing can be removed, and so nothing needs proof of absence.
            let stored: BTreeSet<String> =
                self.target.staging_accounts.iter().map(|entry| entry.id.to_string()).collect();
            let (aws, thorough, in_use) = (Arc::clone(aws), self.thorough, self.target.regions_in_use());
            let discovered = async move {
                let enough = |answers: &[RegionAnswer]| {
                    let named: BTreeSet<String> = answers.iter().flat_map(RegionAnswer::staging_account_ids).collect();
                    !thorough && stored.is_subset(&named)
                };
                aws.discover(&role, listing, &unknown, &in_use, &enough).await
            };
            let answers = match run_outside(self.outside.as_ref(), discovered).await? {
                Ok(answers) => answers,
                Err(error) => {
                    self.no_session = Some(error.clone());
                    return Ok(Err(error));
                }
            };
            let known = self.answers.entry(listing).or_default();
            known.extend(answers.into_iter().map(|answer| (answer.region.clone(), answer)));
        }
        let known = self.answers.entry(listing).or_default();
        Ok(Ok(regions.iter().filter_map(|region| known.get(region)).cloned().collect()))
    }

    /// Asks the regions that weren't asked in this tick, because a removal needs all of them. Says why nothing may be
    /// removed, if they say other than what the policy was told.
    async fn proven(&mut self) -> Result<(), String> {
        let Some(aws) = self.aws.clone() else { return Ok(()) };
        let Ok(role) = self.target.role() else { return Ok(()) };
        let in_use = self.target.regions_in_use();
        let outside = self.outside.clone();
        for (listing, answers) in &mut self.answers {
            let remembered = answers.values().filter(|answer| answer.origin == Origin::Remembered);
            let remembered: Vec<String> = remembered.map(|answer| answer.region.clone()).collect();
            if remembered.is_empty() {
                continue;
            }
            let (aws, role, listing, in_use) = (Arc::clone(&aws), role.clone(), *listing, in_use.clone());
            let asked = async move {
                let regions: Vec<&String> = remembered.iter().collect();
                aws.discover_left_out(&role, listing, &regions, &in_use).await
            };
            let found = run_outside(outside.as_ref(), asked).await.map_err(|ended| ended.to_string())?;
            let found = found.map_err(|error| format!("regions that weren't in use can't be read: {error}"))?;
            for answer in found {
                if let Some(error) = &answer.error {
                    return Err(format!("{}, which wasn't in use, can't be read: {error}", answer.region));
                }
                if !answer.entries.is_empty() {
                    return Err(format!("{} has come into use; the next tick decides", answer.region));
                }
                answers.insert(answer.region.clone(), answer);
            }
        }
        Ok(())
    }

    /// The first region that no listing read to its last page.
    fn unread_region(&self) -> Option<&String> {
        let read = |region: &&String| {
            self.answers.values().any(|answers| answers.get(*region).is_some_and(|answer| answer.error.is_none()))
        };
        self.regions.iter().find(|region| !read(region))
    }

    /// Which of these ids are stored as discovered in a region that this tick doesn't ask, and why they stay: that the
    /// others don't name them says nothing about that one.
    fn out_of_sight(&self, ids: &[String]) -> Option<(BTreeSet<String>, String)> {
        let mut found = BTreeSet::new();
        let mut regions = BTreeSet::new();
        for entry in &self.target.staging_accounts {
            let asked = ids.iter().any(|id| id == entry.id.as_str());
            let region = entry.text("discoveredFrom").filter(|region| is_named_well(region));
            if let Some(region) = region.filter(|region| asked && !self.regions.contains(region)) {
                found.insert(entry.id.to_string());
                regions.insert(region);
            }
        }
        let list = |texts: &BTreeSet<String>| Vec::from_iter(texts.iter().map(String::as_str)).join(", ");
        let (ids, regions) = (list(&found), list(&regions));
        let reason = format!(
            "{ids} was discovered in {regions}, which DRS_REGIONS doesn't name: add the region, or remove the entry by hand"
        );
        (!found.is_empty()).then_some((found, reason))
    }

    /// Stages a change. An instance whose account has to wait for others ends once its `memory` (in bytes) is `wanted`.
    pub(crate) async fn update(
        &mut self,
        change: Change,
        memory: usize,
        wanted: impl Future<Output = ()>,
    ) -> wasmtime::Result<Receipt> {
        if std::mem::replace(&mut self.updated, true) {
            return Err(refuse("called update twice for one account"));
        }
        let add = self.accept(&change)?;
        let remove: BTreeSet<&str> = change.remove.iter().map(String::as_str).collect();
        let stored: BTreeSet<&str> = self.target.staging_accounts.iter().map(|entry| entry.id.as_str()).collect();
        let mut removed: Vec<String> = stored.intersection(&remove).map(ToString::to_string).collect();
        let mut added: Vec<String> = add.keys().filter(|id| !stored.contains(id.as_str())).cloned().collect();

        let (mut held, mut reasons) = (Vec::new(), Vec::new());
        if let Some((ids, reason)) = self.out_of_sight(&removed) {
            removed.retain(|id| !ids.contains(id));
            held.extend(ids);
            reasons.push(reason);
        }
        let others = reasons.len();
        for veto in &self.vetoes {
            let Some(Veto { add, remove }) = &veto.veto else { continue };
            let is_in = |ids: &BTreeSet<AccountId>, id: &String| ids.iter().any(|vetoed| vetoed.as_str() == id);
            let vetoed: Vec<String> = removed.extract_if(.., |id| is_in(remove, id)).collect();
            let unwanted: Vec<String> = added.extract_if(.., |id| is_in(add, id)).collect();
            if !vetoed.is_empty() || !unwanted.is_empty() {
                reasons.push(veto.reason());
            }
            held.extend(vetoed);
            held.sort();
        }
        if others == 0 && !reasons.is_empty() && added.is_empty() && removed.is_empty() {
            self.vetoed = Some(reasons.join("; "));
        }
        if let (false, Some(reason)) = (removed.is_empty(), &self.no_removals) {
            held.append(&mut removed);
            held.sort();
            reasons.push(reason.clone());
        }
        if !removed.is_empty() {
            let empties = added.is_empty() && stored.iter().all(|id| removed.iter().any(|removed| removed == id));
            let reason = match self.proven().await {
                Err(unproven) => Some(unproven),
                Ok(()) => match if empties { self.removals.emptying() } else { Emptying::Allowed } {
                    Emptying::Unknown => {
                        self.waits_for_others = true;
                        return Err(wasmtime::Error::new(WaitsForOthers));
                    }
                    Emptying::Held(reason) => Some(reason),
                    Emptying::Allowed => {
                        let place = tokio::select! {
                            biased;
                            place = self.removals.take() => place,
                            () = wanted => return Err(wasmtime::Error::new(Displaced(memory))),
                        };
                        (!place).then(|| self.removals.reason())
                    }
                },
            };
            if let Some(reason) = reason {
                held.append(&mut removed);
                held.sort();
                reasons.push(reason);
                self.held = true;
            }
        }
        let held_reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        let new = added.iter().filter_map(|id| add.get(id)).map(|entry| entry.stored(&self.now));
        let gone: Vec<&str> = removed.iter().map(String::as_str).collect();
        let list = change::list(&self.target.staging_accounts, &gone, new);
        let total = list["L"].as_array().map_or(0, Vec::len);
        let receipt = Receipt { held_reason, total: u32::try_from(total).unwrap_or(u32::MAX), added, removed, held };
        if !(receipt.added.is_empty() && receipt.removed.is_empty()) {
            self.staged = Some(Staged { list, receipt: receipt.clone() });
        }
        Ok(receipt)
    }

    /// Refuses what no policy may ask for; the entries to add by their id otherwise.
    fn accept<'a>(&self, change: &'a Change) -> wasmtime::Result<BTreeMap<String, NewEntry<'a>>> {
        if change.add.len().max(change.remove.len()) > MAX_CHANGES {
            return Err(refuse(format!("asked for a change of more than {MAX_CHANGES} entries")));
        }
        for id in change.add.iter().map(|entry| &entry.id).chain(&change.remove) {
            if AccountId::parse(id).is_none() {
                return Err(refuse(format!("named {:?}, which isn't an account id of 12 digits", clip(id, 40))));
            }
        }
        let mut add = BTreeMap::new();
        for entry in &change.add {
            let new = new_entry(entry);
            if change.remove.contains(&entry.id) {
                return Err(refuse(format!("asked both to add and to remove {}", entry.id)));
            }
            new.check(&self.target.id).map_err(|what| refuse(format!("asked {what}")))?;
            add.entry(entry.id.clone()).or_insert(new);
        }
        if !change.remove.is_empty()
            && let Some(region) = self.unread_region()
        {
            return Err(refuse(format!("asked for a removal, but {region} wasn't read to its last page")));
        }
        Ok(add)
    }
}

/// Does some work outside an instance's stack, where there's an instance.
async fn run_outside<T: Send + 'static>(
    outside: Option<&Outside>,
    work: impl Future<Output = T> + Send + 'static,
) -> wasmtime::Result<T> {
    match outside {
        Some(outside) => outside.run(work).await.ok_or_else(|| refuse("ended while it called AWS")),
        None => Ok(work.await),
    }
}

fn new_entry(entry: &NewStagingAccount) -> NewEntry<'_> {
    NewEntry {
        id: &entry.id,
        name: &entry.name,
        role_arn: &entry.role_arn,
        external_id: &entry.external_id,
        discovered_from: &entry.discovered_from,
    }
}

pub(crate) fn refuse(what: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::new(Refused(what.into()))
}

fn not_observed() -> AwsError {
    AwsError {
        code: "NotObserved".into(),
        message: "host: the active policy didn't read this, and a shadow policy makes no AWS calls".into(),
        retryable: false,
    }
}

fn role_error(error: RoleError) -> AwsError {
    let (code, message) = match error {
        RoleError::Missing => ("NoRole", "no role ARN is stored".to_owned()),
        RoleError::Foreign(found) => ("InvalidRole", found),
    };
    AwsError { code: code.into(), message, retryable: false }
}

pub(crate) fn clip(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
