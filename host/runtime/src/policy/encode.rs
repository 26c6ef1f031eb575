//! The encoding of a core module that was built against the WIT package as a component.

use std::borrow::Cow;

use wit_component::ComponentEncoder;

/// Whether these bytes begin like a core module, not like a component.
pub fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, b'a', b's', b'm', 1, 0, 0, 0])
}

/// The component that a file is, or that its core module makes.
pub(super) fn component_of(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    match is_core_module(bytes) {
        true => component(bytes).map(Cow::Owned),
        false => Ok(Cow::Borrowed(bytes)),
    }
}

/// The component of a core module, or why that can't be made.
pub fn component(module: &[u8]) -> Result<Vec<u8>, String> {
    // The encoder takes valid modules: it panics at a custom section that is cut off.
    wasmtime::Module::validate(&wasmtime::Engine::default(), module)
        .map_err(|error| format!("isn't a core module that can be encoded as a component: {error:#}"))?;
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("is a core module that can't be encoded as a component: {error:#}"))
}
