//! The WIT package of a policy project: types for editors, and imports that the project doesn't use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use staging_sync_runtime::policy::{self, ComponentType, Import};
use wit_parser::{Resolve, WorldId, WorldItem};

use super::language::Language;
use super::typescript::{self, camel_case};

/// The world that a policy implements.
const WORLD: &str = "policy";

/// Where the declarations of a JavaScript project are.
const DECLARATIONS: &str = "types/policy.d.ts";

/// A project's WIT package.
pub struct Wit {
    resolve: Resolve,
    world: WorldId,
}

impl Wit {
    /// That of the project in a folder, or why it can't be read.
    pub fn of(folder: &Path) -> Result<Self, String> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder.join("wit")).map_err(|error| format!("{error:#}"))?;
        let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| format!("{error:#}"))?;
        Ok(Self { resolve, world })
    }

    /// Makes the types of a project anew where they are no longer those of its WIT package. Whether it did.
    pub fn refresh_types(&self, folder: &Path) -> Result<bool, String> {
        let at = folder.join(DECLARATIONS);
        // Who deleted them doesn't want them.
        let Ok(there) = fs::read_to_string(&at) else { return Ok(false) };
        let text = typescript::declarations(&self.resolve, self.world);
        if there == text {
            return Ok(false);
        }
        fs::write(&at, text).map_err(|error| format!("{DECLARATIONS}: {error}"))?;
        Ok(true)
    }

    /// The imported functions that no source names, each with the rights that only it needs, where there are any. It's a
    /// guess for a hint: a name in a comment counts as well.
    pub fn unused(&self, folder: &Path, language: Language) -> Vec<(String, String)> {
        let words = words(folder, language);
        let named = |name: &str| match language {
            Language::Python => words.contains(&name.replace('-', "_")),
            _ => words.contains(&camel_case(name)),
        };
        let imports = self.imports();
        let actions = |but: &str| {
            let mut shape = ComponentType { imports: imports.clone(), ..ComponentType::default() };
            shape.imports.iter_mut().for_each(|import| import.functions.retain(|name| name != but));
            policy::access(&shape).actions()
        };
        let all = actions("");
        let unused = imports.iter().flat_map(|import| &import.functions).filter(|name| !named(name));
        let needing = unused.filter_map(|name| {
            let rest = actions(name);
            let alone: Vec<&str> = all.iter().copied().filter(|action| !rest.contains(action)).collect();
            (!alone.is_empty()).then(|| (name.clone(), alone.join(", ")))
        });
        needing.collect()
    }

    /// What a component imports of which the toolchain links all that its world has.
    fn imports(&self) -> Vec<Import> {
        let interfaces = self.resolve.worlds[self.world].imports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        });
        let import = |id| Import {
            name: self.resolve.id_of(id).unwrap_or_default(),
            functions: self.resolve.interfaces[id].functions.keys().cloned().collect(),
        };
        interfaces.map(import).collect()
    }
}

/// The words of a project's sources.
fn words(folder: &Path, language: Language) -> BTreeSet<String> {
    let extension = if language == Language::Python { "py" } else { "js" };
    let (mut words, mut left) = (BTreeSet::new(), vec![folder.join("src")]);
    while let Some(at) = left.pop() {
        for path in fs::read_dir(at).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() && !path.is_symlink() {
                left.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                words
                    .extend(text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).map(str::to_owned));
            }
        }
    }
    words
}
