//! Replacements of ids, ARNs and names, each by a value of the same format.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Keep;

/// The role that the platform gives all accounts: it says nothing about anybody, and a replay adds entries with it.
const PLATFORM_ROLE: &str = "DRSOrchestrationRole";

/// The partitions of AWS.
const PARTITIONS: [&str; 5] = ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso"];

/// What is replaced by what.
pub(super) struct Names<'a> {
    /// The new account ids, in the order of the old ones.
    ids: BTreeMap<String, String>,
    /// By what kind of thing it is and what it was.
    names: HashMap<(&'static str, String), String>,
    counts: HashMap<&'static str, usize>,
    keep: Option<&'a Keep>,
    /// What was kept of names.
    pub kept: BTreeSet<String>,
}

impl<'a> Names<'a> {
    /// For a tape with this text. No new id is one of the old ones.
    pub fn of(text: &str, keep: Option<&'a Keep>) -> Self {
        let old: BTreeSet<&str> = ids(text).collect();
        let mut new = (100_000_000_001_u64..).map(|id| format!("{id:012}")).filter(|id| !old.contains(id.as_str()));
        let ids = old.iter().filter_map(|id| Some((id.to_string(), new.next()?))).collect();
        Self { ids, names: HashMap::new(), counts: HashMap::new(), keep, kept: BTreeSet::new() }
    }

    /// The name of a thing of this kind, the same one for the same thing.
    pub fn of_kind(&mut self, kind: &'static str, text: &str) -> String {
        self.made(kind, text, |number| format!("{kind}-{number}"))
    }

    fn made(&mut self, kind: &'static str, text: &str, make: impl FnOnce(usize) -> String) -> String {
        if text.is_empty() {
            return String::new();
        }
        let key = (kind, text.to_owned());
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.names.entry(key).or_insert(make(*count)).clone()
    }

    /// An account id; what isn't one is as wrong as before.
    pub fn id(&mut self, text: &str) -> String {
        if let Some(id) = self.ids.get(text) {
            return id.clone();
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let length = text.len();
            return self.made("digits", text, |number| format!("{number:0length$}"));
        }
        self.of_kind("key", text)
    }

    /// An account's name. One that was made from the id still is.
    pub fn account_name(&mut self, name: &str) -> String {
        let made_of = name.strip_prefix("Staging Account ").and_then(|id| self.ids.get(id));
        if let Some(id) = made_of {
            return format!("Staging Account {id}");
        }
        self.name("account", name)
    }

    /// A name that a rule may depend on: what of it is to be kept is.
    pub fn name(&mut self, kind: &'static str, name: &str) -> String {
        let kept: Vec<_> = self.keep.map(|keep| keep(name)).unwrap_or_default();
        if kept.is_empty() {
            return self.of_kind(kind, name);
        }
        let (mut out, mut done) = (String::new(), 0);
        for range in kept {
            let (Some(before), Some(part)) = (name.get(done..range.start), name.get(range.clone())) else { continue };
            out += &self.of_kind(kind, before);
            out += part;
            self.kept.insert(part.to_owned());
            done = range.end;
        }
        out + &self.of_kind(kind, name.get(done..).unwrap_or_default())
    }

    /// A role's name; the platform's own says nothing about anybody.
    pub fn role_name(&mut self, name: &str) -> String {
        if name == PLATFORM_ROLE { name.to_owned() } else { self.of_kind("role", name) }
    }

    /// The ARN of a role, if it is one.
    pub fn role(&mut self, arn: &str) -> String {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return self.of_kind("role", arn);
        };
        let Some(name) = resource.strip_prefix("role/").filter(|_| PARTITIONS.contains(partition)) else {
            return self.of_kind("role", arn);
        };
        let (account, name) = (self.id(account), self.role_name(name));
        format!("arn:{partition}:iam::{account}:role/{name}")
    }

    /// A source server's id.
    pub fn server(&mut self, id: &str) -> String {
        self.made("server", id, |number| format!("s-{number:017x}"))
    }

    /// The ARN of a source server, if it is one.
    pub fn server_arn(&mut self, arn: &str) -> String {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "drs", region, account, resource] = parts.as_slice() else {
            return self.of_kind("text", arn);
        };
        let Some(server) = resource.strip_prefix("source-server/").filter(|_| PARTITIONS.contains(partition)) else {
            return self.of_kind("text", arn);
        };
        let (region, account, server) = (self.region(region), self.id(account), self.server(server));
        format!("arn:{partition}:drs:{region}:{account}:source-server/{server}")
    }

    /// A region; what isn't one of AWS's is replaced.
    pub fn region(&mut self, region: &str) -> String {
        if crate::aws::regions::is_drs_region(region) { region.to_owned() } else { self.of_kind("text", region) }
    }

    /// A number, or bytes in base64: another one of the kind.
    pub fn number(&mut self, text: &str) -> String {
        self.made("number", text, |number| format!("{:04}", number % 10_000))
    }

    /// A text that may be one of those that were replaced.
    pub fn known(&self, text: &str) -> String {
        if let Some(id) = self.ids.get(text) {
            return id.clone();
        }
        let mut known: Vec<_> = self.names.iter().filter(|((_, old), _)| old == text).map(|(_, new)| new).collect();
        known.sort();
        known.first().map_or_else(|| text.to_owned(), |name| name.to_string())
    }
}

/// Whether a text is a time as the platform or the sync writes it, and nothing else.
pub(super) fn is_time(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, at)| if at == b'0' { byte.is_ascii_digit() } else { byte == at })
    };
    let Some((_, rest)) = text.split_at_checked(19).filter(|(time, _)| shaped(time, "0000-00-00T00:00:00")) else {
        return false;
    };
    let rest = rest.strip_suffix('Z').unwrap_or(rest);
    let (fraction, offset) = rest.find(['+', '-']).map_or((rest, ""), |at| rest.split_at(at));
    let fraction = fraction.strip_prefix('.').unwrap_or(fraction);
    digits(fraction) && fraction.len() <= 9 && (offset.is_empty() || shaped(&offset[1..], "00:00"))
}

/// The account ids in a text: all that is 12 digits long, whatever is beside it.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_ascii_digit()).filter(|digits| digits.len() == 12)
}
