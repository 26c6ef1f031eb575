//! `staging-sync policy new`: a policy project of one's own.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::language::Language;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The project's folder; its last part becomes the policy's name.
    folder: PathBuf,
    /// The language that it is written in.
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
}

/// What a build and the tests leave in a project.
const IGNORED: &str = "/target\n/policy.wasm\nnode_modules/\n__pycache__/\n";

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let (folder, language) = (&arguments.folder, arguments.lang);
    let unable = |at: &Path, what: &str| CommandError(format!("{}: {what}", at.display()));
    let name = name(folder).map_err(|what| unable(folder, &what))?;
    let empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(unable(folder, &error.to_string())),
    };
    if !empty {
        return Err(unable(folder, "there is something in it already: name a folder that isn't there yet"));
    }
    let mut files = language.project(&name);
    files.push((".gitignore", IGNORED.to_owned()));
    files.push(("README.md", readme(&name, language)));
    for (path, text) in &files {
        let at = folder.join(path);
        write(&at, text).map_err(|error| unable(&at, &error.to_string()))?;
    }
    let shown = folder.display();
    say!("{shown}: a policy in {} files. Next: staging-sync policy build {shown}", files.len());
    Ok(Exit::Success)
}

/// The policy's name, from its folder's: one that Cargo and npm take as well.
fn name(folder: &Path) -> Result<String, String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(fits) && name.len() <= 64 {
        return Ok(name.to_owned());
    }
    Err("the folder's name becomes the policy's: expected small letters, digits, - and _, and a letter first".into())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    #[cfg(unix)]
    if path.extension().is_some_and(|extension| extension == "sh") {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn readme(name: &str, language: Language) -> String {
    let commands = [&[language.test_command()], language.check_commands()].concat();
    format!(
        "# {name}

A policy for staging-sync. It begins as a copy of the default policy: change what is to be different.

- `wit/policy.wit`: the contract with the host, all that a policy can do.
- `src/`: `decide` is one account from top to bottom; `skip`, `settings`, `diff` and `summary` are what it uses.
- `cases/`: recorded situations and what must come out of them; `staging-sync record` makes more.
- `verify.json`, if the policy's operation isn't the sync: the invariants that don't apply to it, and why, like
  `{{\"doesNotApply\": {{\"settled\": \"It goes on, one step a tick\"}}}}`.

```sh
staging-sync policy build       # makes policy.wasm
staging-sync policy inspect policy.wasm
staging-sync test cases --policy policy.wasm
staging-sync policy verify policy.wasm
staging-sync demo --policy policy.wasm
{}
```
{}",
        commands.join("\n"),
        types(language)
    )
}

/// What goes for a language of which the toolchain links all that the WIT package has.
fn types(language: Language) -> &'static str {
    match language {
        Language::Rust => "",
        Language::Javascript => {
            "
A policy may do what it imports, and this toolchain imports every function in `wit/policy.wit`, called or not: comment out
there what you don't call. `policy build` then makes `types/policy.d.ts` anew, by which editors and `npm run check` know the
host's functions and records.
"
        }
        Language::Python => {
            "
A policy may do what it imports, and this toolchain imports every function in `wit/policy.wit`, called or not: comment out
there what you don't call. The build makes `target/bindings`, by which editors and mypy know the host's functions and
records (`pyproject.toml` tells them).
"
        }
    }
}
