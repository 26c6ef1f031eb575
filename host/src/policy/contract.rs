//! What makes a component a policy: the imports it may have, the exports it must have, and their version.

use wasmtime::component::Component;

/// The WIT package that policies are built for.
pub const PACKAGE: &str = "drs:staging-sync@0.1.0";

const NAME: &str = "drs:staging-sync/";
const VERSION: &str = "0.1.0";
const EXPORTS: [&str; 4] = ["info", "validate-settings", "sync", "summarize"];

/// Refuses what isn't a component, before anything is compiled.
pub fn is_component(bytes: &[u8]) -> Result<(), String> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
            Err("is a core module, not a component: `staging-sync policy encode` makes it one".into())
        }
        Some([0, b'a', b's', b'm', ..]) => Err("is WebAssembly of a version that this host doesn't know".into()),
        None if bytes.is_empty() => Err("is empty".into()),
        _ => Err("isn't WebAssembly".into()),
    }
}

/// Refuses a component that asks for more than the package offers, was built for another version of it, or
/// doesn't export what a policy must.
pub fn check(component: &Component) -> Result<(), String> {
    let kind = component.component_type();
    let imports: Vec<&str> = kind.imports(component.engine()).map(|(name, _)| name).collect();
    let foreign: Vec<&str> = imports.iter().copied().filter(|name| !name.starts_with(NAME)).collect();
    if !foreign.is_empty() {
        return Err(format!(
            "imports {}, but a policy may import nothing but {PACKAGE}: build it without WASI",
            foreign.join(", ")
        ));
    }
    for name in &imports {
        if let Some((_, version)) = name.split_once('@')
            && version != VERSION
        {
            return Err(format!(
                "was built for drs:staging-sync@{version}, and this host runs {PACKAGE}: rebuild it with this host's WIT"
            ));
        }
    }
    let exports: Vec<&str> = kind.exports(component.engine()).map(|(name, _)| name).collect();
    let missing: Vec<&str> = EXPORTS.iter().copied().filter(|name| !exports.contains(name)).collect();
    if !missing.is_empty() {
        return Err(format!("doesn't export {}: it isn't a policy of {PACKAGE}", missing.join(", ")));
    }
    Ok(())
}
