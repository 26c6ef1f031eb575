//! Durations as people write them: `30s`, `5m`, `1h30m`.

use std::time::Duration;

const EXPECTED: &str = "expected a duration like 30s, 5m or 1h30m";
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(86_400);

/// Reads whole hours, minutes and seconds, each at most once and in this order; 1 second to 24 hours.
pub fn parse(text: &str) -> Result<Duration, String> {
    let (mut seconds, mut rest) = (0_u64, text);
    for (unit, factor) in [('h', 3600_u64), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EXPECTED.into());
        }
        // More digits than a number has are too many hours anyway.
        let number = number.parse().unwrap_or(u64::MAX);
        seconds = seconds.saturating_add(factor.saturating_mul(number));
        rest = after;
    }
    if text.is_empty() || !rest.is_empty() {
        let unit = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if unit { format!("{rest} has no unit: {EXPECTED}") } else { EXPECTED.into() });
    }
    let duration = Duration::from_secs(seconds);
    if (LEAST..=MOST).contains(&duration) { Ok(duration) } else { Err("expected 1s to 24h".into()) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn hours_minutes_and_seconds() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("2m05s", 125), ("24h", 86_400)]
        {
            assert_eq!(parse(text).map(|duration| duration.as_secs()), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_refused_with_what_is_expected() {
        for text in ["", "m", "5 m", "-5m", "5x", "5m5", "5s5m", "5m5m", "1.5h", "five"] {
            assert!(parse(text).is_err_and(|error| error.contains("30s, 5m or 1h30m")), "{text}");
        }
        assert_eq!(parse("300"), Err("300 has no unit: expected a duration like 30s, 5m or 1h30m".into()));
        for text in ["0s", "25h", "99999999999999999999999h", "18446744073709551615h18446744073709551615m"] {
            assert_eq!(parse(text), Err("expected 1s to 24h".into()), "{text}");
        }
    }
}
