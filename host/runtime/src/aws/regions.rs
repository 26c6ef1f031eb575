//! The regions of DRS by partition, and those that an account must opt in to.

/// Every region in which AWS offers DRS, by partition, because roles can't be assumed across partitions: the
/// prefix of the partition's regions, then the regions. Source: `drs` in botocore's `endpoints.json`.
const DRS_REGIONS: [(&str, &[&str]); 3] = [
    ("us-gov-", &["us-gov-east-1", "us-gov-west-1"]),
    ("eusc-", &["eusc-de-east-1"]),
    (
        "",
        &[
            "af-south-1",
            "ap-east-1",
            "ap-east-2",
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-south-1",
            "ap-south-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-4",
            "ap-southeast-5",
            "ap-southeast-6",
            "ap-southeast-7",
            "ca-central-1",
            "ca-west-1",
            "eu-central-1",
            "eu-central-2",
            "eu-north-1",
            "eu-south-1",
            "eu-south-2",
            "eu-west-1",
            "eu-west-2",
            "eu-west-3",
            "il-central-1",
            "me-central-1",
            "me-south-1",
            "mx-central-1",
            "sa-east-1",
            "us-east-1",
            "us-east-2",
            "us-west-1",
            "us-west-2",
        ],
    ),
];

/// How the regions of partitions begin that have no DRS: China and the isolated ones.
const WITHOUT_DRS: [&str; 5] = ["cn-", "us-iso-", "us-isob-", "us-isof-", "eu-isoe-"];

/// The DRS regions that an account must be opted in to, and so can leave; all others are always on. Source: AWS Account
/// Management guide, "Enable or disable AWS Regions in your account".
const OPT_IN_REGIONS: [&str; 17] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// Whether accounts can be without a region: an account that isn't opted in to it has nothing there.
pub fn is_opt_in(region: &str) -> bool {
    OPT_IN_REGIONS.contains(&region)
}

/// Whether AWS offers DRS in a region.
pub fn is_drs_region(region: &str) -> bool {
    DRS_REGIONS.iter().any(|(_, regions)| regions.contains(&region))
}

/// Whether a name can be a region's.
pub fn is_named_well(region: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.split('-').count() >= 3 && region.bytes().all(fits)
}

/// The DRS regions of the partition that a region is in; none where AWS offers no DRS there.
pub fn of_partition(region: &str) -> Option<&'static [&'static str]> {
    if WITHOUT_DRS.iter().any(|prefix| region.starts_with(prefix)) {
        return None;
    }
    DRS_REGIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map(|(_, regions)| *regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opt_in_region_is_one_of_drs() {
        let all: Vec<&str> = DRS_REGIONS.iter().flat_map(|(_, regions)| regions.iter().copied()).collect();
        assert!(OPT_IN_REGIONS.iter().all(|region| all.contains(region)));
        assert!(is_opt_in("af-south-1") && !is_opt_in("us-east-1") && !is_opt_in("us-gov-west-1"));
    }
}
