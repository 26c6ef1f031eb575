//! The parts of an `s3://` URI.

/// What an `s3://` URI names: a bucket, or an access point by its ARN, and the rest.
pub fn bucket_and_key(rest: &str) -> (&str, &str) {
    // An ARN may have slashes of its own: arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME,
    // arn:aws:s3-outposts:REGION:ACCOUNT:outpost/ID/accesspoint/NAME
    let resource = rest.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(4)).unwrap_or_default();
    let own = match resource.split_once('/') {
        Some(("accesspoint", _)) => 1,
        Some(("outpost", _)) => 3,
        _ => 0,
    };
    match rest.match_indices('/').nth(own) {
        Some((slash, _)) => (&rest[..slash], &rest[slash + 1..]),
        None => (rest, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_be_an_access_point() {
        for (place, bucket, key) in [
            ("policies/live/policy.json", "policies", "live/policy.json"),
            ("policies", "policies", ""),
            (
                "arn:aws:s3:eu-west-1:111122223333:accesspoint/ap/live/policy.json",
                "arn:aws:s3:eu-west-1:111122223333:accesspoint/ap",
                "live/policy.json",
            ),
            (
                "arn:aws:s3:eu-west-1:111122223333:accesspoint:ap/policy.json",
                "arn:aws:s3:eu-west-1:111122223333:accesspoint:ap",
                "policy.json",
            ),
            (
                "arn:aws:s3::111122223333:accesspoint/ap.mrap/policy.json",
                "arn:aws:s3::111122223333:accesspoint/ap.mrap",
                "policy.json",
            ),
        ] {
            assert_eq!(bucket_and_key(place), (bucket, key), "{place}");
        }
    }
}
