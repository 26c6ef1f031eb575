//! The fleet: everything that the lab's AWS contains, as one JSON document or built in code.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Fault};

/// A table item in plain JSON: string = S, number = N, bool = BOOL, null = NULL, array = L, object = M; an
/// object with the single key `$dynamodb` holds DynamoDB JSON for the rest: `{"$dynamodb": {"SS": ["a"]}}`.
pub type Item = Map<String, Value>;

/// What the lab serves. Every field has a default, so that a small fleet is a small document.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Fleet {
    /// For editors: where the document's schema is.
    #[serde(rename = "$schema")]
    pub schema: IgnoredAny,
    pub hub: Hub,
    /// Regions that a client should look at (`DRS_REGIONS`); empty: the hub's region.
    pub regions: Vec<String>,
    /// The table's items when the lab starts. Later edits go through [`crate::Lab::put_item`] and the like.
    pub targets: Vec<Item>,
    /// AWS accounts by id. An account that isn't here has no role to assume.
    pub accounts: BTreeMap<String, Account>,
    /// What goes wrong, in order; see [`Fault`].
    pub faults: Vec<Fault>,
    /// Milliseconds before every answer.
    pub latency_ms: u64,
    /// Up to this many further milliseconds, drawn from `seed` and the call's number.
    pub jitter_ms: u64,
    /// Where jitter starts; equal seeds give equal delays for equal call numbers.
    pub seed: u64,
    /// How many seconds the lab's clock, by which it judges signatures and dates answers, is ahead of this machine's; below
    /// 0, behind it.
    pub clock_offset_seconds: i64,
}

/// The account that the client itself runs in: it owns the table and the bucket, and its user may assume the
/// roles.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Hub {
    /// 12 digits.
    pub account: String,
    /// The region of the table and the bucket; DynamoDB and S3 know none in any other.
    pub region: String,
    /// The table's name; its key is `accountId` (S).
    pub table: String,
    /// The bucket for policies, empty at first. See [`crate::Lab::put_object`].
    pub bucket: String,
    /// Whether the user may list the bucket. Who may not is refused, rather than told, that an object is missing.
    pub may_list: bool,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            account: "999988887777".into(),
            region: "us-east-1".into(),
            table: "drs-orchestration-target-accounts".into(),
            bucket: "policies".into(),
            may_list: true,
        }
    }
}

/// One AWS account.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Account {
    /// Roles by name, with the path if there is one (`service/DRSRole`); all of them trust the hub.
    pub roles: BTreeMap<String, Role>,
    /// Elastic Disaster Recovery by region; a region that isn't here is uninitialized.
    pub regions: BTreeMap<String, Region>,
    /// The largest page that DRS answers for this account, whatever the client asks for.
    pub page_size: Option<u32>,
}

/// A role that the hub may assume.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Role {
    /// When present, AssumeRole must name the same one.
    pub external_id: Option<String>,
    /// The actions that the role's own policy allows, e.g. `["drs:ListStagingAccounts"]`; absent: all.
    pub allow: Option<Vec<String>>,
}

/// DRS in one region of one account.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// `"uninitialized"`: UninitializedAccountException.
    Uninitialized,
    /// `"notOptedIn"`: UnrecognizedClientException.
    NotOptedIn,
    /// `{"stagingAccounts": [...]}`, `{"sourceServers": [...]}` or both.
    Initialized(Servers),
}

/// The source servers of a region.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Servers {
    /// Short form: one EXTENDED source server for each of these account ids.
    pub staging_accounts: Vec<String>,
    /// Long form.
    pub source_servers: Vec<SourceServer>,
}

/// One source server, as DescribeSourceServers shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SourceServer {
    /// `s-` and 17 letters or digits; absent: made from its position.
    #[serde(rename = "sourceServerID")]
    pub source_server_id: Option<String>,
    pub hostname: Option<String>,
    /// The account that it is extended from; absent: it replicates in its own account. Any text is taken, so
    /// that broken answers can be staged.
    #[serde(rename = "stagingAccountID")]
    pub staging_account_id: Option<String>,
    /// `NOT_EXTENDED`, `EXTENDED` or `EXTENSION_ERROR`; absent: by `stagingAccountID`.
    pub status: Option<String>,
    /// Shown with `EXTENSION_ERROR`.
    pub error_message: Option<String>,
    /// `CONTINUOUS` unless given.
    pub data_replication_state: Option<String>,
    pub tags: BTreeMap<String, String>,
}

impl Fleet {
    /// Reads and checks a fleet. The error names the JSON path and what was expected there.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let fleet: Self = serde_path_to_error::deserialize(&mut json).map_err(|e| {
            Error::Fleet(match e.path().to_string().as_str() {
                "." => e.inner().to_string(),
                path => format!("{path}: {}", e.inner()),
            })
        })?;
        json.end().map_err(|e| Error::Fleet(e.to_string()))?;
        fleet.validate()?;
        Ok(fleet)
    }

    /// The demonstration fleet: a dozen targets that show every status.
    pub fn demo() -> Result<Self, Error> {
        Self::from_json(include_str!("../fleets/demo.json"))
    }

    /// The time by the lab's clock.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = Duration::from_secs(self.clock_offset_seconds.unsigned_abs());
        let now = SystemTime::now();
        let there = if self.clock_offset_seconds < 0 { now.checked_sub(offset) } else { now.checked_add(offset) };
        there.unwrap_or(now)
    }

    /// The regions that a client should look at.
    pub fn drs_regions(&self) -> &[String] {
        if self.regions.is_empty() { std::slice::from_ref(&self.hub.region) } else { &self.regions }
    }
}

impl Region {
    /// A region with one extended source server for each staging account.
    pub fn extended<I: IntoIterator<Item = S>, S: Into<String>>(staging_accounts: I) -> Self {
        Self::Initialized(Servers {
            staging_accounts: staging_accounts.into_iter().map(Into::into).collect(),
            source_servers: Vec::new(),
        })
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegionVisitor;

        impl<'de> Visitor<'de> for RegionVisitor {
            type Value = Region;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(r#""uninitialized", "notOptedIn", or an object with "stagingAccounts" or "sourceServers""#)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Region, E> {
                match text {
                    "uninitialized" => Ok(Region::Uninitialized),
                    "notOptedIn" => Ok(Region::NotOptedIn),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Region, A::Error> {
                Servers::deserialize(MapAccessDeserializer::new(map)).map(Region::Initialized)
            }
        }

        deserializer.deserialize_any(RegionVisitor)
    }
}

/// An AWS service that the lab speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Sts,
    Drs,
    DynamoDb,
    S3,
}

impl Service {
    /// The name in credential scopes and IAM actions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Drs => "drs",
            Self::DynamoDb => "dynamodb",
            Self::S3 => "s3",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Sts, Self::Drs, Self::DynamoDb, Self::S3].into_iter().find(|service| service.name() == name)
    }
}
