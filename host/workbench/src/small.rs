//! Small worlds: one target account, up to three staging accounts and two regions, in every combination.

use serde_json::{Map, Value, json};

use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::change::ADDED_BY;
use staging_sync_runtime::tape::{Answer, CONDITION_FAILED, Exchange, Failure, HostSettings, Now, Tape, VERSION};

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
    stored: Vec<Option<By>>,
    says: [Says; 2],
    twist: Twist,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Operator,
    Sync,
}

/// What a region says. Sets of staging accounts are bits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Names(u8),
    /// These, and that there's another page, which never comes.
    BreaksOff(u8),
    /// The first one, and an id that isn't one.
    BadId,
    Uninitialized,
    NotOptedIn,
    Throttled,
    Denied,
    Expired,
    TooSlow,
    Malformed,
}

/// What is special about the account.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Twist {
    None,
    Current,
    NoRole,
    ForeignRole,
    AssumeDenied,
    AssumeThrottled,
    NoList,
    ListsItself,
    ListedTwice,
    EntryAdded,
    ListRemoved,
    Deleted,
    WriteDenied,
}

/// All small worlds with so many staging accounts, the simplest first.
pub fn all(staging_accounts: u8) -> Vec<SmallWorld> {
    let sets = || 0..1_u8 << staging_accounts;
    let others = [
        Says::Throttled,
        Says::Denied,
        Says::TooSlow,
        Says::Expired,
        Says::Malformed,
        Says::BadId,
        Says::Uninitialized,
        Says::NotOptedIn,
    ];
    // In the order in which they're easy to grasp, because the first of equally small worlds is shown.
    let says: Vec<Says> = sets().map(Says::Names).chain(others).chain(sets().map(Says::BreaksOff)).collect();
    let mut worlds = Vec::new();
    for stored in lists(staging_accounts) {
        let mut add = |twist, one, other| {
            worlds.push(SmallWorld { stored: stored.clone(), says: [one, other], twist });
        };
        for one in &says {
            for other in &says {
                add(Twist::None, *one, *other);
            }
            // What becomes of a change depends on the write, so one region is enough.
            for twist in [Twist::ListsItself, Twist::EntryAdded, Twist::ListRemoved, Twist::Deleted, Twist::WriteDenied]
            {
                add(twist, *one, Says::Names(0));
            }
            if stored.iter().all(Option::is_none) {
                add(Twist::NoList, *one, Says::Names(0));
            } else {
                add(Twist::ListedTwice, *one, Says::Names(0));
            }
        }
        // In these DRS isn't asked.
        for twist in [Twist::Current, Twist::NoRole, Twist::ForeignRole, Twist::AssumeDenied, Twist::AssumeThrottled] {
            add(twist, Says::Names(0), Says::Names(0));
        }
    }
    worlds.sort_by_key(|world| (world.size(), world.twist != Twist::None));
    worlds
}

fn lists(staging_accounts: u8) -> Vec<Vec<Option<By>>> {
    let mut lists = vec![Vec::new()];
    for _ in 0..staging_accounts {
        let with = |list: &Vec<Option<By>>, by| list.iter().copied().chain([by]).collect::<Vec<_>>();
        lists = [None, Some(By::Operator), Some(By::Sync)]
            .into_iter()
            .flat_map(|by| lists.iter().map(move |list| with(list, by)))
            .collect();
    }
    lists
}

fn staging(number: usize) -> String {
    format!("{:012}", 300_000_000_001 + number as u64)
}

fn staging_in(set: u8) -> impl Iterator<Item = String> {
    (0..usize::from(MOST)).filter(move |number| set >> number & 1 == 1).map(staging)
}

impl SmallWorld {
    /// How much there is to say about it.
    fn size(&self) -> u32 {
        let says = self.says.iter().map(|says| match says {
            Says::Names(set) => set.count_ones(),
            Says::BreaksOff(set) => 1 + set.count_ones(),
            _ => 1,
        });
        let stored = self.stored.iter().flatten().count() as u32;
        stored + says.sum::<u32>() + u32::from(self.twist != Twist::None)
    }

    /// The world in lines of a name and what there is under it.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let by = |by: By| if by == By::Operator { "an operator" } else { "the sync" };
        let entries = self.stored.iter().enumerate();
        let entries = entries.filter_map(|(number, it)| Some(format!("{} (added by {})", staging(number), by((*it)?))));
        let mut lines = vec![("stored", or_nothing(entries))];
        for (region, says) in REGIONS.into_iter().zip(self.says) {
            lines.push((region, says.text()));
        }
        if let Some(text) = self.twist.text() {
            lines.push(("and", text.into()));
        }
        lines
    }

    fn item(&self, id: &str) -> Value {
        let entry = |id: String, by: By| match by {
            By::Operator => json!({"M": {"accountId": {"S": id}, "note": {"S": "kept"}}}),
            By::Sync => json!({"M": {"accountId": {"S": id}, "addedBy": {"S": ADDED_BY}, "note": {"S": "kept"}}}),
        };
        let stored = self.stored.iter().enumerate();
        let mut entries: Vec<Value> = stored.filter_map(|(number, by)| Some(entry(staging(number), (*by)?))).collect();
        let owner = if self.twist == Twist::ForeignRole { "999988887777" } else { id };
        let mut item = json!({
            "accountId": {"S": id},
            "accountName": {"S": "Target"},
            "externalId": {"S": "external-id-0"},
            "roleArn": {"S": format!("arn:aws:iam::{owner}:role/{ROLE}")},
        });
        match self.twist {
            Twist::Current => item["isCurrentAccount"] = json!({"BOOL": true}),
            Twist::NoRole => item["roleArn"] = json!({"S": ""}),
            Twist::ListsItself => entries.push(entry(id.into(), By::Operator)),
            Twist::ListedTwice => entries.extend(entries.first().cloned()),
            _ => {}
        }
        if self.twist != Twist::NoList {
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
        let assumed = match self.twist {
            Twist::AssumeDenied => fails("AccessDenied", false),
            Twist::AssumeThrottled => fails("ThrottlingException", true),
            _ => Answer::Response(json!({"Credentials": {"Expiration": "2999-01-01T00:00:00Z"}})),
        };
        let mut exchanges = vec![exchange("sts", "AssumeRole", None, request, assumed)];
        for listing in listings {
            for (region, says) in REGIONS.into_iter().zip(self.says) {
                exchanges.extend(says.pages(*listing, region, id));
            }
        }
        let key = json!({"TableName": TABLE, "Key": {"accountId": {"S": id}}});
        let mut read_again = |item: Value| {
            exchanges.push(exchange("dynamodb", "UpdateItem", None, key.clone(), fails(CONDITION_FAILED, false)));
            exchanges.push(exchange("dynamodb", "GetItem", None, key.clone(), Answer::Response(item)));
        };
        let mut item = self.item(id);
        match self.twist {
            Twist::EntryAdded => {
                if let Some(Value::Array(list)) = item.pointer_mut("/stagingAccounts/L") {
                    list.push(json!({"M": {"accountId": {"S": staging(usize::from(MOST))}}}));
                }
                read_again(json!({"Item": item}));
            }
            Twist::ListRemoved => {
                drop(item.as_object_mut().map(|item| item.remove("stagingAccounts")));
                read_again(json!({"Item": item}));
            }
            Twist::Deleted => read_again(json!({})),
            Twist::WriteDenied => {
                exchanges.push(exchange("dynamodb", "UpdateItem", None, key, fails("AccessDeniedException", false)));
            }
            _ => {}
        }
        exchanges
    }
}

impl Says {
    fn text(self) -> String {
        match self {
            Self::Names(set) => format!("names {}", or_nothing(staging_in(set))),
            Self::BreaksOff(set) => {
                format!("names {}, and breaks off before its last page", or_nothing(staging_in(set)))
            }
            Self::BadId => format!("names {}, and an id that isn't one", staging(0)),
            Self::Uninitialized => "isn't initialised".into(),
            Self::NotOptedIn => "isn't opted in".into(),
            Self::Throttled => "is throttled".into(),
            Self::Denied => "denies access".into(),
            Self::Expired => "says that the session has expired".into(),
            Self::TooSlow => "doesn't answer in time".into(),
            Self::Malformed => "answers something else".into(),
        }
    }

    fn pages(self, listing: Listing, region: &str, target: &str) -> Vec<Exchange> {
        const NEXT: &str = "next-token-1";
        let (operation, size, name) = match listing {
            Listing::StagingAccounts => ("ListStagingAccounts", 50, "accounts"),
            Listing::SourceServers => ("DescribeSourceServers", 200, "items"),
        };
        let entry = |id: String| match listing {
            Listing::StagingAccounts => json!({"accountID": id}),
            Listing::SourceServers => json!({
                "sourceServerID": format!("s-{id}"),
                "arn": format!("arn:aws:drs:{region}:{target}:source-server/s-{id}"),
                "stagingArea": {"stagingAccountID": id, "status": "EXTENDED"},
            }),
        };
        // DRS names the target itself as well.
        let page = |ids: &mut dyn Iterator<Item = String>, next: Option<&str>| {
            let entries: Vec<Value> = std::iter::once(target.to_owned()).chain(ids).map(entry).collect();
            let mut page = Map::from_iter([(name.to_owned(), Value::from(entries))]);
            page.extend(next.map(|next| ("nextToken".to_owned(), next.into())));
            Answer::Response(page.into())
        };
        let answer = match self {
            Self::Names(set) => page(&mut staging_in(set), None),
            Self::BreaksOff(set) => page(&mut staging_in(set), Some(NEXT)),
            Self::BadId => page(&mut [staging(0), "1234".into()].into_iter(), None),
            Self::Uninitialized => fails("UninitializedAccountException", false),
            Self::NotOptedIn => fails("UnrecognizedClientException", false),
            Self::Throttled => fails("ThrottlingException", true),
            Self::Denied => fails("AccessDeniedException", false),
            Self::Expired => fails("ExpiredTokenException", false),
            Self::TooSlow => fails("TimeoutError", true),
            Self::Malformed => Answer::Response(json!({})),
        };
        let mut pages = vec![exchange("drs", operation, Some(region), json!({"maxResults": size}), answer)];
        if let Self::BreaksOff(_) = self {
            let request = json!({"maxResults": size, "nextToken": NEXT});
            pages.push(exchange("drs", operation, Some(region), request, fails("NetworkError", true)));
        }
        pages
    }
}

impl Twist {
    fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Current => "it's the current account",
            Self::NoRole => "it has no role",
            Self::ForeignRole => "its role is another account's",
            Self::AssumeDenied => "its role can't be assumed: access denied",
            Self::AssumeThrottled => "its role can't be assumed: throttled",
            Self::NoList => "its item has no list at all",
            Self::ListsItself => "the stored list names the account itself",
            Self::ListedTwice => "the first entry is stored twice",
            Self::EntryAdded => "somebody adds an entry just before the write",
            Self::ListRemoved => "somebody removes the list just before the write",
            Self::Deleted => "somebody deletes the item just before the write",
            Self::WriteDenied => "the write is denied",
        })
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

/// The id of the first world's target account.
const TARGET: u64 = 100_000_000_000;

/// The id of the target account of the world at this place.
fn target(place: usize) -> String {
    format!("{:012}", TARGET + place as u64)
}

/// The place of the world that has this target account.
pub(super) fn place(target: &str) -> Option<usize> {
    target.parse::<u64>().ok()?.checked_sub(TARGET).map(|place| place as usize)
}

/// A tape of worlds side by side, each a target account.
pub fn tape(worlds: &[SmallWorld], operation: &str, settings: &Map<String, Value>, listings: &[Listing]) -> Tape {
    let items: Vec<Value> = worlds.iter().enumerate().map(|(place, world)| world.item(&target(place))).collect();
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
            .map(|(place, world)| (target(place), world.exchanges(&target(place), listings)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_every_world_once_and_the_simplest_comes_first() {
        let worlds = all(2);
        assert!(worlds.iter().is_sorted_by_key(SmallWorld::size));
        let nothing = SmallWorld { stored: vec![None, None], says: [Says::Names(0); 2], twist: Twist::None };
        assert_eq!(worlds[0], nothing);
        let texts: std::collections::BTreeSet<String> = worlds.iter().map(|world| format!("{world:?}")).collect();
        assert_eq!(texts.len(), worlds.len());
        // 3 ways to store each of 2, and each region says one of 4 sets, 4 that break off, or 8 others.
        let plain = worlds.iter().filter(|world| world.twist == Twist::None).count();
        assert_eq!(plain, 3 * 3 * 16 * 16);
    }
}
