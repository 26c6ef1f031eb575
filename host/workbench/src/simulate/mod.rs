//! Simulated time: an AWS whose answers, quotas and delays are made up, for ticks of any size.

pub mod cloud;
pub mod quota;
