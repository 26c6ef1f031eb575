//! The TypeScript declarations of a WIT package, as componentize-qjs maps it, for `tsc` and the editors of JavaScript
//! policies. (jco's declarations are for another mapping: there an absent option is `undefined`, here it's null.)

use std::collections::{BTreeMap, BTreeSet};

use wit_parser::{Docs, Function, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem};

const HEAD: &str =
    "// What wit/ says, for editors and for `npm run check`. `staging-sync policy build` makes it anew: don't edit it.
";

/// The text that `build.sh` makes a module of.
const SETTINGS: &str = "
declare module \"*/settings.schema.js\" {
    const schema: string;
    export default schema;
}
";

/// The declarations of what a world imports, and of what it exports.
pub fn declarations(resolve: &Resolve, world: WorldId) -> String {
    let mut text = HEAD.to_owned();
    for item in resolve.worlds[world].imports.values() {
        if let WorldItem::Interface { id, .. } = item {
            text += &interface(resolve, *id);
        }
    }
    text + &exports(resolve, world) + SETTINGS
}

/// A module: its declarations, and the types of other modules that they use.
struct Module<'a> {
    resolve: &'a Resolve,
    name: String,
    used: BTreeMap<String, BTreeSet<String>>,
    body: String,
}

fn interface(resolve: &Resolve, id: InterfaceId) -> String {
    let found = &resolve.interfaces[id];
    let mut module = Module::new(resolve, resolve.id_of(id).unwrap_or_default());
    for (name, of) in &found.types {
        module.definition(name, *of);
    }
    if !found.functions.is_empty() {
        let name = camel_case(found.name.as_deref().unwrap_or_default());
        let members = module.members(found.functions.values());
        module.body += &format!("{}    const {name}: {{\n{members}    }};\n", docs(&found.docs, "    ", None));
        module.body += &format!("    export default {name};\n");
    }
    module.text()
}

fn exports(resolve: &Resolve, id: WorldId) -> String {
    let world = &resolve.worlds[id];
    let package = world.package.map(|package| resolve.id_of_name(package, &world.name));
    let mut module = Module::new(resolve, package.unwrap_or_default());
    let functions = world.exports.values().filter_map(|item| match item {
        WorldItem::Function(function) => Some(function),
        _ => None,
    });
    let (name, members) = (pascal_case(&world.name), module.members(functions));
    module.body += &format!("{}    export interface {name} {{\n{members}    }}\n", docs(&world.docs, "    ", None));
    module.text()
}

impl<'a> Module<'a> {
    fn new(resolve: &'a Resolve, name: String) -> Self {
        Self { resolve, name, used: BTreeMap::new(), body: String::new() }
    }

    fn text(self) -> String {
        let mut text = format!("\ndeclare module {:?} {{\n", self.name);
        for (module, names) in &self.used {
            let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
            text += &format!("    import type {{ {names} }} from {module:?};\n");
        }
        text + &self.body + "}\n"
    }

    fn definition(&mut self, name: &str, id: TypeId) {
        let resolve = self.resolve;
        let (of, name) = (&resolve.types[id], pascal_case(name));
        let about = docs(&of.docs, "    ", None);
        let text = match &of.kind {
            // It's another module's, and imported where it's used.
            TypeDefKind::Type(Type::Id(_)) => return,
            TypeDefKind::Record(record) => {
                let mut members = String::new();
                for field in &record.fields {
                    let (about, of) = (docs(&field.docs, "        ", None), self.of(&field.ty));
                    members += &format!("{about}        {}: {of};\n", camel_case(&field.name));
                }
                format!("{about}    export interface {name} {{\n{members}    }}\n")
            }
            TypeDefKind::Enum(of) => {
                let mut cases = String::new();
                for case in &of.cases {
                    cases += &format!("\n{}        | {:?}", docs(&case.docs, "        ", None), case.name);
                }
                format!("{about}    export type {name} ={cases};\n")
            }
            kind => format!("{about}    export type {name} = {};\n", self.kind(kind)),
        };
        self.body += &text;
    }

    fn members<'f>(&mut self, functions: impl Iterator<Item = &'f Function>) -> String {
        let mut members = String::new();
        for function in functions {
            let (returned, thrown) = self.result(function.result.as_ref());
            let parameters: Vec<String> =
                function.params.iter().map(|it| format!("{}: {}", camel_case(&it.name), self.of(&it.ty))).collect();
            let about = docs(&function.docs, "        ", thrown.as_deref());
            members +=
                &format!("{about}        {}({}): {returned};\n", camel_case(&function.name), parameters.join(", "));
        }
        members
    }

    /// What a function returns, and what it throws where it doesn't.
    fn result(&mut self, of: Option<&Type>) -> (String, Option<String>) {
        let Some(of) = of else { return (String::from("void"), None) };
        if let Type::Id(id) = of
            && let TypeDefKind::Result(result) = &self.resolve.types[*id].kind
        {
            let ok = result.ok.as_ref().map_or_else(|| String::from("void"), |ok| self.of(ok));
            return (ok, result.err.as_ref().map(|error| self.of(error)));
        }
        (self.of(of), None)
    }

    /// A type where it's used.
    fn of(&mut self, of: &Type) -> String {
        let id = match of {
            Type::Bool => return "boolean".into(),
            Type::String | Type::Char => return "string".into(),
            Type::U8 | Type::U16 | Type::U32 | Type::S8 | Type::S16 | Type::S32 | Type::F32 | Type::F64 => {
                return "number".into();
            }
            Type::Id(id) => *id,
            // No policy has had one yet, so nobody knows.
            Type::U64 | Type::S64 | Type::ErrorContext => return "unknown".into(),
        };
        let def = &self.resolve.types[id];
        let Some(name) = &def.name else { return self.kind(&def.kind) };
        match (&def.kind, def.owner) {
            (TypeDefKind::Type(original @ Type::Id(_)), _) => self.of(original),
            (_, TypeOwner::Interface(owner)) => {
                let (module, name) = (self.resolve.id_of(owner).unwrap_or_default(), pascal_case(name));
                if module != self.name {
                    self.used.entry(module).or_default().insert(name.clone());
                }
                name
            }
            (kind, _) => self.kind(kind),
        }
    }

    /// A type without a name.
    fn kind(&mut self, kind: &TypeDefKind) -> String {
        match kind {
            TypeDefKind::Type(of) => self.of(of),
            TypeDefKind::Option(of) => format!("{} | null", self.of(of)),
            TypeDefKind::List(of) => match self.of(of) {
                of if of.contains(' ') => format!("({of})[]"),
                of => format!("{of}[]"),
            },
            _ => "unknown".into(),
        }
    }
}

/// A comment, and what a function throws.
fn docs(docs: &Docs, indent: &str, thrown: Option<&str>) -> String {
    let mut lines: Vec<String> =
        docs.contents.iter().flat_map(|text| text.trim().lines()).map(|line| line.replace("*/", "* /")).collect();
    lines.extend(thrown.map(|thrown| format!("@throws an error whose `payload` is {thrown}")));
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let lines: String =
                lines.iter().map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n").collect();
            format!("{indent}/**\n{lines}{indent} */\n")
        }
    }
}

fn pascal_case(name: &str) -> String {
    let camel = camel_case(name);
    let mut letters = camel.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// A name of a WIT package as JavaScript has it.
pub fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let upper = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &upper.map(String::from).unwrap_or_default() + letters.as_str()
    })
}
