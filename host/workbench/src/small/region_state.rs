//! The state of a region in a small world, and the pages that DRS returns for it.

use serde_json::{Map, Value, json};

use super::{Values, exchange, fails, or_nothing};
use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::tape::{Answer, Exchange};

/// What a region says. Sets of staging accounts are bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RegionState {
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

impl RegionState {
    /// Whether AWS fails.
    pub fn fails(self) -> bool {
        !matches!(self, Self::Names(_) | Self::Uninitialized)
    }

    /// The same in words.
    pub fn text(self, values: &Values) -> String {
        match self {
            Self::Names(set) => format!("names {}", or_nothing(values.staging_in(set))),
            Self::BreaksOff(set) => {
                format!("names {}, and breaks off before its last page", or_nothing(values.staging_in(set)))
            }
            Self::BadId => format!("names {}, and an id that isn't one", values.staging(0)),
            Self::Uninitialized => "isn't initialised".into(),
            Self::NotOptedIn => "isn't opted in".into(),
            Self::Throttled => "is throttled".into(),
            Self::Denied => "denies access".into(),
            Self::Expired => "says that the session has expired".into(),
            Self::TooSlow => "doesn't answer in time".into(),
            Self::Malformed => "answers something else".into(),
        }
    }

    /// The answers to a listing.
    pub fn pages(self, values: &Values, listing: Listing, region: &str, target: &str) -> Vec<Exchange> {
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
            Self::Names(set) => page(&mut values.staging_in(set), None),
            Self::BreaksOff(set) => page(&mut values.staging_in(set), Some(NEXT)),
            Self::BadId => page(&mut [values.staging(0), "1234".into()].into_iter(), None),
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
