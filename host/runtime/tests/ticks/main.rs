//! Whole ticks against the lab: a fleet and what goes wrong in it come in; summary, calls and table come out.

mod authority;
mod cases;
mod freezes;
mod journal;
mod model;
mod operators;
mod overlap;
mod plan;
#[path = "../released/policies.rs"]
mod policies;
mod quotas;
mod regions;
mod released;
mod removals;
mod segments;
mod session;
mod sizes;
mod support;
