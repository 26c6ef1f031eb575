//! The contract that makes a component a policy: permitted imports, required exports, and their version.

use super::ComponentType;

/// The WIT package that policies are built for.
pub const PACKAGE: &str = "drs:staging-sync@0.1.0";

const NAME: &str = "drs:staging-sync/";
const VERSION: &str = "0.1.0";
const EXPORTS: [&str; 4] = ["info", "validate-settings", "sync", "summarize"];

/// Refuses a file that isn't a component, before anything is compiled.
pub fn is_component(bytes: &[u8]) -> Result<(), String> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x0d, 0, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', ..]) => Err("is WebAssembly of a version that this host doesn't know".into()),
        None if bytes.is_empty() => Err("is empty".into()),
        _ => Err("isn't WebAssembly".into()),
    }
}

/// Refuses a component that asks for more than the package offers, was built for another version of it, or
/// doesn't export what a policy must.
pub fn check(shape: &ComponentType) -> Result<(), String> {
    let imports = || shape.imports.iter().map(|import| import.name.as_str());
    let foreign: Vec<&str> = imports().filter(|name| !name.starts_with(NAME)).collect();
    if !foreign.is_empty() {
        return Err(format!(
            "imports {}, but a policy may import nothing but {PACKAGE}: build it without WASI",
            foreign.join(", ")
        ));
    }
    if let Some(version) = version(shape).filter(|version| *version != VERSION) {
        return Err(format!(
            "was built for {}, and this host runs {PACKAGE}: rebuild it with this host's WIT",
            package(version)
        ));
    }
    let missing: Vec<&str> =
        EXPORTS.iter().copied().filter(|name| !shape.exports.iter().any(|export| export == name)).collect();
    if !missing.is_empty() {
        return Err(format!("doesn't export {}: it isn't a policy of {PACKAGE}", missing.join(", ")));
    }
    Ok(())
}

/// The version of the package that a component was built for; where it names several, another than ours.
fn version(shape: &ComponentType) -> Option<&str> {
    let ours = shape.imports.iter().filter(|import| import.name.starts_with(NAME));
    let mut versions = ours.filter_map(|import| Some(import.name.split_once('@')?.1));
    let first = versions.next()?;
    Some(versions.find(|version| *version != VERSION).unwrap_or(first))
}

/// The package that a component was built for, according to its imports.
pub fn package_of(shape: &ComponentType) -> Option<String> {
    version(shape).map(package)
}

fn package(version: &str) -> String {
    format!("{}@{version}", NAME.trim_end_matches('/'))
}

/// The functions that a component can call of one of the package's interfaces.
pub fn functions<'a>(shape: &'a ComponentType, interface: &str) -> impl Iterator<Item = &'a str> {
    let of_it = format!("{NAME}{interface}");
    let imports = shape.imports.iter().filter(move |import| import.name.split('@').next() == Some(&of_it));
    imports.flat_map(|import| import.functions.iter().map(String::as_str))
}
