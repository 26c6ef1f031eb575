//! The type of a component: its imports, including their functions, and its exports.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The imports and exports of a component. Imports are exhaustive: what isn't among them can't be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentType {
    /// The imports.
    pub imports: Vec<Import>,
    /// The names of the exports.
    pub exports: Vec<String>,
}

/// An import: an interface, or a single function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name, like `drs:staging-sync/account@0.1.0`.
    pub name: String,
    /// The functions of the interface that the component can call; none where it only uses types.
    pub functions: Vec<String>,
}

impl ComponentType {
    pub(super) fn of(component: &Component) -> Self {
        let (kind, engine) = (component.component_type(), component.engine());
        let import = |(name, import): (&str, wasmtime::component::types::ComponentExtern<'_>)| {
            let functions = match import.ty {
                ComponentItem::ComponentInstance(interface) => interface
                    .exports(engine)
                    .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                    .map(|(name, _)| name.to_owned())
                    .collect(),
                _ => Vec::new(),
            };
            Import { name: name.to_owned(), functions }
        };
        Self {
            imports: kind.imports(engine).map(import).collect(),
            exports: kind.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }
}
