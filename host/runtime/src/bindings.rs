//! The WIT package in Rust, as wasmtime generates it for the host's side.

#![allow(missing_docs)] // documented in the WIT package

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "policy",
    imports: { default: async | trappable },
    exports: { default: async },
});

pub use drs::staging_sync::{account, logging, types};
