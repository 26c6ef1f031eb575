//! Simulated time: an AWS with simulated answers, quotas and delays, for ticks of any size.

pub mod cloud;
pub mod quota;
pub mod scenario;
