//! Ticks in simulated time, through the program.

use serde_json::Value;

use crate::{ran, staging_sync};

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_whose_scan_is_throttled_to_its_end_says_what_it_did() {
    // Too few capacity units for 16 segments, so that each tick ends while most of them wait to read a page.
    let sizes = ["--accounts", "20000", "--segments", "16", "--regions", "1", "--item-bytes", "16000"];
    let short = ["--throttle", "dynamodb=2000", "--timeout", "40", "--json"];
    let (code, stdout, stderr) = ran(staging_sync().arg("simulate").args(sizes).args(short)).await;
    assert_eq!(code, Some(1), "it doesn't reach all accounts: {stderr}");
    let figures: Value = serde_json::from_str(&stdout).expect("JSON");
    for tick in figures["ticks"].as_array().expect("ticks") {
        assert_eq!(tick["accountsUnknown"], 0, "no segment fails as a whole: {tick}");
        assert!(tick["accountsDeferred"].as_u64() > Some(0), "{tick}");
    }
}
