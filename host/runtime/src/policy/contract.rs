//! The contract that makes a component a policy: permitted imports, required exports, and their version.
//!
//! Versions of one track link with each other: a policy that was built for one runs on a host of another, as long as the
//! functions that it uses exist there with the same types.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wit_parser::{Function, Resolve, WorldItem};

use super::released::{CURRENT, VERSION, versions};
use super::{ComponentType, signature};

/// The WIT package that this host implements.
pub const PACKAGE: &str = "drs:staging-sync@0.1.0";

const NAME: &str = "drs:staging-sync/";
/// What the versions begin with that link with each other.
const TRACK: &str = "0.1.";
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

/// Refuses a component that asks for more than the package offers, was built for another track of it, or doesn't
/// export what a policy must.
pub fn check(shape: &ComponentType) -> Result<(), String> {
    let imports = || shape.imports.iter().map(|import| import.name.as_str());
    let foreign: Vec<&str> = imports().filter(|name| !name.starts_with(NAME)).collect();
    if !foreign.is_empty() {
        return Err(format!(
            "imports {}, but a policy may import nothing but {PACKAGE}: build it without WASI",
            foreign.join(", ")
        ));
    }
    if let Some(other) = imports().find(|name| of_track(version_of(name)).is_none()) {
        let package =
            other.split_once('@').map_or_else(|| format!("{other} without a version"), |(_, version)| package(version));
        return Err(format!(
            "was built for {package}, and this host runs policies of {TRACK}x (it has {VERSION}): rebuild it with the \
             package that `staging-sync policy wit` prints"
        ));
    }
    let missing: Vec<&str> =
        EXPORTS.iter().copied().filter(|name| !shape.exports.iter().any(|export| export == name)).collect();
    if !missing.is_empty() {
        return Err(format!("doesn't export {}: it isn't a policy of {PACKAGE}", missing.join(", ")));
    }
    Ok(())
}

/// The version in the name of an import; empty where there's none.
fn version_of(import: &str) -> &str {
    import.split_once('@').map_or("", |(_, version)| version)
}

/// The number of a version within the track of this host, if it's on it.
fn of_track(version: &str) -> Option<u64> {
    let number = version.strip_prefix(TRACK)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

/// The version of the package that a component was built for: the latest that its imports name, or one that isn't of
/// this host's track.
pub fn built_for(shape: &ComponentType) -> Option<&str> {
    let ours = shape.imports.iter().filter(|import| import.name.starts_with(NAME));
    let versions = ours.map(|import| version_of(&import.name)).filter(|version| !version.is_empty());
    versions.max_by_key(|version| of_track(version).unwrap_or(u64::MAX))
}

/// The package that a component was built for, according to its imports.
pub fn package_of(shape: &ComponentType) -> Option<String> {
    built_for(shape).map(package)
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

/// Why a component that passed `check` doesn't link: each function that this host doesn't have, or has with another type.
/// None where the reason is another one. Reads the package, so it's only for components that don't link.
pub(super) fn mismatch(component: &Component, shape: &ComponentType) -> Option<String> {
    let package = Package::read()?;
    let (kind, engine) = (component.component_type(), component.engine());
    let mut problems = Vec::new();
    let mut compare = |name: String, item: ComponentItem, ours: Option<&Function>, verb: &str| {
        let ComponentItem::ComponentFunc(found) = item else { return };
        let Some(ours) = ours else {
            problems.push(format!("{verb} `{name}`, which {} doesn't have", self::package(VERSION)));
            return;
        };
        if let Some(difference) = signature::difference(&found, &package.resolve, ours) {
            problems.push(format!(
                "{verb} `{name}` with another type than {} has it ({difference})",
                self::package(VERSION)
            ));
        }
    };
    for (import, item) in kind.imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        let interface_name = import.strip_prefix(NAME).and_then(|rest| rest.split('@').next()).unwrap_or(import);
        for (name, item) in interface.exports(engine) {
            let ours = package.import(interface_name, name);
            compare(format!("{interface_name}.{name}"), item.ty, ours, "calls");
        }
    }
    for (name, item) in kind.exports(engine).filter(|(name, _)| EXPORTS.contains(name)) {
        compare(name.to_owned(), item.ty, package.export(name), "exports");
    }
    (!problems.is_empty()).then(|| format!("{}: {}", problems.join("; "), advice(built_for(shape).unwrap_or(VERSION))))
}

/// What to do about a component that was built for a version and doesn't link.
fn advice(built_for: &str) -> String {
    if of_track(built_for) > of_track(VERSION) {
        return format!(
            "it was built for {built_for}, later than this host's {VERSION}. Upgrade staging-sync to a release that has \
             {built_for}, or build the policy with the package that `staging-sync policy wit` prints here"
        );
    }
    let known = versions().join(", ");
    format!(
        "no released version has it so ({known}). Rebuild the policy with the package that `staging-sync policy wit \
         --version {built_for}` prints"
    )
}

/// The package as this host implements it, parsed.
struct Package {
    resolve: Resolve,
    world: wit_parser::WorldId,
}

impl Package {
    fn read() -> Option<Self> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", CURRENT).ok()?;
        let world = resolve.select_world(&[package], Some("policy")).ok()?;
        Some(Self { resolve, world })
    }

    /// A function that a policy can import.
    fn import(&self, interface: &str, function: &str) -> Option<&Function> {
        let items = self.resolve.worlds.get(self.world)?.imports.values();
        let mut interfaces = items.filter_map(|item| match item {
            WorldItem::Interface { id, .. } => self.resolve.interfaces.get(*id),
            _ => None,
        });
        interfaces.find(|found| found.name.as_deref() == Some(interface))?.functions.get(function)
    }

    /// A function that a policy must export.
    fn export(&self, function: &str) -> Option<&Function> {
        self.resolve.worlds.get(self.world)?.exports.values().find_map(|item| match item {
            WorldItem::Function(found) if found.name == function => Some(found),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(PACKAGE, package(VERSION));
        assert!(CURRENT.contains(&format!("\npackage {PACKAGE};\n")));
        assert!(of_track(VERSION).is_some() && Package::read().is_some());
    }

    #[test]
    fn a_track_has_whole_released_numbers() {
        for (version, number) in [("0.1.0", Some(0)), ("0.1.7", Some(7)), ("0.1.18446744073709551616", None)] {
            assert_eq!(of_track(version), number, "{version}");
        }
        for version in ["", "0.1", "0.1.", "0.1.0-rc.1", "0.1.0+build", "0.1.+1", "0.2.0", "1.0.0", "0.10.1", "0.0.1"] {
            assert_eq!(of_track(version), None, "{version}");
        }
    }
}
