//! Small worlds: one target account, up to three staging accounts and two regions, in every combination.

mod account_variant;
mod region_state;
mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::tape::{Answer, CONDITION_FAILED, Exchange, Failure, HostSettings, Now, Tape, VERSION};

pub(super) use account_variant::AccountVariant;
pub(super) use region_state::RegionState;
pub use values::{Entry, Values};

/// The regions of a small world.
pub const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// How many staging accounts there can be.
pub const MOST: u8 = 3;

const TABLE: &str = "small-worlds";
const NOW: u64 = 1_770_072_300; // 2026-02-02T22:45:00Z
const ROLE: &str = "DRSOrchestrationRole";

/// A target account in one of the states that it and AWS can be in.
#[derive(Debug, Clone, PartialEq)]
pub struct SmallWorld {
    /// Who added each staging account to the stored list, if anybody did.
    pub(super) stored: Vec<Option<AddedBy>>,
    pub(super) regions: [RegionState; 2],
    pub(super) variant: AccountVariant,
    /// Its texts and ids, where they aren't the usual ones.
    pub(super) values: Values,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum AddedBy {
    Operator,
    Sync,
}

/// All small worlds with so many staging accounts, the simplest first.
pub fn all(staging_accounts: u8) -> Vec<SmallWorld> {
    let sets = || 0..1_u8 << staging_accounts;
    let others = [
        RegionState::Throttled,
        RegionState::Denied,
        RegionState::TooSlow,
        RegionState::Expired,
        RegionState::Malformed,
        RegionState::BadId,
        RegionState::Uninitialized,
        RegionState::NotOptedIn,
    ];
    // In the order in which they're easy to grasp, because the first of equally small worlds is shown.
    let states: Vec<RegionState> =
        sets().map(RegionState::Names).chain(others).chain(sets().map(RegionState::BreaksOff)).collect();
    let mut worlds = Vec::new();
    for stored in lists(staging_accounts) {
        let mut add = |variant, one, other| {
            worlds.push(SmallWorld {
                stored: stored.clone(),
                regions: [one, other],
                variant,
                values: Values::default(),
            });
        };
        for one in &states {
            for other in &states {
                add(AccountVariant::None, *one, *other);
            }
            // What becomes of a change depends on the write, so one region is enough.
            for variant in [
                AccountVariant::ListsItself,
                AccountVariant::EntryAdded,
                AccountVariant::ListRemoved,
                AccountVariant::Deleted,
                AccountVariant::WriteDenied,
            ] {
                add(variant, *one, RegionState::Names(0));
            }
            if stored.iter().all(Option::is_none) {
                add(AccountVariant::NoList, *one, RegionState::Names(0));
            } else {
                add(AccountVariant::ListedTwice, *one, RegionState::Names(0));
            }
        }
        // In these DRS isn't asked.
        for variant in [
            AccountVariant::Current,
            AccountVariant::NoRole,
            AccountVariant::ForeignRole,
            AccountVariant::AssumeDenied,
            AccountVariant::AssumeThrottled,
        ] {
            add(variant, RegionState::Names(0), RegionState::Names(0));
        }
    }
    worlds.sort_by_key(|world| (world.size(), world.variant != AccountVariant::None));
    worlds
}

pub(super) fn lists(staging_accounts: u8) -> Vec<Vec<Option<AddedBy>>> {
    let mut lists = vec![Vec::new()];
    for _ in 0..staging_accounts {
        let with = |list: &Vec<Option<AddedBy>>, by| list.iter().copied().chain([by]).collect::<Vec<_>>();
        lists = [None, Some(AddedBy::Operator), Some(AddedBy::Sync)]
            .into_iter()
            .flat_map(|by| lists.iter().map(move |list| with(list, by)))
            .collect();
    }
    lists
}

impl SmallWorld {
    /// How much there is to say about it.
    fn size(&self) -> u32 {
        let states = self.regions.iter().map(|state| match state {
            RegionState::Names(set) => set.count_ones(),
            RegionState::BreaksOff(set) => 1 + set.count_ones(),
            _ => 1,
        });
        let stored = self.stored.iter().flatten().count() as u32;
        stored + states.sum::<u32>() + u32::from(self.variant != AccountVariant::None)
    }

    /// Whether AWS fails in it, or what is stored isn't fit to be worked with: then an account may fail.
    pub fn is_troubled(&self) -> bool {
        self.regions.iter().any(|state| state.fails()) || self.variant.fails()
    }

    /// The same with one value less that isn't as usual; for such a world, with one entry less as well.
    pub(super) fn simpler(&self) -> Vec<Self> {
        if self.values == Values::default() {
            return Vec::new();
        }
        let values = self.values.simpler().into_iter().map(|values| Self { values, ..self.clone() });
        let stored = (0..self.stored.len()).filter(|number| self.stored[*number].is_some()).map(|number| {
            let mut world = self.clone();
            world.stored[number] = None;
            world
        });
        values.chain(stored).collect()
    }

    /// The id of its target account, at this place of a tape.
    fn target(&self, place: usize) -> String {
        self.values.target.clone().unwrap_or_else(|| format!("{:012}", TARGET + place as u64))
    }

    /// The world in lines of a name and what there is under it.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let entries = self.stored.iter().enumerate();
        let entries = entries.filter_map(|(number, by)| Some(self.values.entry_text(number, (*by)? == AddedBy::Sync)));
        let mut lines = Vec::from_iter(self.values.text().map(|text| ("account", text)));
        lines.push(("stored", or_nothing(entries)));
        for (region, state) in REGIONS.into_iter().zip(self.regions) {
            lines.push((region, state.text(&self.values)));
        }
        if let Some(text) = self.variant.text() {
            lines.push(("and", text.into()));
        }
        lines
    }

    fn item(&self, id: &str) -> Value {
        let entry = |number: usize, by: AddedBy| self.values.entry(number, by == AddedBy::Sync);
        let stored = self.stored.iter().enumerate();
        let mut entries: Vec<Value> = stored.filter_map(|(number, by)| Some(entry(number, (*by)?))).collect();
        let owner = if self.variant == AccountVariant::ForeignRole { "999988887777" } else { id };
        let mut item = json!({
            "accountId": {"S": id},
            "externalId": {"S": "external-id-0"},
            "roleArn": {"S": format!("arn:aws:iam::{owner}:role/{ROLE}")},
        });
        if let Some(name) = self.values.name.as_deref().or(Some("Target")).filter(|name| !name.is_empty()) {
            item["accountName"] = json!({"S": name});
        }
        match self.variant {
            AccountVariant::Current => item["isCurrentAccount"] = json!({"BOOL": true}),
            AccountVariant::NoRole => item["roleArn"] = json!({"S": ""}),
            AccountVariant::ListsItself => {
                entries.push(json!({"M": {"accountId": {"S": id}, "note": {"S": "kept"}}}));
            }
            AccountVariant::ListedTwice => entries.extend(entries.first().cloned()),
            _ => {}
        }
        if self.variant != AccountVariant::NoList {
            item["stagingAccounts"] = json!({"L": entries});
        }
        item
    }

    /// What AWS answers about the account: its role, both regions, and the first write where that goes wrong.
    fn exchanges(&self, id: &str, listings: &[Listing]) -> Vec<Exchange> {
        let request = json!({
            "RoleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
            "RoleSessionName": "staging-account-sync",
        });
        let assumed = match self.variant {
            AccountVariant::AssumeDenied => fails("AccessDenied", false),
            AccountVariant::AssumeThrottled => fails("ThrottlingException", true),
            _ => Answer::Response(json!({"Credentials": {"Expiration": "2999-01-01T00:00:00Z"}})),
        };
        let mut exchanges = vec![exchange("sts", "AssumeRole", None, request, assumed)];
        for listing in listings {
            for (region, state) in REGIONS.into_iter().zip(self.regions) {
                exchanges.extend(state.pages(&self.values, *listing, region, id));
            }
        }
        let key = json!({"TableName": TABLE, "Key": {"accountId": {"S": id}}});
        let mut read_again = |item: Value| {
            exchanges.push(exchange("dynamodb", "UpdateItem", None, key.clone(), fails(CONDITION_FAILED, false)));
            exchanges.push(exchange("dynamodb", "GetItem", None, key.clone(), Answer::Response(item)));
        };
        let mut item = self.item(id);
        match self.variant {
            AccountVariant::EntryAdded => {
                if let Some(Value::Array(list)) = item.pointer_mut("/stagingAccounts/L") {
                    list.push(json!({"M": {"accountId": {"S": self.values.staging(usize::from(MOST))}}}));
                }
                read_again(json!({"Item": item}));
            }
            AccountVariant::ListRemoved => {
                drop(item.as_object_mut().map(|item| item.remove("stagingAccounts")));
                read_again(json!({"Item": item}));
            }
            AccountVariant::Deleted => read_again(json!({})),
            AccountVariant::WriteDenied => {
                exchanges.push(exchange("dynamodb", "UpdateItem", None, key, fails("AccessDeniedException", false)));
            }
            _ => {}
        }
        exchanges
    }
}

fn or_nothing(ids: impl Iterator<Item = String>) -> String {
    let ids: Vec<String> = ids.collect();
    if ids.is_empty() { "nothing".into() } else { ids.join(", ") }
}

fn fails(code: &str, retryable: bool) -> Answer {
    Answer::Error(Failure::of(code, "from a small world", retryable))
}

fn exchange(service: &str, operation: &str, region: Option<&str>, request: Value, answer: Answer) -> Exchange {
    let region = region.map(str::to_owned);
    Exchange { service: service.into(), operation: operation.into(), region, request, answer }
}

/// The usual id of the first world's target account.
const TARGET: u64 = 100_000_000_000;

/// The places of worlds in their tape, by the ids of their target accounts.
pub(super) fn places(worlds: &[SmallWorld]) -> BTreeMap<String, usize> {
    worlds.iter().enumerate().map(|(place, world)| (world.target(place), place)).collect()
}

/// How many of the first worlds, and at most so many, can be on one tape: the target accounts differ.
pub(super) fn fitting(worlds: &[SmallWorld], most: usize) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    worlds.iter().take(most).enumerate().take_while(|(place, world)| seen.insert(world.target(*place))).count()
}

/// A tape of worlds side by side, each a target account.
pub fn tape(worlds: &[SmallWorld], operation: &str, settings: &Map<String, Value>, listings: &[Listing]) -> Tape {
    let items: Vec<Value> = worlds.iter().enumerate().map(|(place, world)| world.item(&world.target(place))).collect();
    let scan = json!({"ConsistentRead": true, "TableName": TABLE});
    Tape {
        schema: None,
        version: VERSION,
        about: String::new(),
        now: Now::of(std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW)),
        event: json!({"operation": operation}),
        settings: settings.clone(),
        config: HostSettings {
            table: TABLE.into(),
            regions: REGIONS.map(str::to_owned).into(),
            max_removals_percent: 100,
        },
        host: vec![exchange("dynamodb", "Scan", None, scan, Answer::Response(json!({"Items": items})))],
        targets: (worlds.iter().enumerate())
            .map(|(place, world)| (world.target(place), world.exchanges(&world.target(place), listings)))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
