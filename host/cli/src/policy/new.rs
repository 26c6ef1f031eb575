//! `staging-sync policy new`: a new policy project.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::language::Language;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The project's directory. Its name becomes the policy's name.
    folder: PathBuf,
    /// The programming language.
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
        return Err(unable(folder, "isn't empty: name a new or an empty directory"));
    }
    let mut files = language.project(&name);
    files.push((".gitignore", IGNORED.to_owned()));
    files.push(("README.md", readme(&name, language)));
    for (path, text) in &files {
        let at = folder.join(path);
        write(&at, text).map_err(|error| unable(&at, &error.to_string()))?;
    }
    let shown = folder.display();
    say!("{shown}: created a policy project of {} files. Next: staging-sync policy build {shown}", files.len());
    Ok(Exit::Success)
}

/// The policy's name, from its folder's: one that Cargo and npm take as well.
fn name(folder: &Path) -> Result<String, String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(fits) && name.len() <= 64 {
        return Ok(name.to_owned());
    }
    Err("the directory's name becomes the policy's name: expected lower-case letters, digits, - and _, starting with a letter".into())
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

A policy for staging-sync. It starts as a copy of the default policy.

- `wit/policy.wit`: the contract with the host, which is all that a policy can do.
- `src/`: `decide` decides one account, and uses `skip`, `settings` and `diff`. `summary` makes the summary.
- `cases/`: recorded situations and their expected results. `staging-sync record` adds more.
- `verify.json`, only if the policy's operation isn't the sync: the invariants that don't apply, and the reason, such as
  `{{\"doesNotApply\": {{\"settled\": \"It goes on, one step a tick\"}}}}`.

```sh
staging-sync policy build       # writes policy.wasm
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
A policy may do what it imports. This toolchain imports every function in `wit/policy.wit`, whether you call it or not, so
comment out the functions that you don't call. `policy build` then updates `types/policy.d.ts`, from which editors and
`npm run check` know the host's functions and records.
"
        }
        Language::Python => {
            "
A policy may do what it imports. This toolchain imports every function in `wit/policy.wit`, whether you call it or not, so
comment out the functions that you don't call. The build writes `target/bindings`, from which editors and mypy know the
host's functions and records (see `pyproject.toml`).
"
        }
    }
}
