//! The values that `verify` varies besides the small worlds: names, authors of entries, accounts, and settings.
//!
//! The values are usual ones, those of the policy's cases, and the constants of its component. They aren't combined
//! with every small world, but each is put into the same few: complete views and partial ones.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::constants::Constants;
use crate::small::{AccountVariant, AddedBy, MOST, RegionState, SmallWorld, Values, lists};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::change::ADDED_BY;
use staging_sync_runtime::policy::Policy;

/// How many of a component's constants are tried.
const CONSTANTS: usize = 500;

/// The same where there are so many that most are an interpreter's own: such a policy is slow as well.
const OF_INTERPRETER: (usize, usize) = (100, 10_000);

/// How many values of one kind the cases give at most.
const OF_CASES: usize = 300;

/// Names and authors that some policy might stumble over, whatever is written in it.
const USUAL: [&str; 9] = [
    "",
    " ",
    "Staging Account 300000000001",
    "DEMO_TARGET",
    ADDED_BY,
    "operator@example.com",
    "Ünïcödé 名前 🦀",
    "\"quoted\" \\ {braces} %s\n<tag>",
    "a name as long as no person would ever type it, but nothing keeps a script from doing so: 0123456789 0123456789 \
     0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
];

/// Account ids that may be taken for numbers.
const ACCOUNTS: [&str; 4] = ["000000000000", "000000000001", "123456789012", "999999999999"];

/// A kind of value, by where its values are from.
#[derive(Debug, Clone, Default)]
pub struct Kind {
    /// The values, each once.
    pub values: Vec<String>,
    /// How many are usual ones.
    pub usual: usize,
    /// How many are from cases.
    pub of_cases: usize,
    /// How many are constants.
    pub constants: usize,
    /// How many more there are, which aren't tried.
    pub left_out: usize,
}

/// What is varied.
#[derive(Debug, Clone, Default)]
pub struct Varied {
    /// Names, and who added an entry.
    pub texts: Kind,
    /// The ids of target and staging accounts.
    pub accounts: Kind,
    /// Settings that are tried besides those that are verified.
    pub settings: Vec<Map<String, Value>>,
}

impl Kind {
    fn of(usual: &[&str], cases: BTreeSet<String>, constants: &[String]) -> Self {
        let (few, many) = OF_INTERPRETER;
        let most_constants = if constants.len() > many { few } else { CONSTANTS };
        let mut kind = Self::default();
        let mut seen = BTreeSet::new();
        let usual = usual.iter().map(|value| (0, (*value).to_owned()));
        let all =
            usual.chain(cases.into_iter().map(|value| (1, value))).chain(constants.iter().map(|it| (2, it.clone())));
        for (source, value) in all {
            if !seen.insert(value.clone()) {
                continue;
            }
            let (count, most) = match source {
                0 => (&mut kind.usual, usize::MAX),
                1 => (&mut kind.of_cases, OF_CASES),
                _ => (&mut kind.constants, most_constants),
            };
            if *count == most {
                kind.left_out += 1;
                continue;
            }
            *count += 1;
            kind.values.push(value);
        }
        kind
    }
}

impl Varied {
    /// The usual values, those of cases, and constants. The settings are to be added.
    pub fn of(cases: &[Case], constants: &Constants) -> Self {
        let (mut texts, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for case in cases {
            for exchange in case.tape.host.iter().chain(case.tape.targets.values().flatten()) {
                if let Ok(exchange) = serde_json::to_value(exchange) {
                    collect(&exchange, &mut texts, &mut accounts);
                }
            }
        }
        let accounts = Kind::of(&ACCOUNTS, accounts, &constants.accounts);
        Self { texts: Kind::of(&USUAL, texts, &constants.names), accounts, settings: Vec::new() }
    }

    /// Adds the settings that the cases have, and each value that the policy's schema lists, if the policy accepts
    /// them beside `base`.
    pub async fn with_settings(mut self, policy: &Policy, base: &Map<String, Value>, cases: &[Case]) -> Self {
        let schema = serde_json::from_str(&policy.info().settings_schema).unwrap_or(Value::Null);
        let of_schema = schema["properties"].as_object().into_iter().flatten().flat_map(|(name, property)| {
            let with = |value: &Value| {
                let mut settings = base.clone();
                settings.insert(name.clone(), value.clone());
                settings
            };
            listed(property).iter().map(with).collect::<Vec<_>>()
        });
        let mut seen = vec![base.clone()];
        for settings in cases.iter().map(|case| case.settings.clone()).chain(of_schema) {
            let new = !seen.contains(&settings);
            seen.push(settings.clone());
            if new && policy.validate_settings(&Value::Object(settings.clone()).to_string()).await.is_ok() {
                self.settings.push(settings);
            }
        }
        self
    }

    /// The worlds that the values are put into.
    pub fn worlds(&self) -> Vec<SmallWorld> {
        let mut worlds: Vec<SmallWorld> =
            shapes(&Values::default(), AddedBy::Operator).into_iter().skip(VIEWS.len()).collect();
        for texts in self.texts.values.chunks(usize::from(MOST)) {
            // In each view, each text is the account's name once.
            for (turn, by) in [AddedBy::Operator, AddedBy::Sync, AddedBy::Operator].into_iter().enumerate() {
                let mut values = Values::default();
                for (entry, text) in values.entries.iter_mut().zip(texts) {
                    let place = if turn == 2 { &mut entry.added_by } else { &mut entry.name };
                    *place = Some(text.clone());
                }
                for (view, mut world) in shapes(&values, by).into_iter().enumerate() {
                    world.values.name = texts.get((view + turn) % texts.len()).cloned();
                    worlds.push(world);
                }
            }
        }
        let accounts = &self.accounts.values;
        for (place, target) in accounts.iter().enumerate() {
            let mut others = accounts.iter().cycle().skip(place + 1).take(accounts.len().saturating_sub(1));
            let mut values = Values { target: Some(target.clone()), ..Values::default() };
            for entry in &mut values.entries {
                entry.id = others.next().cloned();
            }
            worlds.extend(shapes(&values, AddedBy::Sync));
        }
        worlds
    }
}

/// The worlds in which other settings are tried.
pub fn settings_worlds() -> Vec<SmallWorld> {
    let worlds = |stored: Vec<Option<AddedBy>>| {
        shapes(&Values::default(), AddedBy::Sync)
            .into_iter()
            .map(move |world| SmallWorld { stored: stored.clone(), ..world })
    };
    lists(MOST).into_iter().flat_map(worlds).collect()
}

/// What the regions say: complete views, partial ones, and none.
const VIEWS: [[RegionState; 2]; 7] = [
    [RegionState::Names(0), RegionState::Names(0)],
    [RegionState::Names(0b111), RegionState::Names(0)],
    [RegionState::Names(0b010), RegionState::Names(0b100)],
    [RegionState::Names(0), RegionState::Throttled],
    [RegionState::Names(0b001), RegionState::Denied],
    [RegionState::BreaksOff(0b010), RegionState::Names(0)],
    [RegionState::TooSlow, RegionState::Malformed],
];

/// A target account that stores three staging accounts, in every view; then the same as the current account.
fn shapes(values: &Values, by: AddedBy) -> Vec<SmallWorld> {
    let world = |variant, regions| SmallWorld {
        stored: vec![Some(by); usize::from(MOST)],
        regions,
        variant,
        values: values.clone(),
    };
    let current = [VIEWS[0], VIEWS[1], VIEWS[3]].map(|regions| world(AccountVariant::Current, regions));
    VIEWS.map(|regions| world(AccountVariant::None, regions)).into_iter().chain(current).collect()
}

/// The values that a property of a JSON schema names.
fn listed(property: &Value) -> Vec<Value> {
    let flags = (property["type"] == "boolean").then(|| vec![false.into(), true.into()]);
    let listed = property["enum"].as_array().cloned().or(flags).unwrap_or_default();
    let bounds = ["minimum", "maximum"].iter().filter_map(|bound| property.get(*bound).cloned());
    listed.into_iter().chain(bounds).collect()
}

/// The names, authors and accounts of an exchange.
fn collect(value: &Value, texts: &mut BTreeSet<String>, accounts: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let text = value.as_str().or_else(|| value.get("S").and_then(Value::as_str));
                match (name.as_str(), text) {
                    ("accountName" | "addedBy", Some(text)) => drop(texts.insert(text.to_owned())),
                    ("accountId" | "accountID" | "stagingAccountID", Some(id)) if AccountId::parse(id).is_some() => {
                        accounts.insert(id.to_owned());
                    }
                    _ => collect(value, texts, accounts),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts, accounts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(number: usize) -> Vec<String> {
        (0..number).map(|number| format!("text {number}")).collect()
    }

    #[test]
    fn values_are_there_once_and_constants_are_counted_where_there_are_too_many() {
        let cases = BTreeSet::from(["DEMO_TARGET".to_owned(), "mine".to_owned()]);
        let kind = Kind::of(&USUAL, cases.clone(), &[&["mine".to_owned()], &texts(CONSTANTS + 7)[..]].concat());
        assert_eq!((kind.usual, kind.of_cases, kind.constants, kind.left_out), (USUAL.len(), 1, CONSTANTS, 7));
        assert_eq!(kind.values.len(), USUAL.len() + 1 + CONSTANTS);
        let kind = Kind::of(&USUAL, cases, &texts(OF_INTERPRETER.1 + 1));
        assert_eq!((kind.constants, kind.left_out), (OF_INTERPRETER.0, OF_INTERPRETER.1 + 1 - OF_INTERPRETER.0));
    }

    #[test]
    fn each_text_is_the_accounts_name_an_entrys_and_an_author_in_every_view() {
        let texts = Kind { values: texts(5), ..Kind::default() };
        let worlds = Varied { texts: texts.clone(), ..Varied::default() }.worlds();
        for text in &texts.values {
            let is = |value: &Option<String>| value.as_ref() == Some(text);
            for says in VIEWS {
                let of: Vec<&Values> = worlds
                    .iter()
                    .filter(|it| it.regions == says && it.variant == AccountVariant::None)
                    .map(|it| &it.values)
                    .collect();
                assert!(of.iter().any(|values| is(&values.name)), "{text} {says:?}");
                assert!(of.iter().any(|values| values.entries.iter().any(|entry| is(&entry.name))), "{text} {says:?}");
                assert!(
                    of.iter().any(|values| values.entries.iter().any(|entry| is(&entry.added_by))),
                    "{text} {says:?}"
                );
            }
        }
    }

    #[test]
    fn no_account_is_its_own_staging_account() {
        let varied = Varied::of(&[], &Constants { accounts: vec!["300000000001".into()], ..Constants::default() });
        for world in varied.worlds().iter().filter(|world| world.values.target.is_some()) {
            let staging: BTreeSet<String> = world.values.staging_in(0b111).collect();
            assert!(
                staging.len() == 3 && !staging.contains(world.values.target.as_deref().expect("an id")),
                "{world:?}"
            );
        }
    }
}
