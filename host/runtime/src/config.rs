//! The host's configuration: the environment variables, read once.

use std::path::PathBuf;
use std::time::Duration;

use crate::aws;
use crate::aws::regions::{is_drs_region, is_named_well, of_partition};
use crate::error::{Error, ErrorKind};
use crate::policy::Limits;
use crate::store::is_prefix;

/// The variables that a host reads besides those of the AWS SDK and `RUST_LOG`: their meaning and default.
pub const VARIABLES: [(&str, &str); 17] = [
    ("TARGET_ACCOUNTS_TABLE", "The DynamoDB table of target accounts. Required."),
    (
        "DRS_REGIONS",
        "The regions to ask, as a comma-separated list. Default: every DRS region of the partition of AWS_REGION.",
    ),
    (
        "POLICY",
        "A policy or a manifest, as a path or an s3:// URI; or a comma-separated list of them. Default: policy.wasm \
         beside the program.",
    ),
    ("POLICY_SETTINGS", "Settings, as JSON, for policies whose manifest has none. Default: {}."),
    ("POLICY_PUBLIC_KEY", "A minisign public key, or its file. Configured policies must be signed with it."),
    (
        "POLICY_STAND_IN",
        "What decides if a configured policy is rejected at the start: packaged (the packaged policy, which then \
         removes nothing) or none. Default: packaged.",
    ),
    (
        "POLICY_FUEL",
        "What one instance of a policy may compute, in wasmtime's fuel units, 1000000 to 1000000000000. Default: 500000000.",
    ),
    ("POLICY_MEMORY_MIB", "The memory of one instance of a policy, 1 to 4096 MiB. Default: 64."),
    (
        "RESCUE_LIMIT",
        "The number of accounts in a tick that a policy may fail on before the previous policy takes over, 1 to 1000000. \
         Default: 3.",
    ),
    ("MAX_CONCURRENCY", "The maximum number of concurrent AWS calls, 1 to 4096. Default: 128."),
    (
        "MAX_REMOVALS_PERCENT",
        "The share of the target accounts that may lose staging accounts in one tick, or 3 accounts if that is more. \
         0 to 100; 0 means none. Default: 20.",
    ),
    (
        "REGION_RECHECK_TICKS",
        "The number of ticks after which a region that an account doesn't use is asked again, 1 to 10000; 1 asks all regions \
         in every tick. Default: 12.",
    ),
    ("DRY_RUN", "true: decide, but write nothing, whatever the event says. Default: false."),
    (
        "DEADLINE_MARGIN_SECONDS",
        "The last part of an invocation, in which nothing is started or written, 0 to 600. Default: 10.",
    ),
    ("OUTCOMES_PREFIX", "The s3://bucket/prefix/ under which segments store their outcomes. Default: no fan-out."),
    ("JOURNAL", "The journal of all changes: an s3://bucket/prefix/ or a directory. Default: no journal."),
    ("AWS_REGION", "The region of the table. The AWS SDK's other variables and files work as well."),
];

/// The host's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// `TARGET_ACCOUNTS_TABLE`: the DynamoDB table of target accounts.
    pub table: String,
    /// `DRS_REGIONS`: a comma-separated list, sorted here; default every DRS region of the partition.
    pub regions: Vec<String>,
    /// `POLICY`: a comma-separated list of policies, each a path or an `s3://` URI of a component, of a core module, or of a
    /// manifest (`*.json`); default `policy.wasm` beside the binary.
    pub policies: Vec<String>,
    /// `POLICY_SETTINGS`: JSON for policies whose manifest has no settings; default `{}`.
    pub settings: String,
    /// `POLICY_PUBLIC_KEY`: a minisign public key. If it's set, only policies that are signed with it run, and the
    /// packaged policy, which is as trustworthy as the program.
    pub policy_public_key: Option<String>,
    /// `POLICY_STAND_IN`: whether the packaged policy replaces one that is rejected at the start (`packaged`), or
    /// nothing does (`none`); default `packaged`.
    pub packaged_stands_in: bool,
    /// `RESCUE_LIMIT`: the number of accounts in a tick that the active policy may fail on before the previous
    /// policy takes over; default 3.
    pub rescue_limit: usize,
    /// `MAX_CONCURRENCY`: the maximum number of concurrent AWS calls; default 128.
    pub max_concurrency: usize,
    /// `REGION_RECHECK_TICKS`: the number of ticks after which a region that an account doesn't use is asked again. It's
    /// also asked before anything is removed. 1 asks all regions in every tick; default 12.
    pub region_recheck_ticks: u32,
    /// `DRY_RUN`: decide without writing, whatever the event says; default false.
    pub dry_run: bool,
    /// `DEADLINE_MARGIN_SECONDS`: no account is started, and nothing written, in this last part of an
    /// invocation; default 10.
    pub deadline_margin: Duration,
    /// `MAX_REMOVALS_PERCENT`: the share of the target accounts that may lose staging accounts in one tick (3
    /// accounts if that is more; 0 means none); default 20.
    pub max_removals_percent: u8,
    /// `OUTCOMES_PREFIX`: the `s3://bucket/prefix/` under which segments store their outcomes for the merge. If
    /// it isn't set, there's no fan-out.
    pub outcomes_prefix: Option<String>,
    /// `JOURNAL`: the `s3://bucket/prefix/` or the folder of the journal; without it there's none.
    pub journal: Option<String>,
    /// `POLICY_FUEL` and `POLICY_MEMORY_MIB`: what one instance of a policy may use.
    pub limits: Limits,
}

impl Config {
    /// The maximum number of accounts in progress: 1.5 times the number of calls, so that all calls stay in use near the
    /// end of a tick, when the calls of one account wait for each other.
    pub fn max_accounts(&self) -> usize {
        self.max_concurrency + self.max_concurrency / 2
    }

    /// A message that names the regions in which DRS isn't known to exist, or `None` if all regions are known. They are
    /// asked nevertheless, because AWS adds regions.
    pub fn unknown_regions(&self) -> Option<String> {
        let unknown: Vec<&str> = self.regions.iter().map(String::as_str).filter(|name| !is_drs_region(name)).collect();
        let unknown = unknown.join(", ");
        (!unknown.is_empty()).then(|| format!("DRS_REGIONS names {unknown}, which isn't known to have DRS"))
    }

    /// Reads the process's environment; the region may be a profile's.
    pub async fn from_env() -> Result<Self, Error> {
        let region = aws::region().await;
        Self::read(&|name| match name {
            "AWS_REGION" => region.clone(),
            name => std::env::var(name).ok(),
        })
    }

    /// Reads settings through `variable`; an empty one counts as not set. All problems are reported at once.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut reader = Reader { variable, problems: Vec::new() };
        let table = reader.get("TARGET_ACCOUNTS_TABLE").unwrap_or_else(|| {
            reader.problems.push("TARGET_ACCOUNTS_TABLE isn't set: expected the table's name".into());
            String::new()
        });
        let limits = Limits::default();
        let config = Self {
            table,
            regions: reader.regions(),
            policies: reader.policies(),
            settings: reader.get("POLICY_SETTINGS").unwrap_or_else(|| "{}".into()),
            policy_public_key: reader.get("POLICY_PUBLIC_KEY"),
            packaged_stands_in: reader.stand_in(),
            rescue_limit: reader.number("RESCUE_LIMIT", 3, 1, 1_000_000) as usize,
            max_concurrency: reader.number("MAX_CONCURRENCY", 128, 1, 4096) as usize,
            region_recheck_ticks: reader.number("REGION_RECHECK_TICKS", 12, 1, 10_000) as u32,
            dry_run: reader.flag("DRY_RUN"),
            deadline_margin: Duration::from_secs(reader.number("DEADLINE_MARGIN_SECONDS", 10, 0, 600)),
            max_removals_percent: reader.number("MAX_REMOVALS_PERCENT", 20, 0, 100) as u8,
            outcomes_prefix: reader.outcomes_prefix(),
            journal: reader.journal(),
            limits: Limits {
                fuel: reader.number("POLICY_FUEL", limits.fuel, 1_000_000, 1_000_000_000_000),
                memory: reader.number("POLICY_MEMORY_MIB", (limits.memory >> 20) as u64, 1, 4096) as usize * (1 << 20),
                ..limits
            },
        };
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {}", reader.problems.join("; "))))
        }
    }
}

/// `policy.wasm` beside the running binary, which is where the Lambda package has it.
pub fn default_policy() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("policy.wasm")));
    beside.unwrap_or_else(|| PathBuf::from("policy.wasm"))
}

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(text) = self.get(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.problems.push(format!("{name} is {text:?}: expected a number from {least} to {most}"));
                default
            }
        }
    }

    fn stand_in(&mut self) -> bool {
        match self.get("POLICY_STAND_IN").as_deref() {
            None | Some("packaged") => true,
            Some("none") => false,
            Some(other) => {
                self.problems.push(format!("POLICY_STAND_IN is {other:?}: expected packaged or none"));
                true
            }
        }
    }

    fn policies(&mut self) -> Vec<String> {
        let Some(list) = self.get("POLICY") else { return vec![default_policy().to_string_lossy().into_owned()] };
        list.split(',').map(str::trim).filter(|policy| !policy.is_empty()).map(str::to_owned).collect()
    }

    fn outcomes_prefix(&mut self) -> Option<String> {
        let prefix = self.get("OUTCOMES_PREFIX")?;
        if !is_prefix(&prefix) {
            self.problems.push(format!("OUTCOMES_PREFIX is {prefix:?}: expected a URI like s3://bucket/fan-out/"));
        }
        Some(prefix)
    }

    fn journal(&mut self) -> Option<String> {
        let place = self.get("JOURNAL")?;
        if place.contains("://") && !is_prefix(&place) {
            self.problems.push(format!("JOURNAL is {place:?}: expected a folder, or a URI like s3://bucket/journal/"));
        }
        Some(place)
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.get(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(text) => {
                self.problems.push(format!("{name} is {text:?}: expected true or false"));
                false
            }
        }
    }

    fn regions(&mut self) -> Vec<String> {
        let home = self.get("AWS_REGION").unwrap_or_default();
        let mut regions: Vec<String> = match self.get("DRS_REGIONS") {
            None => match of_partition(&home) {
                Some(regions) => regions.iter().map(ToString::to_string).collect(),
                None => {
                    self.problems.push(format!(
                        "DRS isn't available in the partition of region {home}: set AWS_REGION, or the profile's region, \
                         to a region of another partition, or list regions in DRS_REGIONS"
                    ));
                    return Vec::new();
                }
            },
            Some(list) => list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        };
        for bad in regions.iter().filter(|name| !is_named_well(name)) {
            self.problems.push(format!(
                "DRS_REGIONS names {bad:?}: expected a comma-separated list of regions like eu-central-1"
            ));
        }
        if regions.is_empty() {
            self.problems.push(
                "DRS_REGIONS names no region: expected a comma-separated list like eu-central-1,us-east-1".into(),
            );
        }
        regions.sort();
        regions.dedup();
        regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Error> {
        Config::read(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn every_variable_that_is_read_is_documented() {
        let read = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let variable = |name: &str| {
            read.borrow_mut().insert(name.to_owned());
            None
        };
        let _ = Config::read(&variable); // the table is missing
        let documented: std::collections::BTreeSet<String> =
            VARIABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(read.into_inner(), documented);
        let readme = include_str!("../../cli/README.md");
        for (name, _) in VARIABLES {
            assert!(readme.contains(&format!("`{name}`")), "{name} in host/cli/README.md");
        }
    }

    #[test]
    fn only_the_table_is_required() {
        let config = read(&[("TARGET_ACCOUNTS_TABLE", "targets")]).expect("a configuration");
        assert_eq!((config.regions.len(), config.max_concurrency, config.dry_run), (34, 128, false));
        assert_eq!(config.settings, "{}");
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let error = read(&[
            ("DRS_REGIONS", "us-east-1,EU"),
            ("MAX_CONCURRENCY", "0"),
            ("DRY_RUN", "maybe"),
            ("OUTCOMES_PREFIX", "/tmp"),
            ("JOURNAL", "s3://bucket/journal"),
        ])
        .expect_err("a bad configuration");
        assert_eq!(error.kind, ErrorKind::ConfigurationInvalid);
        for name in ["TARGET_ACCOUNTS_TABLE", "\"EU\"", "MAX_CONCURRENCY", "DRY_RUN", "OUTCOMES_PREFIX", "JOURNAL"] {
            assert!(error.message.contains(name), "{name} in {}", error.message);
        }
    }

    #[test]
    fn default_regions_are_those_of_the_partition() {
        let config = read(&[("TARGET_ACCOUNTS_TABLE", "t"), ("AWS_REGION", "us-gov-west-1")]);
        assert_eq!(config.expect("a configuration").regions, ["us-gov-east-1", "us-gov-west-1"]);
    }

    #[test]
    fn a_partition_without_drs_is_an_error_that_names_the_region() {
        let error = read(&[("TARGET_ACCOUNTS_TABLE", "t"), ("AWS_REGION", "cn-north-1")]).expect_err("no DRS there");
        assert!(error.message.contains("cn-north-1") && error.message.contains("DRS_REGIONS"), "{}", error.message);
        let named = [("TARGET_ACCOUNTS_TABLE", "t"), ("AWS_REGION", "cn-north-1"), ("DRS_REGIONS", "cn-north-1")];
        assert_eq!(read(&named).expect("an operator's choice").regions, ["cn-north-1"]);
    }

    #[test]
    fn a_mistyped_region_is_named() {
        let config = |regions: &str| read(&[("TARGET_ACCOUNTS_TABLE", "t"), ("DRS_REGIONS", regions)]).expect("valid");
        let expected = "DRS_REGIONS names us-esat-1, which isn't known to have DRS";
        assert_eq!(config("us-esat-1,eu-west-1").unknown_regions().as_deref(), Some(expected));
        assert_eq!(config("us-gov-west-1,eu-west-1").unknown_regions(), None);
    }

    #[test]
    fn regions_are_sorted_and_named_once() {
        let config = read(&[("TARGET_ACCOUNTS_TABLE", "t"), ("DRS_REGIONS", " us-east-1, eu-west-1,us-east-1 ")]);
        assert_eq!(config.expect("a configuration").regions, ["eu-west-1", "us-east-1"]);
    }
}
