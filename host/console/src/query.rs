//! The query of a URL: what is filtered, sorted and shown.

use form_urlencoded::{Serializer, parse};

/// How long a value may be, in characters: nobody types more.
const MAX_VALUE: usize = 200;

/// The parameters of a URL, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what is behind the `?`. Values that are empty, as those of fields that nobody filled in, count as not there.
    pub fn parse(text: Option<&str>) -> Self {
        let parameters = parse(text.unwrap_or_default().as_bytes());
        let parameters = parameters.filter(|(_, value)| !value.is_empty()).take(64);
        Self(parameters.map(|(name, value)| (name.into_owned(), value.chars().take(MAX_VALUE).collect())).collect())
    }

    /// The value of a parameter, the first one where there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A number, if the parameter is one and within the range.
    pub fn number<N: std::str::FromStr + PartialOrd>(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<N>,
    ) -> Option<N> {
        self.get(name)?.trim().parse().ok().filter(|number| range.contains(number))
    }

    /// The same with other values of these parameters; none: without them. Other parameters are left out.
    pub fn with(&self, kept: &[&str], changed: &[(&str, Option<&str>)]) -> String {
        let mut query = Serializer::new(String::new());
        let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
        for (name, value) in self.0.iter().filter(|(name, _)| kept.contains(&name.as_str()) && !is_changed(name)) {
            query.append_pair(name, value);
        }
        for (name, value) in changed {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { String::new() } else { format!("?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_with_changes() {
        let query = Query::parse(Some("q=Z%C3%BCrich+%26+x&status=&page=3&other=1"));
        assert_eq!(
            (query.get("q"), query.get("status"), query.number("page", 1..=9)),
            (Some("Zürich & x"), None, Some(3))
        );
        assert_eq!(query.number::<u32>("page", 1..=2), None);
        assert_eq!(query.with(&["q", "page"], &[("page", Some("4"))]), "?q=Z%C3%BCrich+%26+x&page=4");
        assert_eq!(query.with(&["page"], &[("page", None)]), "");
        assert_eq!(Query::parse(Some("q=%ff%00")).get("q"), Some("\u{fffd}\0"));
    }
}
