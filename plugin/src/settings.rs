//! The policy's settings, read and validated.

use serde_json::Value;

use crate::types::SettingError;

/// The settings' JSON schema, as `info` shows it.
pub const SCHEMA: &str = include_str!("settings.schema.json");

const KEYS: [&str; 4] = ["removals", "stagingRoleName", "externalIdTemplate", "regions"];
const ACCOUNT_ID: &str = "{accountId}";

/// What the operator may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which entries may be removed.
    pub removals: Removals,
    /// The name of the IAM role in a staging account.
    pub staging_role_name: String,
    /// The external id of that role, in which `{accountId}` stands for the staging account's id.
    pub external_id_template: String,
    /// The regions to ask, without duplicates; none means all of the tick's.
    pub regions: Option<Vec<String>>,
}

/// Which of the stored entries that DRS no longer names are removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Removals {
    /// All of them: the stored list becomes what DRS says.
    All,
    /// Those that the sync added itself.
    Own,
    /// None of them.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            removals: Removals::All,
            staging_role_name: "DRSOrchestrationRole".into(),
            external_id_template: format!("drs-orchestration-{ACCOUNT_ID}"),
            regions: None,
        }
    }
}

impl Settings {
    /// The external id for this staging account.
    pub fn external_id(&self, account_id: &str) -> String {
        self.external_id_template.replace(ACCOUNT_ID, account_id)
    }
}

/// Reads a JSON object of settings, or says everything that is wrong with it.
pub fn parse(text: &str) -> Result<Settings, Vec<SettingError>> {
    let object = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return Err(vec![problem("$", format!("expected a JSON object, found {other}"))]);
        }
        Err(error) => {
            return Err(vec![problem("$", format!("expected a JSON object, but this isn't JSON: {error}"))]);
        }
    };

    let mut settings = Settings::default();
    let mut problems = Vec::new();
    for (key, value) in &object {
        let path = format!("$.{key}");
        let result = match key.as_str() {
            "removals" => removals(value).map(|it| settings.removals = it),
            "stagingRoleName" => role_name(value).map(|it| settings.staging_role_name = it),
            "externalIdTemplate" => template(value).map(|it| settings.external_id_template = it),
            "regions" => {
                settings.regions = Some(regions(&path, value, &mut problems));
                Ok(())
            }
            _ => Err(format!("unknown setting; expected one of {}", KEYS.join(", "))),
        };
        problems.extend(result.err().map(|message| problem(&path, message)));
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn problem(path: &str, message: String) -> SettingError {
    SettingError { path: path.into(), message }
}

fn removals(value: &Value) -> Result<Removals, String> {
    match value.as_str() {
        Some("all") => Ok(Removals::All),
        Some("own") => Ok(Removals::Own),
        Some("none") => Ok(Removals::None),
        _ => Err(format!(r#"expected "all", "own" or "none", found {value}"#)),
    }
}

fn role_name(value: &Value) -> Result<String, String> {
    match value.as_str() {
        Some(name) if (1..=64).contains(&name.len()) && name.chars().all(is_name_char) => Ok(name.into()),
        _ => Err(format!(
            "expected the name of an IAM role (not its ARN): 1 to 64 letters, digits or _+=,.@-, found {value}"
        )),
    }
}

fn template(value: &Value) -> Result<String, String> {
    let Some(template) = value.as_str() else {
        return Err(format!("expected a text like \"drs-orchestration-{ACCOUNT_ID}\", found {value}"));
    };
    // Any id serves: they all have 12 digits.
    let external_id = template.replace(ACCOUNT_ID, "000000000000");
    if external_id.contains(['{', '}']) {
        return Err(format!("the only placeholder is {ACCOUNT_ID}, found {value}"));
    }
    let valid = |c| is_name_char(c) || matches!(c, ':' | '/');
    if (2..=1224).contains(&external_id.len()) && external_id.chars().all(valid) {
        Ok(template.into())
    } else {
        Err(format!("an external id has 2 to 1224 letters, digits or _+=,.@:/-, found {value}"))
    }
}

/// The characters of an IAM name.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

fn regions(path: &str, value: &Value, problems: &mut Vec<SettingError>) -> Vec<String> {
    let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
        let message = format!(r#"expected a list of regions like ["us-east-1"], found {value}"#);
        problems.push(problem(path, message));
        return Vec::new();
    };
    let mut regions = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match value.as_str().filter(|text| is_region(text)) {
            None => problems.push(problem(&path, format!("expected a region like us-east-1, found {value}"))),
            Some(region) if regions.iter().any(|other| other == region) => {
                problems.push(problem(&path, format!("expected each region once, found {value} again")));
            }
            Some(region) => regions.push(region.into()),
        }
    }
    regions
}

/// Whether `text` looks like a region: words, then a number, like `us-gov-west-1` or `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else {
        return false;
    };
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    words.split('-').all(is_word)
        && words.split_once('-').is_some_and(|(first, _)| first.len() >= 2)
        && (1..=2).contains(&number.len())
        && number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
