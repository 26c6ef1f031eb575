//! How the type of a function in a component differs from its type in the WIT package.

use wasmtime::component::types::{ComponentFunc, Type as Compiled};
use wit_parser::{Function, Resolve, Type as Written, TypeDefKind};

/// The first difference, in words, if there is any. It goes only as deep as the package's types do, whatever a component
/// has.
pub(super) fn difference(found: &ComponentFunc, resolve: &Resolve, package: &Function) -> Option<String> {
    if found.async_() != package.kind.is_async() {
        return Some("one of both is asynchronous".into());
    }
    let walk = Walk { resolve };
    let ours = found.params().map(|(name, kind)| (name.to_owned(), Some(kind))).collect();
    let theirs = package.params.iter().map(|parameter| (&*parameter.name, Some(&parameter.ty))).collect();
    walk.parts("", ours, theirs).or_else(|| {
        let ours = found.results().map(|kind| ("result".to_owned(), Some(kind))).collect();
        walk.parts("", ours, package.result.iter().map(|kind| ("result", Some(kind))).collect())
    })
}

struct Walk<'a> {
    resolve: &'a Resolve,
}

/// What a type consists of: parameters, fields or cases, and the type of each that has one.
type Parts<N, T> = Vec<(N, Option<T>)>;

impl Walk<'_> {
    /// Compares what both consist of by name, then by order, then by type. `at` is the way there, as in `change.add`.
    fn parts(&self, at: &str, found: Parts<String, Compiled>, package: Parts<&str, &Written>) -> Option<String> {
        let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        if let Some((more, _)) = found.iter().find(|(name, _)| !package.iter().any(|(other, _)| other == name)) {
            return Some(format!("there is no `{}` in the package", path(more)));
        }
        if let Some((less, _)) = package.iter().find(|(name, _)| !found.iter().any(|(other, _)| other == name)) {
            return Some(format!("there is no `{}` in the policy", path(less)));
        }
        found.iter().zip(&package).find_map(|((name, found), (other, package))| match (found, package) {
            _ if name != other => Some(format!("`{}` is in another place", path(name))),
            (Some(found), Some(package)) => self.types(&path(name), found, package),
            (None, None) => None,
            _ => Some(format!("`{}` has a value on one side alone", path(name))),
        })
    }

    fn types(&self, at: &str, found: &Compiled, package: &Written) -> Option<String> {
        let other = || Some(format!("`{at}` is of another type"));
        let Written::Id(id) = package else {
            return if primitive(found) == Some(*package) { None } else { other() };
        };
        match (found, &self.resolve.types.get(*id)?.kind) {
            (_, TypeDefKind::Type(package)) => self.types(at, found, package),
            (Compiled::List(found), TypeDefKind::List(item)) => self.types(at, &found.ty(), item),
            (Compiled::Option(found), TypeDefKind::Option(some)) => self.types(at, &found.ty(), some),
            (Compiled::Result(found), TypeDefKind::Result(package)) => self.parts(
                at,
                vec![("ok".to_owned(), found.ok()), ("err".to_owned(), found.err())],
                vec![("ok", package.ok.as_ref()), ("err", package.err.as_ref())],
            ),
            (Compiled::Record(found), TypeDefKind::Record(package)) => self.parts(
                at,
                found.fields().map(|field| (field.name.to_owned(), Some(field.ty))).collect(),
                package.fields.iter().map(|field| (&*field.name, Some(&field.ty))).collect(),
            ),
            (Compiled::Variant(found), TypeDefKind::Variant(package)) => self.parts(
                at,
                found.cases().map(|case| (case.name.to_owned(), case.ty)).collect(),
                package.cases.iter().map(|case| (&*case.name, case.ty.as_ref())).collect(),
            ),
            (Compiled::Enum(found), TypeDefKind::Enum(package)) => self.parts(
                at,
                found.names().map(|name| (name.to_owned(), None)).collect(),
                package.cases.iter().map(|case| (&*case.name, None)).collect(),
            ),
            // The package has no tuples, flags and resources: which of these it is makes no difference.
            _ => other(),
        }
    }
}

/// The type that WIT has a word for, where it is one.
fn primitive(kind: &Compiled) -> Option<Written> {
    Some(match kind {
        Compiled::Bool => Written::Bool,
        Compiled::S8 => Written::S8,
        Compiled::U8 => Written::U8,
        Compiled::S16 => Written::S16,
        Compiled::U16 => Written::U16,
        Compiled::S32 => Written::S32,
        Compiled::U32 => Written::U32,
        Compiled::S64 => Written::S64,
        Compiled::U64 => Written::U64,
        Compiled::Float32 => Written::F32,
        Compiled::Float64 => Written::F64,
        Compiled::Char => Written::Char,
        Compiled::String => Written::String,
        _ => return None,
    })
}
